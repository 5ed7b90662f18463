"""Expiry: exact in decisions and reads, recorded by an entry, also when the daemon was down at the time."""

import random
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.ledger import cases
from tests.names import ALICE, EUR
from tests.wallets.conftest import answered, define, open_core, opening, submit, transfer
from walletd.journal.memory.store import MemoryJournalStore
from walletd.tables.queries.holds import Expiry, Key
from walletd.vocabulary.commands import ExpireHold, PlaceHold
from walletd.vocabulary.entries import HoldRecord
from walletd.vocabulary.identifiers import DAEMON, HoldId
from walletd.vocabulary.states import HoldState
from walletd.wallets.submission import Answer
from walletd.wallets.timers import (
    KEPT,
    RETRY_SECONDS,
    Timers,
    expiry_id,
    key_of,
)

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Clock:
    """A clock that a test puts forward."""

    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        return self.time


def hold(command_id: str, amount: int, expires_at: datetime | None = None) -> PlaceHold:
    return cases.place("alice", "EUR", amount, command_id=command_id, expires_at=expires_at)


class Tables:
    """The open holds that will expire, as the read tables have them."""

    def __init__(self, expiries: Iterable[Expiry] = ()) -> None:
        self.open = {hold: (moment, wallet, hold) for moment, wallet, hold in expiries}
        self.meanwhile: list[Callable[[], None]] = []

    async def read(self, after: Key | None, limit: int) -> list[Expiry]:
        found = sorted((each for each in self.open.values() if after is None or key_of(each) > after), key=key_of)
        await trio.lowlevel.checkpoint()
        while self.meanwhile:
            self.meanwhile.pop()()
        return found[:limit]


async def hold_ids(core: Any, *commands: PlaceHold) -> list[str]:
    """Alice has 1000 EUR, and these holds."""
    await answered(submit(core, define()), submit(core, opening("alice")), submit(core, opening("bob")))
    await answered(submit(core, transfer("fund", ("@external", "alice", 1000))))
    placed = [submit(core, command) for command in commands]
    await answered(*placed)
    return [outcomes.effects.holds[0].hold for outcomes in placed]


async def recorded(core: Any, hold: str) -> HoldState:
    """The state of the hold in its last record."""
    await core.projector.reach(core.writer.durable_head)
    rows = await core.stored.tables._query("SELECT record FROM hold WHERE number = ?", (int(hold[1:]),))
    return HoldState(__import__("msgspec").json.decode(rows[0][0])["state"])


async def wait_for_entry(core: Any, number: int) -> None:
    with trio.fail_after(60):
        while core.writer.durable_head < number:
            await trio.sleep(0.01)
    await core.projector.reach(number)


async def test_an_expiry_is_recorded_by_the_daemon_soon_after_its_time(tmp_path: Path) -> None:
    clock = Clock()
    async with open_core(tmp_path, MemoryJournalStore(), clock=clock) as core:
        (name,) = await hold_ids(core, hold("place", 300, NOON + MINUTE))
        head = core.writer.durable_head
        clock.time += MINUTE
        core.timers.wake()
        await wait_for_entry(core, head + 1)
        entry = (await core.stored.history.entry(head + 1)).entry
        assert isinstance(entry.command, ExpireHold)
        assert (entry.principal, entry.command.command_id) == (DAEMON, expiry_id(HoldId(name), NOON + MINUTE))
        assert entry.effects is not None
        assert [(h.hold, h.state) for h in entry.effects.holds] == [(name, HoldState.EXPIRED)]
        assert [(b.held, b.available) for b in entry.effects.balances] == [("0", "1000")]


async def test_holds_of_one_wallet_that_expire_together_are_recorded_by_one_entry(tmp_path: Path) -> None:
    clock = Clock()
    async with open_core(tmp_path, MemoryJournalStore(), clock=clock) as core:
        names = await hold_ids(core, *(hold(f"place{number}", 1, NOON + MINUTE) for number in range(150)))
        head = core.writer.durable_head
        clock.time += MINUTE
        core.timers.wake()
        await wait_for_entry(core, head + 1)
        await trio.sleep(0.05)
        await core.writer.drain()
        assert core.writer.durable_head == head + 1, "the others are not asked about, and refused, one by one"
        effects = (await core.stored.history.entry(head + 1)).entry.effects
        assert effects is not None
        assert [h.hold for h in effects.holds] == names
        assert len(core.timers) == 0


async def test_what_fell_due_while_the_daemon_was_down_is_recorded_at_the_start(tmp_path: Path) -> None:
    clock, store = Clock(), MemoryJournalStore()
    async with open_core(tmp_path, store, clock=clock) as core:
        (name,) = await hold_ids(core, hold("place", 300, NOON + MINUTE))
        head = core.writer.durable_head
    clock.time += MINUTE
    async with open_core(tmp_path, MemoryJournalStore(store.disk), clock=clock) as core:
        await wait_for_entry(core, head + 1)
        assert await recorded(core, name) is HoldState.EXPIRED
    async with open_core(tmp_path, MemoryJournalStore(store.disk), clock=clock) as core:
        await trio.sleep(0.05)
        assert core.writer.durable_head == head + 1


async def test_reads_and_decisions_know_of_the_expiry_before_it_is_recorded(tmp_path: Path) -> None:
    clock = Clock()
    async with open_core(tmp_path, MemoryJournalStore(), clock=clock) as core:
        first, other = await hold_ids(core, hold("one", 300, NOON + MINUTE), hold("two", 200))
        await core.projector.reach(core.writer.durable_head)
        clock.time += MINUTE
        (view,) = (await core.stored.tables.some_wallets([ALICE])).wallets
        assert [(b.held, b.available) for b in view.balances] == [("200", "800")]
        assert [h.hold for h in (await core.stored.tables.list_holds(ALICE, False, None, 10)).holds] == [other]
        everything = (await core.stored.tables.list_holds(ALICE, True, None, 10)).holds
        assert [(h.hold, h.state, h.reserved) for h in everything] == [
            (first, HoldState.EXPIRED, "0"),
            (other, HoldState.OPEN, "200"),
        ]
        capture = cases.capture("alice", first, ("bob", 1), command_id="late")
        late, rest = submit(core, capture), submit(core, transfer("all", ("alice", "bob", 800)))
        await answered(late, rest)
        assert late.refusal.reason.value == "hold_not_open"
        assert [h.state for h in rest.effects.holds] == [HoldState.EXPIRED]
        await trio.sleep(0.05)
        core.timers.wake()
        assert isinstance(rest[0], Answer)


async def test_holds_survive_a_restart_and_the_loss_of_the_read_tables(tmp_path: Path) -> None:
    clock, store = Clock(), MemoryJournalStore()
    async with open_core(tmp_path, store, clock=clock) as core:
        first, other = await hold_ids(core, hold("one", 300, NOON + MINUTE), hold("two", 200))
        capture = cases.capture("alice", first, ("bob", 100), command_id="some")
        await answered(submit(core, capture))
    for file in tmp_path.glob("state.db*"):
        file.unlink()
    async with open_core(tmp_path, MemoryJournalStore(store.disk), clock=clock) as core:
        capture = cases.capture("alice", first, ("bob", 200), command_id="more")
        captured = submit(core, capture)
        voided = submit(core, cases.void("alice", other, command_id="void"))
        await answered(captured, voided)
        assert [h.state for h in captured.effects.holds] == [HoldState.CAPTURED]
        assert voided.effects.balances[0].available == "700"
        assert len(core.timers) == 0


async def test_a_timer_sleeps_until_something_is_due_and_tries_again_what_was_not_decided(autojump_clock: Any) -> None:
    start = trio.current_time()
    tried: list[tuple[float, str]] = []

    def submit_command(command: ExpireHold, decided: Any) -> None:
        tried.append((trio.current_time() - start, command.hold))
        decided(len(tried) > 1)

    tables = Tables((NOON + timedelta(seconds=n), ALICE, HoldId(f"h{n}")) for n in (500, 5))
    timers = Timers(submit_command, lambda: NOON + timedelta(seconds=trio.current_time() - start), tables.read)
    await timers.load()
    async with trio.open_nursery() as nursery:
        await nursery.start(timers.run)
        await trio.sleep(1000)
        nursery.cancel_scope.cancel()
    assert [name for _, name in tried] == ["h5", "h5", "h500"]
    assert [at for at, _ in tried] == pytest.approx([5, 5 + RETRY_SECONDS, 500], abs=0.01)
    assert len(timers) == 0


def record(hold: str, expires_at: datetime | None, state: HoldState = HoldState.OPEN) -> HoldRecord:
    return HoldRecord(
        hold=HoldId(hold),
        wallet=ALICE,
        asset=EUR,
        amount="1",
        captured="0",
        state=state,
        placed_at=NOON,
        expires_at=expires_at,
    )


async def test_only_the_next_expiries_are_in_memory_however_many_there_are() -> None:
    tables = Tables((NOON + timedelta(seconds=n), ALICE, HoldId(f"h{n}")) for n in range(3 * KEPT))
    timers = Timers(lambda command, decided: None, lambda: NOON, tables.read)
    await timers.load()
    assert len(timers) == KEPT
    timers.follow(record(f"h{n}", NOON + timedelta(days=1, seconds=n)) for n in range(3 * KEPT, 4 * KEPT))
    assert len(timers) == KEPT
    timers.follow(record(f"h{n}", NOON) for n in range(4 * KEPT, 7 * KEPT))
    assert len(timers) <= 2 * KEPT


async def test_a_hold_that_is_released_while_the_tables_are_read_does_not_expire(autojump_clock: Any) -> None:
    tables = Tables([(NOON, ALICE, HoldId("h1")), (NOON, ALICE, HoldId("h2"))])
    submitted: list[str] = []
    timers = Timers(lambda command, decided: submitted.append(command.hold), lambda: NOON, tables.read)
    tables.meanwhile.append(lambda: timers.follow([record("h1", NOON, HoldState.VOIDED)]))
    await timers.load()
    async with trio.open_nursery() as nursery:
        await nursery.start(timers.run)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert submitted == ["h2"]


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_becomes_of_holds_each_expires_once_at_its_last_moment(
    seed: int, autojump_clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Holds are placed, extended, shortened and voided at random, more of them than are kept."""
    print("seed", seed)
    monkeypatch.setattr("walletd.wallets.timers.KEPT", 5)
    chance, start, tables = random.Random(seed), trio.current_time(), Tables()
    submitted: list[tuple[str, datetime]] = []
    expected: dict[str, datetime] = {}

    def clock() -> datetime:
        return NOON + timedelta(seconds=trio.current_time() - start)

    def submit_command(command: ExpireHold, decided: Any) -> None:
        assert expected[command.hold] <= clock(), "too early"
        submitted.append((command.hold, expected.pop(command.hold)))
        del tables.open[command.hold]
        timers.follow([record(command.hold, None, HoldState.EXPIRED)])
        decided(True)

    def change() -> None:
        hold = HoldId(f"h{chance.randrange(60)}")
        if hold in expected and chance.random() < 0.3:
            del expected[hold], tables.open[hold]
            timers.follow([record(hold, None, HoldState.VOIDED)])
        else:
            moment = clock() + timedelta(seconds=chance.randrange(1, 200))
            expected[hold], tables.open[hold] = moment, (moment, ALICE, hold)
            timers.follow([record(hold, moment)])
        if chance.random() < 0.3:
            tables.meanwhile.append(change)

    timers = Timers(submit_command, clock, tables.read)
    await timers.load()
    async with trio.open_nursery() as nursery:
        await nursery.start(timers.run)
        for _ in range(300):
            change()
            await trio.sleep(chance.choice([0, 0, 1, 10]))
        tables.meanwhile.clear()
        await trio.sleep(300)
        nursery.cancel_scope.cancel()
    assert not expected
    assert len(timers) == 0
    assert len(submitted) > 20
