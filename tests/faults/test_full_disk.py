"""Row 13: a disk that is really full, again and again: refused for certain, served again without a restart."""

import contextlib
import os
import random
import signal
import threading
from pathlib import Path

import pytest

from tests.daemon.process import Daemon, free_port, furnish
from tests.faults.claims import violations
from tests.faults.planted import BUGS_OF_A_FULL_DISK, PROGRAM
from tests.faults.rows import figure
from tests.faults.swarm import FUNDS, WALLETS, Swarm
from tests.faults.tally import tally

TIMES_FULL = figure("TEST_FULL_DISKS")
TIMES_FULL_PER_BUG = 20
MEBIBYTE = 1024 * 1024
PAGE = 4096
PATIENCE_SECONDS = 60.0
PATIENCE_SECONDS_PER_BUG = 15.0
REFUSALS = (1, 1, 3000)
"""How many refusals the disk stays full for: one, or so many that the read tables come to write meanwhile."""
LIFE = 7
"""How many times full a life lasts: then the daemon is killed, so that nothing it undid may come back."""

LIMITS = {"WALLETD_SPACE_FLOOR_MEBIBYTES": "1", "WALLETD_MAX_UNPROJECTED_ENTRIES": "5000"}


class FullDisk:
    """A daemon on a small disk, clients on it, and a program that fills and frees the disk."""

    def __init__(self, disk: Path, chance: random.Random, program: list[str], patience: float) -> None:
        self.patience = patience
        self.disk = disk
        self.chance = chance
        self.daemon = Daemon(disk / "data", "--port", str(free_port()), environment=LIMITS)
        self.daemon.program = program
        self.daemon.is_forked = True
        self.refused = 0

    def live_through(self, times: int) -> Swarm:
        """So many times full and free, with kills now and then; the swarm knows what it was told."""
        with self.daemon as daemon:
            with daemon.client() as client:
                furnish(client, *WALLETS, amount=FUNDS)
            swarm = Swarm(daemon.url, daemon.token, self.chance, clients=8, window=4)
            for number in range(times):
                self._full_once(swarm)
                if number % LIFE == LIFE - 1:
                    daemon.kill()
                    daemon.start()
            swarm.settle()
            assert daemon.process is not None
            with daemon.client() as client:
                assert client.call("daemon.audit")["violations"] == []
            daemon.signal(signal.SIGTERM)
            assert daemon.wait() == 0
        return swarm

    def _full_once(self, swarm: Swarm) -> None:
        goal = swarm.answered + self.chance.randint(1, 600)
        self._run(swarm, lambda: swarm.answered >= goal, "it serves")
        filler = self._fill()
        enough = swarm.refused + self.chance.choice(REFUSALS)
        self._run(swarm, lambda: swarm.refused >= enough, "it refuses")
        filler.unlink()
        goal = swarm.answered + 50
        self._run(swarm, lambda: swarm.answered >= goal, "it serves again")

    def _run(self, swarm: Swarm, until: object, what: str) -> None:
        late = threading.Event()
        patience = threading.Timer(self.patience, late.set)
        patience.start()
        swarm.run(until=lambda: until() or late.is_set() or self._has_ended())  # type: ignore[operator]
        patience.cancel()
        assert not self._has_ended(), f"the daemon ended before {what}: {self.daemon.log()[-2000:]}"
        assert not late.is_set(), f"{self.patience:g} s passed before {what}"

    def _has_ended(self) -> bool:
        assert self.daemon.process is not None
        return self.daemon.process.poll() is not None

    def _fill(self) -> Path:
        """Take the disk, but for some pages: between none and a little more than the floor."""
        room = os.statvfs(self.disk)
        left = self.chance.choice([0, 0, 1, 3, self.chance.randint(0, 300)]) * PAGE
        filler = self.disk / "filler"
        # At once, so that what was just written is not in the read tables yet.
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            file.write(bytes(max(0, room.f_bavail * room.f_frsize - left)))
        return filler


def judge(swarm: Swarm) -> None:
    """The history has one order, and nothing refused was done."""
    assert swarm.strange[:3] == []
    funds, versions = dict.fromkeys(WALLETS, FUNDS), dict.fromkeys(WALLETS, 2)
    assert list(violations(swarm.transfers, swarm.readings, funds, versions))[:3] == []


@pytest.mark.timeout(0)
@pytest.mark.parametrize("injury", ["", "no floor"], ids=["refused at the floor", "filled between look and write"])
def test_a_full_disk_that_is_freed_is_served_again_without_a_restart(small_disk: Path, seed: int, injury: str) -> None:
    times = TIMES_FULL // 2
    program = [*PROGRAM, injury]
    swarm = FullDisk(small_disk, random.Random(seed), program, PATIENCE_SECONDS).live_through(times)
    judge(swarm)
    tally(faults=times, kills=times // LIFE, commands=len(swarm.transfers), refused=swarm.refused)


@pytest.mark.parametrize("bug", BUGS_OF_A_FULL_DISK)
def test_a_planted_bug_is_found(small_disk: Path, seed: int, bug: str) -> None:
    program = [*PROGRAM, f"no floor,{bug}"]
    with pytest.raises(AssertionError):
        full = FullDisk(small_disk, random.Random(seed), program, PATIENCE_SECONDS_PER_BUG)
        judge(full.live_through(TIMES_FULL_PER_BUG))
