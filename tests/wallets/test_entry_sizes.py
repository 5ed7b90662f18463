"""No entry is larger than what a client takes in one message, whatever comes together at one moment."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.ledger import cases
from tests.names import ALICE, EUR
from tests.wallets.conftest import Outcomes, answered, define, open_core, opening, submit, transfer
from tests.wallets.test_timers import MINUTE, NOON, Clock
from walletd.journal.history import entries_of
from walletd.journal.memory.store import MemoryJournalStore
from walletd.journal.writer import WriterLimits
from walletd.ledger import entry_size
from walletd.ledger.audit import Audit
from walletd.streams import publisher
from walletd.tables import backlog
from walletd.vocabulary.commands import AnyCommand, ExecuteBatch, ExpireHold, PlaceHold, WalletLimits, Window
from walletd.vocabulary.entries import Effects, Entry, Refusal, decode_entry
from walletd.vocabulary.identifiers import DAEMON, CommandId, WalletId
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.sizes import MAX_ENTRY_BYTES
from walletd.vocabulary.states import HoldState

pytestmark = pytest.mark.interpreted  # They make the compiled modules' bounds small.

WIDE = {f"{number:02}" + "k" * 38: "\U0001f600" * 500 for number in range(16)}
"""As much metadata as there can be: 33 kB."""


def hold(wallet: str, number: int, **more: Any) -> PlaceHold:
    return cases.place(wallet, "EUR", 1, command_id=f"{wallet}-{number}", expires_at=NOON + MINUTE, **more)


def under(directory: Path, name: str) -> Path:
    """A directory in this one, which is made."""
    (directory / name).mkdir()
    return directory / name


async def with_money(core: Any, *wallets: str) -> None:
    """These wallets have 10,000 EUR each."""
    await answered(submit(core, define()), *(submit(core, opening(wallet)) for wallet in wallets))
    await answered(*(submit(core, transfer(f"fund-{wallet}", ("@external", wallet, 10_000))) for wallet in wallets))


async def applied(*outcomes: Outcomes) -> None:
    await answered(*outcomes)
    assert all(each.entry.refusal is None for each in outcomes)


async def journaled(store: MemoryJournalStore) -> list[bytes]:
    """Every entry's bytes."""
    found: list[bytes] = []
    while segments := await store.read(after=len(found)):
        found += [durable.record for segment in segments for durable in entries_of(segment)]
    return found


async def entries_within_bounds(store: MemoryJournalStore) -> list[Entry]:
    """Every entry, none too large, and each what the rules say of its command."""
    audit, entries = Audit(), []
    for record in await journaled(store):
        assert len(record) <= MAX_ENTRY_BYTES
        entries.append(decode_entry(record))
        audit.fold(entries[-1])
    assert audit.close() == []
    return entries


def expired_in(entry: Entry) -> int:
    return 0 if entry.effects is None else sum(each.state is HoldState.EXPIRED for each in entry.effects.holds)


# --- holds that end at one moment ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "metadata"), [(60, WIDE), (1_200, {})], ids=["wide", "many"])
async def test_holds_that_end_at_one_moment_take_as_many_entries_as_they_need(
    tmp_path: Path, number: int, metadata: dict[str, str]
) -> None:
    clock, store = Clock(), MemoryJournalStore()
    async with open_core(tmp_path, store, clock=clock) as core:
        await with_money(core, "alice", "bob")
        await applied(*(submit(core, hold("alice", count, metadata=metadata)) for count in range(number)))
        clock.time = NOON + MINUTE
        core.timers.wake()
        while core.wallets.books.wallets[ALICE].holds:
            await answered(submit(core, transfer(f"other-{core.writer.head}", ("@external", "bob", 1))))
        assert core.wallets.books.wallets[ALICE].balance(EUR).held == 0
        await answered(submit(core, transfer("end", ("alice", "bob", 10_000))))
    entries = await entries_within_bounds(store)
    expiries = [entry for entry in entries if isinstance(entry.command, ExpireHold)]
    assert sum(map(expired_in, expiries)) == number
    assert all(entry.refusal is None for entry in expiries)
    assert all(expired_in(entry) == entry.command.most for entry in expiries)  # type: ignore[union-attr]
    assert max(map(expired_in, expiries)) <= entry_size.MAX_EXPIRED
    assert len(expiries) >= (8 if metadata else 3)


@pytest.mark.parametrize("kind", ["payment", "batch", "void", "dry run", "closing"])
async def test_a_command_that_finds_many_expired_holds_has_them_taken_in_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(entry_size, "MAX_EXPIRED", 10)
    clock, store = Clock(), MemoryJournalStore()
    async with open_core(tmp_path, store, clock=clock) as core:
        await with_money(core, "alice", "bob", "carol")
        placed = [submit(core, hold(name, count)) for name in ("alice", "bob") for count in range(35)]
        await applied(
            *placed,
            submit(
                core,
                cases.place("alice", "EUR", 1, command_id="stays", metadata=WIDE),
            ),
        )
        stays = core.wallets.books.wallets[ALICE]
        name = next(each.hold for each in stays.holds.values() if each.expires_at is None)
        begun = core.writer.head
        clock.time = NOON + MINUTE + timedelta(seconds=1)  # The timers sleep still.
        commands: dict[str, AnyCommand] = {
            "payment": transfer("late", ("alice", "bob", 10_000 - 1)),
            "batch": ExecuteBatch(
                command_id=CommandId("late"), commands=(transfer("l1", ("alice", "bob", 10_000 - 1)),)
            ),
            "void": cases.void("alice", name, command_id="late"),
            "dry run": transfer("late", ("alice", "bob", 10_000 - 1), dry_run=True),
            "closing": cases.close("bob", "alice", command_id="late"),
        }
        first = submit(core, commands[kind])
        second = submit(core, transfer("behind", ("alice", "bob", 1)))
        beside = submit(core, transfer("beside", ("@external", "carol", 1)))
        await answered(beside)
        assert not first  # Everybody else is served meanwhile.
        await answered(first, second)
        if kind == "dry run":
            assert isinstance(first.foreseen.verdict, Effects)
            assert len(first.foreseen.verdict.holds) <= 10
        else:
            assert first.entry.refusal is None
            assert second.entry.sequence > first.entry.sequence
            assert expired_in(first.entry) <= 10
    entries = await entries_within_bounds(store)
    taken_in = [entry for entry in entries[begun:] if expired_in(entry)]
    assert all(expired_in(entry) <= 10 for entry in taken_in)
    assert sum(map(expired_in, taken_in)) == 70
    own = [entry for entry in entries[begun:] if isinstance(entry.command, ExpireHold)]
    assert {entry.principal for entry in own} == {DAEMON}


async def test_what_waits_for_expiries_is_told_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry_size, "MAX_EXPIRED", 1)
    clock, store = Clock(), MemoryJournalStore()
    async with open_core(tmp_path, store, clock=clock) as core:
        await with_money(core, "alice", "bob")
        await applied(*(submit(core, hold("alice", count)) for count in range(4)))
        clock.time = NOON + MINUTE + timedelta(seconds=1)
        store.is_full = True
        outcomes = submit(core, transfer("late", ("alice", "bob", 10_000)))
        await answered(outcomes)
        assert outcomes.declined.reason is Reason.UNAVAILABLE
        store.is_full = False
        while core.writer.degraded is not None:
            await trio.sleep(0.05)
        again = submit(core, transfer("late", ("alice", "bob", 10_000)))
        await applied(again)
    await entries_within_bounds(store)


async def test_expiries_of_many_wallets_let_others_in_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, store = Clock(), MemoryJournalStore()
    names = [f"w{number:02}" for number in range(40)]
    async with open_core(tmp_path, store, clock=clock) as core:
        monkeypatch.setattr(core.writer, "_limits", WriterLimits(max_segment_bytes=2_000))
        await with_money(core, "bob", *names)
        await applied(*(submit(core, hold(name, count)) for name in names for count in range(5)))
        clock.time = NOON + MINUTE
        core.timers.wake()
        most = 0
        while any(core.wallets.books.wallets[WalletId(name)].holds for name in names):
            await answered(submit(core, transfer(f"other-{core.writer.head}", ("@external", "bob", 1))))
            most = max(most, core.writer.head - core.writer.durable_head)
    expiries = [entry for entry in await entries_within_bounds(store) if isinstance(entry.command, ExpireHold)]
    assert len(expiries) == len(names)
    assert most < 20  # And not all forty at once.


# --- what is refused for its size ----------------------------------------------------------------------------------


def wide_batch(name: str, number: int, *, atomic: bool = True) -> ExecuteBatch:
    """A small command whose entry is large: it freezes wallets with much metadata."""
    commands = tuple(cases.freeze(f"wide{count}", command_id=f"{name}-{count}", why="check") for count in range(number))
    return ExecuteBatch(command_id=CommandId(name), commands=commands, atomic=atomic)


async def with_wide_wallets(core: Any, number: int) -> None:
    opened = [submit(core, opening(f"wide{count}")) for count in range(number)]
    await applied(*opened)
    described = [
        submit(core, cases.update(f"wide{count}", WIDE, command_id=f"describe-{count}")) for count in range(number)
    ]
    await applied(*described)


@pytest.mark.parametrize("atomic", [True, False])
async def test_a_batch_is_refused_where_its_entry_would_be_too_large_and_again_when_it_is_sent_again(
    tmp_path: Path, atomic: bool
) -> None:
    store = MemoryJournalStore()
    async with open_core(under(tmp_path, "one"), store) as core:
        await with_wide_wallets(core, 30)
        outcomes = submit(core, wide_batch("b", 30, atomic=atomic))
        await answered(outcomes)
        refusal = outcomes.refusal
        assert refusal.reason is Reason.ENTRY_TOO_LARGE
        assert refusal.facts["number"] > refusal.facts["limit"] == MAX_ENTRY_BYTES
        assert core.wallets.books.wallets[WalletId("wide0")].freeze is None
        tried = submit(
            core,
            ExecuteBatch(command_id=CommandId("tried"), commands=wide_batch("t", 30).commands, dry_run=True),
        )
        await answered(tried)
        assert isinstance(tried.foreseen.verdict, Refusal)
        assert tried.foreseen.verdict.reason is Reason.ENTRY_TOO_LARGE
        await applied(submit(core, wide_batch("half", 15, atomic=atomic)))
    async with open_core(under(tmp_path, "two"), store) as core:
        again = submit(core, wide_batch("b", 30, atomic=atomic))
        await answered(again)
        assert again.answer.replayed
        assert again.refusal == refusal
    await entries_within_bounds(store)


async def test_a_batch_at_the_edge_is_applied_and_one_byte_more_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryJournalStore()
    async with open_core(tmp_path, store) as core:
        await with_wide_wallets(core, 2)
        first = submit(core, wide_batch("b1", 2))
        await applied(first)
        size = len(first.answer.durable.record)
        monkeypatch.setattr(entry_size, "MAX_ENTRY_BYTES", size)
        await applied(submit(core, wide_batch("b2", 2)))
        monkeypatch.setattr(entry_size, "MAX_ENTRY_BYTES", size - 1)
        refused = submit(core, wide_batch("b3", 2))
        await answered(refused)
        assert refused.refusal.facts["number"] == size


async def test_what_a_batch_answers_for_each_refused_command_counts(tmp_path: Path) -> None:
    async with open_core(tmp_path, MemoryJournalStore()) as core:
        await with_money(core, "alice")
        why = "\U0001f600" * 128
        frozen = [f"f{count}" for count in range(4)]
        await applied(*(submit(core, opening(name)) for name in frozen))
        await applied(*(submit(core, cases.freeze(n, command_id=f"x{n}", why=why)) for n in frozen))
        commands = tuple(transfer(f"p{count}", ("alice", frozen[count % 4], 1)) for count in range(1000))
        outcomes = submit(core, ExecuteBatch(command_id=CommandId("b"), commands=commands, atomic=False))
        await answered(outcomes)
        assert outcomes.refusal.reason is Reason.ENTRY_TOO_LARGE
        assert len(outcomes.answer.durable.record) <= MAX_ENTRY_BYTES


async def test_a_sweep_is_refused_where_its_entry_would_be_too_large_and_parts_of_it_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry_size, "MAX_ENTRY_BYTES", 10_000)
    store = MemoryJournalStore()
    async with open_core(tmp_path, store) as core:
        codes = [f"A{number}" for number in range(80)]
        await applied(*(submit(core, define(code)) for code in codes))
        await applied(submit(core, opening("alice")), submit(core, opening("bob")))
        await applied(*(submit(core, transfer(f"f{c}", ("@external", "alice", 5), asset=c)) for c in codes))
        refused = submit(core, cases.close("alice", "bob", command_id="close"))
        await answered(refused)
        assert refused.refusal.reason is Reason.ENTRY_TOO_LARGE
        await applied(*(submit(core, transfer(f"m{c}", ("alice", "bob", 5), asset=c)) for c in codes[:50]))
        await applied(submit(core, cases.close("alice", "bob", command_id="close2")))
    await entries_within_bounds(store)


async def test_a_hold_is_raised_only_as_often_as_its_end_can_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry_size, "MAX_RAISES", 5)
    clock, store = Clock(), MemoryJournalStore()
    async with open_core(tmp_path, store, clock=clock) as core:
        await with_money(core, "alice")
        windows = WalletLimits(velocity=(Window(seconds=30, amount="9000"),))
        await applied(submit(core, cases.update("alice", command_id="limit", limits={"EUR": windows})))
        placed = submit(core, cases.place("alice", "EUR", 1, command_id="p"))
        await applied(placed)
        name = placed.effects.holds[0].hold
        await applied(
            *(submit(core, cases.adjust("alice", name, amount, command_id=f"a{amount}")) for amount in range(2, 6))
        )
        more = cases.adjust("alice", name, 6, command_id="more")
        refused = submit(core, more)
        await answered(refused)
        refusal = refused.refusal
        assert (refusal.reason, refusal.facts["number"]) == (Reason.ENTRY_TOO_LARGE, 6)
        clock.time += timedelta(seconds=31)  # They have left the window, and nothing of them is given back.
        await applied(submit(core, cases.adjust("alice", name, 6, command_id="later")))
        await applied(submit(core, cases.void("alice", name, command_id="v")))


async def test_a_wallet_has_limits_of_so_many_assets_and_no_more_by_several_commands(tmp_path: Path) -> None:
    store = MemoryJournalStore()
    async with open_core(tmp_path, store) as core:
        codes = [f"A{number}" for number in range(40)]
        await applied(*(submit(core, define(code)) for code in codes), submit(core, opening("alice")))
        limits = {code: WalletLimits(maximum="5") for code in codes}

        def update(name: str, chosen: list[str]) -> Outcomes:
            named = {code: limits[code] for code in chosen}
            return submit(core, cases.update("alice", command_id=name, limits=named))

        await applied(update("u1", codes[:20]), update("u2", codes[12:32]))
        refused = update("u3", codes[32:33])
        await answered(refused)
        assert refused.refusal.facts == {"what": "assets with limits", "number": 33, "limit": 32}
        await applied(update("u4", codes[:32]))
    await entries_within_bounds(store)


# --- what carries entries ------------------------------------------------------------------------------------------


async def test_the_recent_entries_are_bounded_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "MAX_RECENT_BYTES", 100_000)
    async with open_core(tmp_path, MemoryJournalStore()) as core:
        await with_wide_wallets(core, 12)
        recent = core.publisher.recent(1000)
        assert 1 <= len(recent) <= 3
        assert recent[-1].entry.sequence == core.writer.durable_head


async def test_what_the_read_tables_lag_behind_is_bounded_in_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "MAX_BACKLOG_BYTES", 300_000)
    monkeypatch.setattr(backlog, "MAX_BATCH_BYTES", 100_000)
    async with open_core(tmp_path, MemoryJournalStore()) as core:
        sizes: list[int] = []
        write = core.projector._tables.write

        async def recorded(folded: Any, **more: Any) -> None:
            ready: Any = core.projector._ready
            sizes.append(sum(len(durable.record) for durable in ready.entries))
            await write(folded, **more)

        monkeypatch.setattr(core.projector._tables, "write", recorded)
        monkeypatch.setattr(core.writer, "_limits", WriterLimits(max_segment_bytes=50_000))
        await with_wide_wallets(core, 12)
        assert core.projector.taken < 1
        await core.projector.reach(core.writer.durable_head)
        assert core.projector._backlog.bytes == 0
        largest = max(len(record) for record in await journaled(core.store))  # type: ignore[arg-type]
        assert len(sizes) > 3
        assert max(sizes) <= 100_000 + 50_000 + largest


# --- journals of earlier versions ----------------------------------------------------------------------------------


@pytest.fixture
def unbounded(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """As it was: a wallet's expired holds go into one entry, and nothing is refused for its size."""
    with monkeypatch.context() as patched:
        patched.setattr(entry_size, "MAX_EXPIRED", 10**9)
        patched.setattr(entry_size, "MAX_EXPIRED_BYTES", 10**9)
        patched.setattr(entry_size, "MAX_ENTRY_BYTES", 10**9)
        yield patched


async def test_a_journal_with_larger_entries_is_read_audited_and_goes_on(
    tmp_path: Path, unbounded: pytest.MonkeyPatch
) -> None:
    clock, store = Clock(), MemoryJournalStore()
    async with open_core(under(tmp_path, "old"), store, clock=clock) as core:
        await with_money(core, "alice", "bob")
        await with_wide_wallets(core, 30)
        await applied(*(submit(core, hold("alice", count, metadata=WIDE)) for count in range(40)))
        await applied(submit(core, wide_batch("b", 30)))
        clock.time = NOON + MINUTE + timedelta(seconds=1)
        await applied(submit(core, transfer("late", ("alice", "bob", 10_000))))
    unbounded.undo()
    sizes = [len(record) for record in await journaled(store)]
    assert sum(size > MAX_ENTRY_BYTES for size in sizes) == 2
    audit = Audit()
    for record in await journaled(store):
        audit.fold(decode_entry(record))
    assert audit.close() == []
    async with open_core(under(tmp_path, "new"), store, clock=clock) as core:
        again = submit(core, wide_batch("b", 30))
        await answered(again)
        assert again.answer.replayed
        assert again.entry.refusal is None
        await applied(submit(core, transfer("on", ("bob", "alice", 1))))
