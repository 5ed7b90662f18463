"""Load: each level is reached where more waits than it allows, and each has its consequence."""

from typing import Any, cast

import pytest
import trio

from walletd.journal.failures import JournalFull
from walletd.journal.queue import Pending, Queue
from walletd.tables.projector import Projector
from walletd.vocabulary.reasons import Reason
from walletd.wallets.load import ALL_SHARES, MOST_WAITING, PACE_SECONDS, PRESSED_BY, SMALLEST_SHARE, Level, Load

ROOM = 10_000


class Backlog:
    """A projector as the load sees it; each transaction gives back so much of its room."""

    def __init__(self) -> None:
        self.taken = 0.0
        self.freed_by_each = 0.0

    async def advance(self) -> None:
        if self.freed_by_each:
            await trio.sleep(0.01)
            self.taken -= self.freed_by_each
        else:
            await trio.sleep_forever()


@pytest.fixture
def backlog() -> Backlog:
    return Backlog()


@pytest.fixture
def queue() -> Queue[Any]:
    return Queue(0, max_entries=ROOM, max_bytes=ROOM)


@pytest.fixture
def load(queue: Queue[Any], backlog: Backlog) -> Load:
    return Load(queue, cast(Projector, backlog))


def wait(queue: Queue[Any], entries: int, record: bytes = b"") -> None:
    """Have so many entries wait for the disk."""
    for _ in range(entries):
        queue.append(Pending(queue.head + 1, record, b"", None))


@pytest.mark.parametrize(
    ("waiting", "taken", "level"),
    [
        (0, 0.0, Level.EASY),
        (PRESSED_BY, 0.49, Level.EASY),
        (PRESSED_BY + 1, 0.0, Level.PRESSED),
        (0, 0.5, Level.PRESSED),
        (MOST_WAITING, 0.74, Level.PRESSED),
        (MOST_WAITING - 1, 0.75, Level.BEHIND),
        (MOST_WAITING, 0.75, Level.FULL),
        (0, 1.0, Level.FULL),
        (ROOM, 0.0, Level.FULL),
    ],
)
def test_the_level_is_that_of_what_is_fuller(
    load: Load, queue: Queue[Any], backlog: Backlog, waiting: int, taken: float, level: Level
) -> None:
    wait(queue, waiting)
    backlog.taken = taken
    assert load.level is level
    assert (load.obstacle() is not None) == (level is Level.FULL)


def test_the_obstacle_names_what_is_full(load: Load, queue: Queue[Any], backlog: Backlog) -> None:
    backlog.taken = 1.0
    reason, facts = load.obstacle() or pytest.fail("there is one")
    assert (reason, facts["what"]) == (Reason.OVERLOADED, "the projector's backlog")
    wait(queue, 1, b"x" * ROOM)
    reason, facts = load.obstacle() or pytest.fail("there is one")
    assert (reason, facts["what"]) == (Reason.OVERLOADED, "the journal's queue")
    queue.degraded = JournalFull("no space")
    reason, _ = load.obstacle() or pytest.fail("there is one")
    assert reason is Reason.UNAVAILABLE


def test_a_session_keeps_to_its_share_only_under_pressure(load: Load, backlog: Backlog) -> None:
    assert not load.exceeds_share(ALL_SHARES, 1)
    backlog.taken = 0.5
    assert load.exceeds_share(ALL_SHARES, 1)
    assert not load.exceeds_share(ALL_SHARES - 1, 1)
    assert load.exceeds_share(SMALLEST_SHARE, ALL_SHARES)
    assert not load.exceeds_share(SMALLEST_SHARE - 1, ALL_SHARES)


async def test_commits_wait_while_the_projector_is_behind(load: Load, backlog: Backlog, autojump_clock: Any) -> None:
    begun = trio.current_time()
    backlog.taken = 0.74
    await load.catch_up()
    assert trio.current_time() == begun, "three quarters are not full yet"
    backlog.taken, backlog.freed_by_each = 0.8, 0.05
    assert load.is_behind
    await load.catch_up()
    assert not load.is_behind
    assert trio.current_time() - begun < PACE_SECONDS


async def test_a_projector_that_cannot_write_holds_nobody_up_for_long(
    load: Load, backlog: Backlog, autojump_clock: Any
) -> None:
    backlog.taken = 1.0
    begun = trio.current_time()
    await load.catch_up()
    assert trio.current_time() - begun == pytest.approx(PACE_SECONDS)
    assert load.is_behind
