"""Row 14: files that rot, are cut, lost or mixed with old copies: refused, or everything is there; never wrong data."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.daemon.process import Client, Daemon, furnish, transfer
from tests.faults.corruption import BUGS
from tests.faults.rows import figure
from tests.faults.tally import tally

DAMAGES = figure("TEST_DAMAGES")
DAMAGES_PER_BUG = 1_600
PARTS = 2
SEED = int(os.environ.get("TEST_SEED") or 1)
ROOT = Path(__file__).parents[2]
WALLETS = [f"w{number}" for number in range(6)]
COMMANDS_PER_LIFE = 60


def make_masters(folder: Path, chance: random.Random) -> Path:
    """Data folders as four lives of a daemon left them: ended well, killed, killed again, ended well."""
    masters = folder / "masters"
    masters.mkdir()
    daemon = Daemon(folder / "data")
    daemon.is_forked = True
    for number, end in enumerate([signal.SIGTERM, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]):
        with daemon:
            with daemon.client() as client:
                if number == 0:
                    furnish(client, *WALLETS, amount=10_000)
                live(client, chance, number)
                # A statement waits until the read tables show everything that was written.
                client.call("statement.get", wallet=WALLETS[0])
            daemon.signal(end)
            daemon.wait()
        shutil.copytree(
            daemon.data, masters / f"{number}-{end.name}", ignore=shutil.ignore_patterns("*.lock", "*-shm", "*.sock")
        )
        for ballast in masters.rglob("journal.ballast"):
            ballast.unlink()
    return masters


def live(client: Client, chance: random.Random, life: int) -> None:
    """Some of everything, each answered before the next is asked."""
    for number in range(COMMANDS_PER_LIFE):
        command_id = f"c{life}-{number}"
        payer, payee = chance.sample(WALLETS, 2)
        kind = chance.random()
        if kind < 0.7:
            client.ask("transfer.post", **transfer(command_id, payer, payee, chance.randint(1, 4000)))
        elif kind < 0.85:
            hold = client.ask("hold.place", command_id=command_id, wallet=payer, asset="EUR", amount="30")
            if "result" in hold and chance.random() < 0.5:
                name = hold["result"]["hold"]
                client.call("hold.void", command_id=f"{command_id}-v", wallet=payer, hold=name)
        else:
            until = (datetime.now(UTC) + timedelta(days=9)).isoformat()
            client.ask("wallet.freeze", command_id=command_id, wallet=payer, frozen="debits", why="w", until=until)
            client.ask("wallet.unfreeze", command_id=f"{command_id}-u", wallet=payer)


def damaged(masters: Path, seed: int, damages: int, bug: str = "") -> tuple[dict[str, int], list[str]]:
    """So many damages in some processes: how they ended, and what was wrong."""
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.faults.corruption", str(masters), str(seed + part), str(damages // PARTS)]
            + ([bug] if bug else []),
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        for part in range(PARTS)
    ]
    ends: dict[str, int] = {}
    violations: list[str] = []
    for process in running:
        report = json.loads(process.communicate()[0])
        violations += report["violations"]
        for end, count in report["ends"].items():
            ends[end] = ends.get(end, 0) + count
    return ends, violations


@pytest.fixture(scope="module")
def masters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: nothing is damaged but copies of them."""
    return make_masters(tmp_path_factory.mktemp("rot"), random.Random(SEED))


@pytest.mark.timeout(0)
def test_damage_is_refused_or_does_no_harm(masters: Path, seed: int) -> None:
    ends, violations = damaged(masters, seed, DAMAGES)
    print(f"ended with: {ends}")
    assert violations == []
    assert ends["served"] > DAMAGES // 20
    assert sum(ends.values()) - ends["served"] > DAMAGES // 20
    tally(faults=sum(ends.values()), refused=sum(ends.values()) - ends["served"])


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(masters: Path, seed: int, bug: str) -> None:
    _, violations = damaged(masters, seed, DAMAGES_PER_BUG, bug)
    assert violations, f"no damage shows that {bug}"
