"""The arithmetic of the benchmark: percentiles, medians over rounds, what pgbench says, the goals, two revisions."""

import time

import pytest
from bench.compare import Figure, Round, spread, verdict
from bench.figures import Results, Row, percentile, summary
from bench.goals import GOALS, Goal, times
from bench.processes import Bystanders
from bench.report import doubts, goals, table
from bench.stages import LOOP, OTHER, THREADS, costs, samples_of, stage_of

from bench import contest, postgres, together

REPORT = """pgbench (15.18 (Debian 15.18-0+deb12u1))
transaction type: transfer.pgbench
scaling factor: 1
query mode: prepared
number of clients: 32
number of threads: 2
maximum number of tries: 1
duration: 2 s
number of transactions actually processed: 6082
number of failed transactions: 3 (0.049%)
latency average = 10.523 ms
initial connection time = 31.5 ms
tps = 3041.412345 (without initial connection time)
"""


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 1), (50, 50), (90, 90), (99, 99), (99.9, 100), (100, 100), (1, 1), (50.5, 51)]
)
def test_a_percentile_is_the_value_of_the_nearest_rank(percent: float, expected: int) -> None:
    assert percentile(list(range(1, 101)), percent) == expected


def test_999_of_a_thousand_are_not_slower_than_the_last_percentile() -> None:
    assert percentile(list(range(1, 1001)), 99.9) == 999


def test_nothing_has_no_latency_and_one_value_is_every_percentile() -> None:
    assert percentile([], 99) == 0
    assert summary([0.25]) == {"p50_ms": 250, "p90_ms": 250, "p99_ms": 250, "p999_ms": 250}


def test_pgbench_says_how_much_it_did_and_what_failed() -> None:
    assert postgres.parse(REPORT) == postgres.Said(transactions=6082, failed=3)


def test_a_report_that_pgbench_did_not_finish_is_no_figure() -> None:
    with pytest.raises(ValueError, match="something else"):
        postgres.parse("pgbench: error: client 0 script 0 aborted")


def test_latencies_in_pgbenchs_log_are_microseconds_and_failures_have_none() -> None:
    log = "0 1 1500 0 1700000000 123456\n3 1 failed 0 1700000000 123999\n1 7 250000 1 1700000001 5\n"
    assert postgres.latencies([log], warm_up=0, seconds=60) == [0.0015, 0.25]


def test_what_pgbench_did_in_the_warm_up_or_past_the_end_is_not_counted() -> None:
    one = "0 1 1000 0 1700000000 1000\n0 2 2000 0 1700000001 0\n"  # Began at .000000 and ended at .001000.
    other = "1 1 3000 0 1700000000 999999\n1 2 4000 0 1700000002 999999\n1 3 5000 0 1700000003 0\n"
    assert postgres.latencies([one, other], warm_up=1, seconds=2) == [0.002, 0.004]


def test_a_peer_that_refused_commands_is_named_for_pgbench_counts_them_as_done() -> None:
    results = Results()
    results.figures[contest.REFUSED_BY_POSTGRES] = 12
    (doubt,) = doubts(results)
    assert "12 of its commands were refused" in doubt


def test_several_rounds_give_the_median_and_a_peer_counts_at_its_best_client_count() -> None:
    results = Results()
    speeds = {8: (100, 900, 120), 32: (200, 210, 190)}
    results.rows = [
        Row(contest.MANY, postgres.NAME, speed, clients=clients, refused=1)
        for clients, found in speeds.items()
        for speed in found
    ]
    best = results.row(contest.MANY, postgres.NAME)
    assert best is not None
    assert repr(best.clients) == "32"
    assert (best.clients, best.per_second, best.rounds, best.spread, best.refused) == (32, 200, 3, (190, 210), 3)


def test_raw_figures_come_back_as_they_were_kept() -> None:
    results = Results({"cores": 2})
    results.rows = [Row(contest.ONE, contest.WALLETD, 1000, p50_ms=0.5, curve=[(50.0, 0.5)])]
    results.figures["events_per_second"] = 1.0
    results.absent["TigerBeetle"] = "not run"
    assert Results.from_json(results.as_json()).as_json() == results.as_json()


@pytest.mark.parametrize(
    ("figure", "at_most", "met"), [(1.3, True, True), (1.31, True, False), (1.3, False, True), (1.2, False, False)]
)
def test_a_goal_is_met_at_its_bound_and_not_beyond(figure: float, at_most: bool, met: bool) -> None:
    goal = Goal("what", 1.3, lambda results: figure, at_most=at_most)
    assert goal.verdict(Results()).is_met is met


def test_a_goal_without_a_figure_is_neither_met_nor_missed() -> None:
    for goal in GOALS:
        assert goal.verdict(Results()).word == "not measured"


def test_the_ratio_to_a_peer_is_of_throughputs_in_one_scenario() -> None:
    results = Results()
    results.rows = [
        Row(contest.DEEP, contest.WALLETD, 30_000),
        Row(contest.DEEP, postgres.NAME, 6_000, clients=16),
        Row(contest.DEEP, postgres.NAME, 10_000, clients=64),
    ]
    assert times(contest.DEEP, postgres.NAME)(results) == 3
    assert "3 x | not met" in goals(results)
    assert "PostgreSQL, 64 connections | 10,000" in table(results)


def test_batches_are_judged_by_the_worse_of_both_kinds() -> None:
    results = Results()
    results.rows = [
        Row(scenario, who, speed, clients=1)
        for scenario, ours, theirs in ((contest.EACH, 100, 10), (contest.ALL, 100, 50))
        for who, speed in ((contest.WALLETD, ours), (postgres.NAME, theirs))
    ]
    (goal,) = [goal for goal in GOALS if "arrays" in goal.what]
    assert goal.verdict(results).figure == 2


def test_goals_about_ten_million_entries_take_no_shorter_journal() -> None:
    (goal,) = [goal for goal in GOALS if "kill -9" in goal.what]
    results = Results()
    results.figures["202000_entries_start_after_kill_s"] = 1
    assert goal.verdict(results).is_met is None
    results.figures["10010000_entries_start_after_kill_s"] = 6
    assert goal.verdict(results).is_met is False


def test_what_was_not_run_is_said_in_the_table() -> None:
    results = Results()
    results.absent[postgres.NAME] = postgres.ABSENT
    assert "not run: PostgreSQL is not installed (apt-get install postgresql)" in table(results)


def test_what_others_used_of_the_machine_is_said_where_it_is_much() -> None:
    results = Results()
    results.rows = [Row(contest.DEEP, contest.WALLETD, 1, others=share) for share in (0.02, 0.7)]
    (doubt,) = doubts(results)
    assert "2% to 70%" in doubt
    assert "in 1 of 2 measurements" in doubt
    results.rows = results.rows[:1]
    assert doubts(results) == []


def test_bystanders_are_everybody_but_ourselves() -> None:
    bystanders, own = Bystanders(), time.process_time()
    while time.process_time() - own < 0.2:
        pass
    everybody = bystanders.share(0)
    assert everybody > bystanders.share(0.2) >= 0
    assert bystanders.share(1e9) == 0


def test_a_load_generator_at_its_limit_is_said() -> None:
    results = Results()
    results.rows = [Row(contest.DEEP, contest.WALLETD, 1, busy=0.97), Row(contest.MANY, contest.WALLETD, 1, busy=0.4)]
    (doubt,) = doubts(results)
    assert contest.DEEP in doubt


def figure(per_second: float) -> Figure:
    return Figure(per_second, p50_ms=1, p99_ms=1, cpu_us=1, refused=0)


def test_a_machine_that_slows_down_steadily_does_not_change_the_ratio_of_two_revisions() -> None:
    base, this, this_again, base_again = (figure(speed) for speed in (1000, 2000 * 0.9, 2000 * 0.81, 1000 * 0.729))
    assert Round((base, this, this_again, base_again)).ratio("per_second") == pytest.approx(2)


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [((1.1, 1.2), "faster in every round"), ((0.8, 0.9), "slower in every round"), ((0.9, 1.2), "no clear difference")],
)
def test_revisions_differ_only_where_every_round_says_so(ratios: tuple[float, ...], expected: str) -> None:
    assert verdict(ratios) == expected


def test_a_spread_has_its_median_and_its_ends() -> None:
    assert spread([1.1, 0.9, 1.0]) == "1.00 (0.90 to 1.10)"


def test_a_sample_counts_for_the_innermost_frame_that_has_a_stage() -> None:
    asked = "run (trio/_core/_run.py:1);submit (walletd/gateway/methods/commands.py:9)"
    asked += ";_decide (walletd/wallets/decisions.py:5)"
    assert stage_of(asked + ";encode_entry (walletd/vocabulary/entries.py:7)") == "the entry's JSON"
    assert stage_of(asked + ";decide (walletd/ledger/rules.py:7);<listcomp> (x.py:1)") == "decide"
    assert stage_of(asked) == "decisions: around all of these"
    assert stage_of("run (trio/_core/_run.py:1)") == OTHER


def test_stages_add_up_to_the_processor_time_of_their_thread() -> None:
    raw = [
        "thread (7): MainThread;decide (walletd/ledger/rules.py:7) 30",
        "thread (7): MainThread;run (trio/_core/_run.py:1) 10",
        "thread (8): sqlite;_connection_worker_thread (aiosqlite/core.py:63) 5",
    ]
    raw.append("thread (9): watch;_watch (walletd/runtime/loop_watch.py:49) 99")  # Asleep: the kernel gave it nothing.
    rows = [row for row in costs(samples_of(raw), {7: 4.0, 8: 1.0, 9: 0.0}, loop=7, commands=100_000) if row[2]]
    assert [row[:2] for row in rows] == [(LOOP, "decide"), (LOOP, OTHER), (THREADS, "journal: seal, hash, commit")]
    assert [row[2] for row in rows] == pytest.approx([30, 10, 10])


def run_of(ours: float, theirs: float | None) -> Results:
    results = Results({"cores": 2})
    results.rows.append(Row("64 clients", contest.WALLETD, ours, p50_ms=1.5, cpu_us=70.4))
    if theirs is not None:
        results.rows.append(Row("64 clients", postgres.NAME, theirs, clients=8))
    results.figures["events_per_second"] = ours
    return results


def test_runs_stand_beside_each_other_and_one_without_a_peer_has_no_ratio() -> None:
    runs = [run_of(100_000, 50_000), run_of(300_000, None), run_of(200_000, 400_000)]
    (line,) = [line for line in together.scenarios(runs).splitlines() if line.startswith("| 64 clients")]
    assert line == (
        "| 64 clients | 100,000 · 300,000 · 200,000 | 50,000 · 400,000 | 2.00 · 0.50 | 1.50 · 1.50 · 1.50 "
        "| 0.00 · 0.00 · 0.00 | 70 · 70 · 70 |"
    )


def test_a_goal_says_in_how_many_runs_it_was_met() -> None:
    lines = together.goals([run_of(100_000, None), run_of(300_000, None), run_of(200_000, 100_000)]).splitlines()
    assert "| 1,000 subscribers: events a second | ≥ 200,000 | 100,000 · 300,000 · 200,000 | 2 of 3 |" in lines
    assert "| 64 clients, 1 in flight: times PostgreSQL at its best | ≥ 1.5 x | 2 | 1 of 1 |" in lines
    assert "| an idle connection | ≤ 12 KiB |  | not measured |" in lines
