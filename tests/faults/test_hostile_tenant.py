"""Row 18: one hostile client with a token beside an honest one: what it costs the other, the disk and the memory.

A wait is measured in what the daemon's processor worked between a question and its answer, which is the same on a busy
machine; ``make attacks`` prints the milliseconds.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bench.neighbours import Honest, Host, Scene, furnish, hostile, quantile, revoke
from bench.tenants import KINDS, MALLORY
from websockets.exceptions import InvalidStatus

from tests.daemon.process import Daemon, transfer
from tests.daemon.process import furnish as furnish_wallets
from tests.faults.planted import BUGS_OF_TENANTS, PROGRAM
from tests.faults.rows import figure
from tests.faults.tally import tally
from walletd.sessions.access import token_hash

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


class StillIn(Exception):
    """The operator could not shut the client out."""


def shut_out_on_a_full_disk(disk: Path, *program: str) -> None:
    """A client with a token fills the disk; the operator revokes it; the daemon is killed, and starts on the full disk.

    Raises StillIn.
    """
    daemon = Daemon(disk / "data", environment={"WALLETD_SPACE_FLOOR_MEBIBYTES": "1"})
    daemon.program = [*program] or daemon.program
    with daemon:
        with daemon.client() as admin:
            furnish_wallets(admin, MALLORY, "bob", amount=100)
            token = {"token_sha256": token_hash("walletd_mallory")}
            admin.call("client.create", command_id="m", client=MALLORY, scopes=[f"spend:{MALLORY}"], **token)
            with daemon.client(additional_headers={"Authorization": "Bearer walletd_mallory"}) as mallory:
                mallory.call("transfer.post", **transfer("p", MALLORY, "bob", 1))
                room = os.statvfs(disk)
                with (disk / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
                    file.write(bytes(room.f_bavail * room.f_frsize))
                for number in range(3):
                    refused = mallory.refused("transfer.post", **transfer(f"full-{number}", MALLORY, "bob", 1))["data"]
                    assert refused["reason"] == "unavailable"
                try:
                    admin.call("client.revoke", command_id="r", client=MALLORY)
                except AssertionError as unavailable:
                    raise StillIn from unavailable
                assert mallory.close_code() == 4401
        daemon.kill()
        daemon.start()
        with pytest.raises(InvalidStatus):
            daemon.client(additional_headers={"Authorization": "Bearer walletd_mallory"})
        with daemon.client() as admin:
            assert admin.call("client.revoke", command_id="r", client=MALLORY)["replayed"]


def test_on_a_full_disk_the_operator_shuts_it_out_and_kill_9_does_not_let_it_in(small_disk: Path) -> None:
    shut_out_on_a_full_disk(small_disk)
    tally(revocations=1, kills=1)


@pytest.mark.interpreted
def test_without_the_reserve_it_stays_in(small_disk: Path) -> None:
    with pytest.raises(StillIn):
        shut_out_on_a_full_disk(small_disk, *PROGRAM, "no reserve")


FOUND_BY = {
    "no budget": ("long_batches",),
    "first come is first served": ("replays",),
}
"""The kinds of hostility that show the bug."""


@pytest.mark.interpreted
@pytest.mark.parametrize("bug", FOUND_BY)
def test_a_planted_bug_is_found(tmp_path: Path, bug: str) -> None:
    assert {*FOUND_BY, "no reserve"} == set(BUGS_OF_TENANTS)
    with host(tmp_path, *PROGRAM, bug) as made:
        found = violations(*made, FOUND_BY[bug], ACTS_PER_BUG)
    print(found)
    assert found
