"""The rows: each kind of fault, what injects it, who judges, how much of it, and the bugs that prove that it is seen.

    STATES = figure("TEST_STATES")                     # of the environment, or what CI runs

The tables in the documents, ``make fault`` and ``make soak`` are made from this list.
"""

import os
from typing import NamedTuple


class Figure(NamedTuple):
    """How much: what is counted, by which variable, in CI, in one turn of a soak, and in all of a long one."""

    variable: str
    unit: str
    ci: int
    turn: int
    soak: int


class Row(NamedTuple):
    """One kind of fault."""

    number: int
    fault: str
    injected_by: str
    oracle: str
    figures: tuple[Figure, ...]
    tests: tuple[str, ...]
    """What pytest runs in CI and in each turn of a soak."""
    proofs: tuple[str, ...]
    """What pytest runs to see that planted bugs are found."""
    bugs: tuple[str, ...]
    """Where the planted bugs stand: ``module:NAME``."""
    needs: tuple[str, ...] = ()


FAULTS, SIMULATION, PROPERTIES = "tests/faults", "tests/simulation", "tests/properties"

ROWS = (
    Row(
        1,
        "an answer before its commit is durable",
        "a recorder under the daemon (LD_PRELOAD): its writes, syncs and socket sends, in order",
        "at every answer, the synced data alone contains everything that was told",
        (Figure("TEST_ANSWERS", "answers a life, 3 recorded lives", 400, 1_000, 100_000),),
        (f"{FAULTS}/test_power_loss.py::test_the_daemon_tells_nothing_before_it_is_durable",),
        (f"{FAULTS}/test_power_loss.py::test_a_planted_bug_loses_something",),
        ("tests.faults.mutants:BUGS",),
        ("gcc",),
    ),
    Row(
        2,
        "power loss",
        "a recording of real processes, replayed up to every operation: of the unsynced data none, a prefix, any "
        "part, torn or destroyed sectors of 512 and 4,096 bytes",
        "acknowledged ⊆ recovered = a prefix of the one history; digests and Merkle roots hold",
        (Figure("TEST_STATES", "states of the disk", 5_000, 20_000, 10_000_000),),
        (f"{FAULTS}/test_power_loss.py::test_no_power_loss_takes_what_was_told",),
        (f"{FAULTS}/test_power_loss.py::test_a_planted_bug_loses_something",),
        ("tests.faults.mutants:BUGS",),
        ("gcc",),
    ),
    Row(
        3,
        "crash",
        "kill -9 of the daemon under load, at its start, twice in a row; of the journal at a chosen call of the disk",
        "the clients' own ledger: nothing acknowledged is gone, nothing is doubled, a repetition gets the same answer",
        (
            Figure("TEST_KILLS", "kills of the daemon", 60, 100, 10_000),
            Figure("TEST_JOURNAL_KILLS", "kills of the journal", 400, 1_500, 100_000),
        ),
        (f"{FAULTS}/test_kills.py", f"{FAULTS}/test_io_errors.py::test_whatever_dies_what_was_told_is_there"),
        (f"{FAULTS}/test_history.py",),
        ("tests.faults.test_history:LIES",),
        ("gcc",),
    ),
    Row(
        4,
        "I/O errors",
        "the n-th write or sync fails (LD_PRELOAD): EIO or ENOSPC, once or for good",
        "all that was told is there and no more; rolled back entries stay away; exit 70, degraded, or a clean end",
        (Figure("TEST_FAULTS", "faults", 600, 3_000, 100_000),),
        (f"{FAULTS}/test_io_errors.py::test_whatever_fails_what_was_told_is_there_and_no_more",),
        (f"{FAULTS}/test_io_errors.py::test_a_planted_bug_is_found",),
        ("tests.faults.io_errors:BUGS",),
        ("gcc",),
    ),
    Row(
        5,
        "everything at once, simulated",
        "one seed: schedule, latency, unknown outcomes, full disk, silence, crash, stop, clock; then heal and settle",
        "the model, and every invariant at each step; the same seed takes the same steps",
        (Figure("TEST_SEEDS", "seeds", 300, 400, 1_000_000),),
        (f"{SIMULATION}/test_seeds.py",),
        (f"{SIMULATION}/test_planted_bugs.py",),
        ("tests.simulation.test_planted_bugs:BUGS",),
    ),
    Row(
        6,
        "the rules of money",
        "Hypothesis: lists of up to 40 commands over few wallets",
        "a naive model, after every command; the audit; statements add up",
        (Figure("TEST_PROGRAMS", "programs of up to 40 commands", 500, 1_000, 200_000),),
        (f"{PROPERTIES}/test_programs.py", f"{PROPERTIES}/test_amounts.py", f"{PROPERTIES}/test_entries.py"),
        (f"{PROPERTIES}/test_planted_bugs.py",),
        (
            "tests.properties.test_planted_bugs:BUGS_IN_THE_RULES",
            "tests.properties.test_planted_bugs:BUGS_IN_THE_AUDIT",
            "tests.properties.test_planted_bugs:BUGS_IN_THE_PROTOCOL",
        ),
    ),
    Row(
        7,
        "no order: linearizability, the bank",
        "64 clients on hot and cold wallets; 32 while the daemon is killed",
        "a checker by claimed order (sequence, version, balance in every answer) and real time",
        (Figure("TEST_OPERATIONS", "operations", 150_000, 200_000, 100_000_000),),
        (
            f"{FAULTS}/test_linearizability.py::test_sixty_four_clients_see_one_order",
            f"{FAULTS}/test_linearizability.py::test_kills_change_no_order",
        ),
        (f"{FAULTS}/test_claims.py",),
        ("tests.faults.test_claims:MUTATIONS",),
    ),
    Row(
        8,
        "a bad network",
        "a seeded proxy on loopback: reset, silence, one-byte slices, half close, lost replies",
        "as row 7; each command has one outcome",
        (Figure("TEST_BREAKS", "broken connections", 2_500, 5_000, 1_000_000),),
        (f"{FAULTS}/test_linearizability.py::test_a_bad_network_changes_no_outcome",),
        (f"{FAULTS}/test_claims.py",),
        ("tests.faults.test_claims:MUTATIONS",),
    ),
    Row(
        9,
        "overload, slow and hostile clients",
        "ten times the permitted load; twelve attacks beside an honest client",
        "memory is bounded, honest clients are served, shed commands were not applied",
        (Figure("TEST_OVERLOAD_SECONDS", "seconds of overload", 20, 60, 3_600),),
        (f"{FAULTS}/test_overload.py::test_overload_is_shed_and_what_was_shed_was_not_applied", "tests/attacks"),
        (f"{FAULTS}/test_overload.py::test_a_planted_bug_is_found",),
        ("tests.faults.planted:BUGS_UNDER_OVERLOAD",),
    ),
    Row(
        10,
        "what websockets may meet",
        "Autobahn's cases, sections 1–7, 9, 12 and 13, against the daemon's adapter",
        "Autobahn's verdicts, and an explicit list of permitted differences",
        (Figure("TEST_MESSAGES", "messages of each case of compression", 5, 100, 1_000),),
        ("tests/conformance",),
        ("tests/conformance/test_autobahn.py::test_without_the_check_of_utf8_many_cases_fail",),
        ("tests.conformance.test_autobahn:BUGS",),
    ),
    Row(
        11,
        "malformed input",
        "mutated frames and mutated JSON, against the adapter and a session in memory, and a tenth of it on sockets",
        "an independent reading of RFC 6455, and the contract: right code, changes by valid commands only; no error",
        (Figure("TEST_FUZZ", "inputs in memory", 60_000, 400_000, 100_000_000),),
        ("tests/fuzz/test_memory.py", "tests/fuzz/test_sockets.py"),
        ("tests/fuzz/test_planted_bugs.py",),
        ("tests.fuzz.test_planted_bugs:FRAME_BUGS", "tests.fuzz.test_planted_bugs:REQUEST_BUGS"),
    ),
    Row(
        12,
        "cancellation",
        "everything is cancelled at step n, for every step n of some scripts: over the simulated disk and over SQLite",
        "the journal equals the model; every wait ends; the next start recovers",
        (Figure("TEST_SCRIPTS", "scripts, every step of each", 3, 3, 1_000),),
        (f"{FAULTS}/test_cancellation.py::test_whichever_step_is_cancelled_the_promises_hold",),
        (f"{FAULTS}/test_cancellation.py::test_a_planted_bug_is_found",),
        ("tests.faults.cancellation:BUGS",),
    ),
    Row(
        13,
        "a full disk, a real one",
        "a small tmpfs that is filled and freed under load, down to the floor or to the last page",
        "refused as not applied, then served again without a restart; nothing acknowledged is lost",
        (Figure("TEST_FULL_DISKS", "times full", 24, 30, 5_000),),
        (f"{FAULTS}/test_full_disk.py::test_a_full_disk_that_is_freed_is_served_again_without_a_restart",),
        (f"{FAULTS}/test_full_disk.py::test_a_planted_bug_is_found",),
        ("tests.faults.planted:BUGS_OF_A_FULL_DISK",),
        ("root",),
    ),
    Row(
        14,
        "corruption at rest",
        "flipped bits, zeroed sectors, truncation, and an old copy put over the journal, its log, its mark, the read "
        "tables",
        "the start is refused, or everything is there: each entry, balance, statement and command id",
        (Figure("TEST_DAMAGES", "damages", 800, 1_500, 1_000_000),),
        (f"{FAULTS}/test_corruption.py::test_damage_is_refused_or_does_no_harm",),
        (f"{FAULTS}/test_corruption.py::test_a_planted_bug_is_found",),
        ("tests.faults.corruption:BUGS",),
    ),
    Row(
        15,
        "clock, standstills, files, memory, threads, streams, other programs",
        "libfaketime; limits on descriptors and on memory; a second start; a thread that dies, hangs or cannot be "
        "started; SIGSTOP; a lock on the read tables; a log that is not read, full or closed; a removed directory",
        "order and ids unaffected; a clear refusal; an exit, never a silent wait; a passing shortage does not end it",
        (),
        (
            f"{FAULTS}/test_surroundings.py",
            f"{FAULTS}/test_surroundings_outside.py",
            f"{FAULTS}/test_memory.py",
        ),
        (f"{FAULTS}/test_surroundings_planted.py",),
        ("tests.faults.planted:BUGS_OF_THE_SURROUNDINGS",),
        ("libfaketime",),
    ),
    Row(
        16,
        "compaction, backup, restore, upgrade",
        "lives of a daemon under load, killed at a chosen step of each, and at its start; read tables of an older "
        "format, from the snapshot, or none",
        "restored = a prefix of the journal; every query and every repeated command is answered the same",
        (Figure("TEST_CYCLES", "cycles", 10, 20, 1_000),),
        (f"{FAULTS}/test_restores.py::test_whatever_is_killed_a_restore_brings_back_a_prefix_and_every_answer",),
        (f"{FAULTS}/test_restores.py::test_a_planted_bug_is_found",),
        ("tests.faults.dying:BUGS",),
    ),
    Row(
        17,
        "real size",
        "the life of a ledger on data larger than every cache and every bound: these made small by settings, and at "
        "true defaults; load, compaction by policy and by command, backup, kill, rebuild, restore",
        "a model of every balance; walks over everything, statements, streams from 0 and repeated commands show what "
        "was told; nothing sent is larger than a message; the daemon lives",
        (
            Figure("TEST_SMALL_ENTRIES", "entries across small bounds", 3_000, 6_000, 100_000),
            Figure("TEST_ENTRIES", "entries at true defaults", 10_000, 3_000_000, 3_000_000),
        ),
        (
            f"{FAULTS}/test_size.py::test_a_life_across_every_bound_made_small",
            f"{FAULTS}/test_size.py::test_a_life_at_true_defaults",
            "tests/architecture/test_bounds.py",
        ),
        (f"{FAULTS}/test_size.py::test_a_planted_bug_is_found",),
        ("tests.faults.small:BUGS",),
    ),
    Row(
        18,
        "hostile tenant",
        "one client with a token, several sessions and default budgets beside an honest one: refused batches from an "
        "empty wallet, dry runs, absent payees and names, filtered statements, old commands, streams from 0, long "
        "windows, connections; and several of these together",
        "of the daemon's processor at most 0.25 s between an honest question and its answer (p99); at most 64 MiB of "
        "memory and 1 MiB/s of journal; the operator revokes it within a second",
        (Figure("TEST_TENANT_ACTS", "times five acts beside each kind", 8, 40, 2_000),),
        (
            f"{FAULTS}/test_hostile_tenant.py::test_beside_a_hostile_client_an_honest_one_is_served",
            f"{FAULTS}/test_hostile_tenant.py::test_beside_all_of_it_together_an_honest_client_is_served_and_the_operator_"
            "ends_it",
            f"{FAULTS}/test_hostile_tenant.py::test_on_a_full_disk_the_operator_shuts_it_out_and_kill_9_does_not_let_it_in",
        ),
        (
            f"{FAULTS}/test_hostile_tenant.py::test_a_planted_bug_is_found",
            f"{FAULTS}/test_hostile_tenant.py::test_without_the_reserve_it_stays_in",
        ),
        ("tests.faults.planted:BUGS_OF_TENANTS",),
    ),
    Row(
        19,
        "nodes of one ledger",
        "real nodes on a real PostgreSQL, which clients reach by several addresses: kill -9 and SIGTERM of the leader, "
        "SIGSTOP beyond its lease, its link cut, an append or its reply lost, PostgreSQL restarted and killed; leases "
        "in virtual time: late and lost packets, machines that sleep, clocks that jump",
        "as row 7, over all nodes, a woken leader included; every command repeated gets its first answer; the journal "
        "verifies; no node ends by itself; only the node that has the lease answers",
        (
            Figure("TEST_TAKEOVERS", "faults of real nodes", 8, 60, 2_000),
            Figure("TEST_LEASES", "leases in virtual time", 500, 20_000, 1_000_000),
        ),
        (
            f"{FAULTS}/test_nodes.py::test_whatever_happens_to_the_nodes_there_is_one_history",
            f"{FAULTS}/test_leases.py::test_only_the_node_that_has_the_lease_answers",
        ),
        (
            f"{FAULTS}/test_nodes.py::test_a_planted_bug_is_found",
            f"{FAULTS}/test_leases.py::test_a_planted_bug_is_found",
        ),
        ("tests.faults.planted:BUGS_OF_NODES", "tests.faults.leases:BUGS"),
        ("postgresql",),
    ),
)
"""In order."""

_FIGURES = {figure.variable: figure for row in ROWS for figure in row.figures}


def row_of(number: int) -> Row:
    """The row of this number; raises KeyError."""
    return {row.number: row for row in ROWS}[number]


def figure(variable: str) -> int:
    """How much this run is to do: what the environment says, or else what CI runs."""
    return int(os.environ.get(variable) or _FIGURES[variable].ci)
