"""Row 9: ten times what is let through, for long: memory is bounded, and what was shed was not applied."""

import random
import time
from pathlib import Path
from typing import Any

import pytest

from tests.attacks.test_attacks import MEBIBYTE, forget_the_most, memory
from tests.daemon.process import Client, Daemon, furnish
from tests.faults.claims import violations
from tests.faults.planted import BUGS_UNDER_OVERLOAD, PROGRAM
from tests.faults.rows import figure
from tests.faults.swarm import FUNDS, WALLETS, Swarm
from tests.faults.tally import tally

SECONDS = figure("TEST_OVERLOAD_SECONDS")
SECONDS_PER_BUG = 8
MOST_TRIES = 500
MOST_MORE_BYTES = 96 * MEBIBYTE
TIMES = 10
CLIENTS, WINDOW = 24, 128

BOUNDS = {
    "by rate": {"WALLETD_MAX_REQUESTS_PER_SECOND_OF_PRINCIPAL": "300"},
    "by queue": {"WALLETD_MAX_IN_FLIGHT": "8"},
}
"""What lets through a tenth, or less, of what comes."""


def overload(folder: Path, chance: random.Random, bounds: dict[str, str], program: list[str], seconds: float) -> Swarm:
    """So many seconds of it, then everything is asked for until it is answered; the memory it took is bounded."""
    common = {"WALLETD_MAX_CONNECTIONS_PER_ADDRESS": "1000", "WALLETD_MAX_BUFFERED_MEBIBYTES": "16"}
    with Daemon(folder / "data", environment={**common, **bounds}) as daemon:
        daemon.kill()
        daemon.program = program
        daemon.start()
        with daemon.client() as client:
            furnish(client, *WALLETS, amount=FUNDS)
        resident = memory(daemon, "VmRSS")
        forget_the_most(daemon)
        swarm = Swarm(daemon.url, daemon.token, chance, clients=CLIENTS, window=WINDOW)
        end = time.monotonic() + seconds
        swarm.run(until=lambda: time.monotonic() > end)
        answered, refused = swarm.answered, swarm.refused
        grown = memory(daemon, "VmHWM") - resident
        swarm.window = 4
        swarm.settle()
        with daemon.client() as client:
            assert _let_in(client, "daemon.audit")["violations"] == []
    print(f"{answered} answered, {refused} shed, {grown / MEBIBYTE:.0f} MiB more")
    assert refused > (TIMES - 1) * answered, f"{refused} shed beside {answered} answered is no tenfold load"
    # What the answered commands themselves leave in memory: ids until they are projected, recent entries, the filter.
    assert grown < MOST_MORE_BYTES, f"{grown / MEBIBYTE:.0f} MiB more"
    return swarm


def _let_in(client: Client, method: str) -> dict[str, Any]:
    """The answer once the swarm, whose bucket the client shares, has left a token in it."""
    for _ in range(MOST_TRIES):
        response = client.ask(method)
        if "error" not in response or response["error"]["data"]["reason"] != "rate_limited":
            break
    assert "result" in response, response
    result: dict[str, Any] = response["result"]
    return result


def judge(swarm: Swarm) -> None:
    """Every command was applied once, in one order, and none of those that were said not to be applied."""
    assert swarm.strange[:3] == []
    funds, versions = dict.fromkeys(WALLETS, FUNDS), dict.fromkeys(WALLETS, 2)
    assert list(violations(swarm.transfers, swarm.readings, funds, versions))[:3] == []


@pytest.mark.timeout(0)
@pytest.mark.parametrize("bound", BOUNDS)
def test_overload_is_shed_and_what_was_shed_was_not_applied(tmp_path: Path, seed: int, bound: str) -> None:
    swarm = overload(tmp_path, random.Random(seed), BOUNDS[bound], ["-m", "walletd"], SECONDS / len(BOUNDS))
    judge(swarm)
    tally(commands=len(swarm.transfers), shed=swarm.refused, broken_connections=swarm.breaks)


@pytest.mark.parametrize("bug", BUGS_UNDER_OVERLOAD)
def test_a_planted_bug_is_found(tmp_path: Path, seed: int, bug: str) -> None:
    with pytest.raises(AssertionError):
        judge(overload(tmp_path, random.Random(seed), BOUNDS["by queue"], [*PROGRAM, bug], SECONDS_PER_BUG))
