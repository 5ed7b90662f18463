"""Row 18: one hostile client with a token beside an honest one: what it costs the other, the disk and the memory.

A wait is measured in what the daemon's processor worked between a question and its answer, which is the same on a busy
machine; ``make attacks`` prints the milliseconds.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bench.neighbours import Honest, Host, Scene, furnish, hostile, quantile, revoke
from bench.tenants import KINDS

from tests.daemon.process import Daemon
from tests.faults.planted import BUGS_OF_TENANTS, PROGRAM
from tests.faults.rows import figure
from tests.faults.tally import tally

ACTS = figure("TEST_TENANT_ACTS")
ACTS_PER_BUG = 3
MEBIBYTE = 1024 * 1024
LONGEST_WAIT = 0.25
"""Seconds of the daemon's processor between an honest question and its answer, at the 99th percentile."""

LONGEST_REVOCATION = 1.0
MOST_MORE_BYTES = 64 * MEBIBYTE
JOURNAL_BYTES_PER_SECOND = MEBIBYTE
AT_WORK_SECONDS = 0.4
"""Of the daemon's processor, for the hostile client before the honest one comes."""

PATIENCE_SECONDS = 60
HUNG_SECONDS = 20
"""An honest client that has waited so long need not wait longer to be found."""

ALL = (*KINDS, "connections")
TOGETHER = ("dry_runs", "filtered_statements", "replays", "prefixes")


@contextmanager
def host(folder: Path, *program: str) -> Iterator[tuple[Host, Scene]]:
    """A daemon with its default settings, or one with a planted bug."""
    daemon = Daemon(folder / "data")
    daemon.program = [*program] or daemon.program
    with daemon:
        assert daemon.process is not None
        at = Host(daemon.url, daemon.token, daemon.process.pid, daemon.data)
        yield at, furnish(at)
        assert "Traceback" not in daemon.log()


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, Scene]]:
    with host(tmp_path_factory.mktemp("tenants")) as made:
        yield made


def violations(at: Host, scene: Scene, kinds: tuple[str, ...], acts: int) -> list[str]:
    """What an honest client, the memory and the disk should not see of these kinds of hostility."""
    honest, found = Honest(at, scene, HUNG_SECONDS), []
    honest.do(1)
    resident, size, began = at.memory(), at.journal_bytes(), time.monotonic()
    at.forget_peak()
    with hostile(at, scene, kinds):
        _until_at_work(at)
        try:
            for act, waits in honest.do(acts).items():
                wait = quantile([one.processor for one in waits], 0.99)
                if wait > LONGEST_WAIT:
                    found.append(f"a {act} waits for {wait:.2f} s of the daemon's processor")
        except TimeoutError:
            found.append(f"an honest client waits for more than {HUNG_SECONDS} s")
        grown, seconds = at.journal_bytes() - size, time.monotonic() - began
        if grown > JOURNAL_BYTES_PER_SECOND * (seconds + 1):
            found.append(f"{grown / MEBIBYTE:.1f} MiB are journaled in {seconds:.1f} s")
        if at.peak() - resident > MOST_MORE_BYTES:
            found.append(f"{(at.peak() - resident) / MEBIBYTE:.0f} MiB more are resident")
    honest.close()
    return found


def _until_at_work(at: Host) -> None:
    used, end = at.processor_seconds(), time.monotonic() + PATIENCE_SECONDS
    while at.processor_seconds() - used < AT_WORK_SECONDS:
        assert time.monotonic() < end, "the hostile client does nothing"
        time.sleep(0.01)


@pytest.mark.parametrize("kind", ALL)
def test_beside_a_hostile_client_an_honest_one_is_served(town: tuple[Host, Scene], kind: str) -> None:
    assert violations(*town, (kind,), ACTS) == []
    tally(honest_acts=5 * ACTS)


def test_beside_all_of_it_together_an_honest_client_is_served_and_the_operator_ends_it(tmp_path: Path) -> None:
    with host(tmp_path) as (at, scene):
        assert violations(at, scene, TOGETHER, ACTS) == []
        with hostile(at, scene, TOGETHER):
            _until_at_work(at)
            wait = revoke(at)
        assert wait.processor < LONGEST_REVOCATION
    tally(honest_acts=5 * ACTS, revocations=1)


FOUND_BY = {
    "no budget": ("refused_batches", "dry_runs", "filtered_statements"),
    "first come is first served": ("replays",),
}
"""The kinds of hostility that show the bug."""


@pytest.mark.interpreted
@pytest.mark.parametrize("bug", BUGS_OF_TENANTS)
def test_a_planted_bug_is_found(tmp_path: Path, bug: str) -> None:
    with host(tmp_path, *PROGRAM, bug) as made:
        found = violations(*made, FOUND_BY[bug], ACTS_PER_BUG)
    print(found)
    assert found
