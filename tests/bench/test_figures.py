"""How figures are made of measurements: percentiles, goals, and the table; no speed is measured here."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).parent.parent.parent / "bench"


@pytest.fixture(autouse=True)
def bench_on_the_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The benchmark is a folder of scripts, not a package."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(BENCH))
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(BENCH)):
            del sys.modules[name]


def module(name: str) -> ModuleType:
    return __import__(name)


def measured(ours: float, theirs: float) -> dict[str, object]:
    deep = module("scenarios").DEEP
    return {
        "machine": "a machine",
        "transfers": {
            "walletd": {deep: {"per_second": ours, "p50_ms": 1.0, "refused": 3}},
            "bare_commit_p50_ms": 0.5,
            "bytes_per_entry": 450.0,
        },
        "peers": {"postgres": {deep: {"per_second": theirs, "clients": 32}}},
    }


def test_percentiles_are_of_what_was_waited_in_milliseconds() -> None:
    found = module("loads").percentiles(number / 1000 for number in range(1000, 0, -1))
    assert found == {"p50_ms": 501.0, "p99_ms": 991.0, "p999_ms": 1000.0}
    assert module("loads").percentiles([0.5])["p999_ms"] == 500.0


def test_a_goal_is_met_missed_or_not_measured() -> None:
    (goal,) = [goal for goal in module("goals").GOALS if "16 in flight" in goal.what]
    assert goal.verdict(measured(4000, 1000)) == (4.0, True)
    assert goal.verdict(measured(3999, 1000)) == (3.999, False)
    assert goal.verdict({"transfers": {}, "peers": {"postgres": "not run"}}) is None
    (wait,) = [goal for goal in module("goals").GOALS if "at 80 %" in goal.what]
    overload = {"at_200_percent": {"p99_ms": 9.0}, "at_80_percent": {"p99_ms": 2.0}}
    assert wait.verdict({"overload": overload}) == (4.5, False)


def test_the_table_has_every_goal_and_every_peer() -> None:
    said = module("report").table(measured(5000, 1000))
    for goal in module("goals").GOALS:
        assert goal.what in said
    assert "| postgres, 32 clients | 1,000 |" in said
    assert "≥ 4 | 5.00 | met |" in said
    absent = {**measured(1, 1), "peers": {"postgres": module("postgres").ABSENT}}
    assert "apt-get install postgresql" in module("report").table(absent)


def test_a_batch_is_a_thousand_transfers_of_their_own_ids() -> None:
    import json

    town = object.__new__(module("town").Town)
    town.run, town.wallets = 0, [f"w{n}" for n in range(5)]
    town.chance = __import__("random").Random(1)
    document = json.loads(town.batches()(7))
    ids = [inner["command_id"] for inner in document["params"]["commands"]]
    assert len(set(ids)) == 1000
    assert document["params"]["command_id"] not in ids
