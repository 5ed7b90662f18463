"""kill -9 at any moment: what was acknowledged is there after the restart, and the journal verifies."""

import random
import subprocess
import sys
from pathlib import Path

from tests.postgresql import Server
from walletd.journal.offline import read_offline
from walletd.journal.postgresql.offline import ledger_at_rest
from walletd.journal.sqlite.directory import DATABASE_NAME
from walletd.journal.verification import verified

KILLS = 25
TAKEOVERS = 10
ROOT = Path(__file__).parents[2]


def live_and_die(directory: Path | str, chance: random.Random, *arguments: str) -> int:
    """Let a process append until it is killed; return the last sequence that it acknowledged."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.journal.appending", directory, *arguments],
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    acknowledged = [process.stdout.readline() for _ in range(chance.randrange(1, 150))]
    process.kill()
    acknowledged += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    return max(map(int, acknowledged))


def recovered(directory: Path) -> int:
    """How far the journal verifies, or 0."""
    head = 0
    for progress in verified(read_offline(directory / DATABASE_NAME)):
        head = progress.head.sequence
    return head


def test_acknowledged_entries_survive_every_kill(tmp_path: Path, chance: random.Random) -> None:
    reached = 0
    for _ in range(KILLS):
        acknowledged = live_and_die(tmp_path / "journal", chance)
        reached, before = recovered(tmp_path / "journal"), reached
        assert reached >= max(acknowledged, before)
    assert reached > KILLS


def ledger_of(server: Server, ledger: str) -> tuple[int, int]:
    """The head of a ledger that verifies, and its term."""
    ((term, head),) = server.execute(f"SELECT term, head FROM walletd.ledger WHERE name = '{ledger}'")
    released = f"UPDATE walletd.ledger SET lease_until = NULL WHERE name = '{ledger}'"
    server.execute(released)  # The dead do not need it.
    with ledger_at_rest(server.url(), ledger) as journal:
        reached = [progress.head.sequence for progress in verified(journal.segments())]
    assert (reached or [0])[-1] == head
    return int(str(head)), int(str(term))


def test_what_a_killed_leader_acknowledged_is_there_in_the_next_term(
    tmp_path: Path, chance: random.Random, database_server: Server
) -> None:
    ledger, reached = database_server.new_ledger(), 0
    for term in range(1, TAKEOVERS + 1):
        acknowledged = live_and_die(database_server.url(), chance, ledger, str(tmp_path / f"node-{term % 2}"))
        (reached, led), before = ledger_of(database_server, ledger), reached
        assert reached >= max(acknowledged, before)
        assert led == term
    assert reached > TAKEOVERS


def test_the_kills_would_find_an_acknowledgement_before_the_commit(tmp_path: Path, chance: random.Random) -> None:
    """A planted fault must show in a few kills."""
    for attempt in range(KILLS):
        directory = tmp_path / f"journal-{attempt}"
        acknowledged = live_and_die(directory, chance, "early")
        if recovered(directory) < acknowledged:
            return
    raise AssertionError("no kill lost an entry that had been acknowledged too early")
