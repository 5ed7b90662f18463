"""kill -9 at any moment: what was acknowledged is there after the restart, and the journal verifies."""

import random
import subprocess
import sys
from pathlib import Path

from walletd.journal.offline import read_offline
from walletd.journal.sqlite.directory import DATABASE_NAME
from walletd.journal.verification import verified

KILLS = 25
ROOT = Path(__file__).parents[2]


def live_and_die(directory: Path, chance: random.Random, *arguments: str) -> int:
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


def test_the_kills_would_find_an_acknowledgement_before_the_commit(tmp_path: Path, chance: random.Random) -> None:
    """A planted fault must show in a few kills."""
    for attempt in range(KILLS):
        directory = tmp_path / f"journal-{attempt}"
        acknowledged = live_and_die(directory, chance, "early")
        if recovered(directory) < acknowledged:
            return
    raise AssertionError("no kill lost an entry that had been acknowledged too early")
