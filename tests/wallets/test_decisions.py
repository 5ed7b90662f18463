"""The way of a command: decided once, durable before answered, always answered the same."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.names import ALICE, BOB, EUR
from tests.wallets.conftest import answered, define, open_core, opening, submit, transfer
from walletd.daemon.engine import Engine
from walletd.journal.history import DurableEntry
from walletd.journal.memory.store import MemoryJournalStore
from walletd.ledger.book import Book
from walletd.tables.projector import Projector
from walletd.vocabulary.commands import AnyCommand
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.identifiers import Principal, Version, WalletId
from walletd.vocabulary.reasons import Reason
from walletd.wallets.submission import Answer

NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)


async def funded(core: Engine, *wallets: str) -> None:
    """EUR is defined, and each wallet is open and has 1000."""
    submitted = [submit(core, define())]
    for wallet in wallets:
        submitted.append(submit(core, opening(wallet)))
        submitted.append(submit(core, transfer(f"fund-{wallet}", ("@external", wallet, 1000))))
    await answered(*submitted)


def never(declined: Declined) -> None:
    pytest.fail(str(declined))


async def read_posted(core: Engine, wallet: str) -> int:
    seen: list[int] = []
    arrived = trio.Event()

    def show(books: Mapping[WalletId, Book], moment: datetime) -> Callable[[int], None]:
        seen.append(books[WalletId(wallet)].balance(EUR).posted)
        return lambda sequence: arrived.set()

    core.wallets.reads.read_wallets([WalletId(wallet)], show, never)
    await arrived.wait()
    return seen[0]


def posted(core: Engine, wallet: str) -> int:
    return core.wallets.books.wallets[WalletId(wallet)].balance(EUR).posted


async def test_a_command_is_answered_only_once_it_is_durable(core: Engine) -> None:
    await funded(core, "alice", "bob")
    outcomes = submit(core, transfer("t1", ("alice", "bob", 100)))
    assert core.writer.head == core.writer.durable_head + 1
    assert outcomes == []
    await answered(outcomes)
    assert isinstance(outcomes[0], Answer)
    assert not outcomes.answer.replayed
    assert (posted(core, "alice"), posted(core, "bob")) == (900, 1100)


async def test_under_overload_a_new_command_takes_no_place_and_an_old_one_is_answered(
    core: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await funded(core, "alice", "bob")
    done = submit(core, transfer("t1", ("alice", "bob", 100)))
    await answered(done)
    monkeypatch.setattr(Projector, "taken", 1)
    warm, ids = len(core.wallets.roster), len(core.wallets.command_ids)
    shed = submit(core, transfer("t2", ("alice", "carol", 1)))
    again = submit(core, transfer("t1", ("alice", "bob", 100)))
    (refused,), (replayed,) = shed, again
    assert isinstance(refused, Declined)
    assert (refused.reason, refused.facts["what"]) == (Reason.OVERLOADED, "the projector's backlog")
    assert (len(core.wallets.roster), len(core.wallets.command_ids)) == (warm, ids)
    assert isinstance(replayed, Answer)
    assert replayed.replayed
    assert core.wallets.counters.shed[Reason.OVERLOADED] == 1


async def test_a_refusal_waits_for_the_debit_that_caused_it(core: Engine) -> None:
    await funded(core, "alice", "bob")
    first = submit(core, transfer("t1", ("alice", "bob", 1000)))
    second = submit(core, transfer("t2", ("alice", "bob", 1)))
    assert (first, second) == ([], [])
    await answered(first, second)
    assert isinstance(second[0], Answer)
    assert second.refusal is not None
    assert second.refusal.reason is Reason.INSUFFICIENT_FUNDS


async def test_the_same_id_again_gets_the_first_answer_at_every_stage(core: Engine) -> None:
    await funded(core, "alice", "bob")
    command = transfer("t1", ("alice", "bob", 100))
    first = submit(core, command)
    before_durable = submit(core, command)
    await answered(first, before_durable)
    before_projected = submit(core, command)
    await core.projector.reach(core.writer.head)
    after_projected = submit(core, command)
    await answered(before_projected, after_projected)
    again = [outcomes.answer for outcomes in (before_durable, before_projected, after_projected)]
    assert all(answer.replayed for answer in again)
    assert {answer.durable.record for answer in again} == {first.answer.durable.record}
    assert posted(core, "alice") == 900


async def test_a_refusal_is_replayed_too_although_it_could_now_be_applied(core: Engine) -> None:
    await funded(core, "alice", "bob")
    refused = submit(core, transfer("t1", ("alice", "bob", 5000)))
    submit(core, transfer("more", ("@external", "alice", 9000)))
    again = submit(core, transfer("t1", ("alice", "bob", 5000)))
    await answered(refused, again)
    assert again.answer.durable.record == refused.answer.durable.record
    assert again.answer.replayed


async def test_the_same_id_with_other_content_is_refused_with_the_field_that_differs(core: Engine) -> None:
    await funded(core, "alice", "bob")
    submit(core, transfer("t1", ("alice", "bob", 100)))
    reused = submit(core, transfer("t1", ("alice", "bob", 101)))
    await answered(reused)
    late = submit(core, transfer("t1", ("alice", "bob", 100), reference="other"))
    for outcomes, field in ((reused, "postings[0].amount"), (late, "reference")):
        assert isinstance(outcomes[0], Declined)
        assert outcomes.declined.reason is Reason.COMMAND_ID_REUSED
        assert outcomes[0].facts["field"] == field


async def test_command_ids_belong_to_their_client(core: Engine) -> None:
    await funded(core, "alice", "bob")
    one = submit(core, transfer("t1", ("alice", "bob", 100)), Principal("one"))
    other = submit(core, transfer("t1", ("alice", "bob", 100)), Principal("other"))
    await answered(one, other)
    assert not one.answer.replayed
    assert not other.answer.replayed
    assert posted(core, "alice") == 800


async def test_ids_are_remembered_over_a_restart_and_after_the_read_tables_are_deleted(tmp_path: Path) -> None:
    store = MemoryJournalStore()
    async with open_core(tmp_path, store) as core:
        await funded(core, "alice", "bob")
        first = submit(core, transfer("t1", ("alice", "bob", 100)))
        refused = submit(core, transfer("t2", ("alice", "bob", 9999)))
        await answered(first, refused)
    async with open_core(tmp_path, MemoryJournalStore(store.disk)) as core:
        assert await replay_of(core, transfer("t1", ("alice", "bob", 100))) == first.answer.durable
    for file in tmp_path.glob("state.db*"):
        file.unlink()
    async with open_core(tmp_path, MemoryJournalStore(store.disk)) as core:
        assert await replay_of(core, transfer("t2", ("alice", "bob", 9999))) == refused.answer.durable
        assert len(core.wallets.command_ids) == 0


async def replay_of(core: Engine, command: AnyCommand) -> DurableEntry:
    outcomes = submit(core, command)
    await answered(outcomes)
    assert isinstance(outcomes[0], Answer)
    assert outcomes.answer.replayed
    return outcomes.answer.durable


async def test_a_full_disk_undoes_what_was_tentative_and_says_not_applied(
    core: Engine, journal: MemoryJournalStore
) -> None:
    await funded(core, "alice", "bob")
    before = core.writer.head
    recovered = trio.Event()
    core.events.writable.add(recovered.set)
    journal.is_full = True
    undone = [submit(core, transfer(f"t{n}", ("alice", "bob", 100))) for n in range(3)]
    undone.append(submit(core, define("USD")))
    await answered(*undone)
    assert all(outcomes.declined.reason is Reason.UNAVAILABLE for outcomes in undone)
    refused_at_once = submit(core, transfer("t9", ("alice", "bob", 1)))
    await answered(refused_at_once)
    assert refused_at_once.declined.reason is Reason.UNAVAILABLE
    journal.is_full = False
    await recovered.wait()
    applied = submit(core, transfer("t0", ("alice", "bob", 100)))
    await answered(applied)
    assert not applied.answer.replayed
    assert applied.entry.sequence == before + 1
    assert (posted(core, "alice"), posted(core, "bob")) == (900, 1100)
    assert "USD" not in core.wallets.books.assets


def show_posted(seen: list[int], books: Mapping[WalletId, Book], moment: datetime) -> Callable[[int], None]:
    posted = books[ALICE].balance(EUR).posted
    return lambda sequence: seen.append(posted)


async def test_reads_see_earlier_commands_and_wait_for_them_to_be_durable(core: Engine) -> None:
    await funded(core, "alice", "bob")
    seen: list[int] = []
    submit(core, transfer("t1", ("alice", "bob", 100)))
    core.wallets.reads.read_wallets([ALICE], partial(show_posted, seen), never)
    later = submit(core, transfer("t2", ("alice", "bob", 100)))
    assert seen == []
    await answered(later)
    assert seen == [900]


@pytest.mark.interpreted
async def test_a_read_behind_a_command_that_is_not_durable_copies_no_book(
    core: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await funded(core, "alice", "bob")
    monkeypatch.setattr(Book, "copy", lambda self: pytest.fail("a wallet may have thousands of assets and holds"))
    submit(core, transfer("t1", ("alice", "bob", 100)))
    assert core.writer.head > core.writer.durable_head
    assert await read_posted(core, "alice") == 900


async def test_a_wallet_whose_invariant_broke_stands_still_and_the_others_go_on(
    core: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await funded(core, "alice", "bob", "carol")
    bob = core.wallets.books.wallets[BOB]
    bob.version = Version(bob.version + 7)
    core.wallets.books.wallets[BOB].balances[EUR].held = -1
    broken = submit(core, transfer("t1", ("alice", "bob", 1)))
    refused = submit(core, transfer("t2", ("carol", "bob", 1)))
    fine = submit(core, transfer("t3", ("@external", "carol", 1)))
    await answered(broken, refused, fine)
    assert broken.declined.reason is Reason.INTERNAL_ERROR
    assert refused.declined.reason is Reason.WALLET_QUARANTINED
    assert isinstance(fine[0], Answer)


async def test_commands_over_cold_wallets_keep_their_order(core: Engine) -> None:
    submit(core, define())
    outcomes = []
    for n in range(50):
        outcomes.append(submit(core, opening(f"w{n}")))
        outcomes.append(submit(core, transfer(f"fund-{n}", ("@external", f"w{n}", 10))))
        outcomes.append(submit(core, transfer(f"pass-{n}", (f"w{n}", f"w{max(0, n - 1)}", 10)) if n else define("X")))
    await answered(*outcomes)
    assert all(o.entry.refusal is None for o in outcomes)


async def test_idle_wallets_retire_and_come_back_as_they_were(tmp_path: Path) -> None:
    async with open_core(tmp_path, MemoryJournalStore(), max_warm_wallets=5) as core:
        await funded(core, *(f"w{n}" for n in range(20)))
        await core.projector.reach(core.writer.head)
        for n in range(20):
            await answered(submit(core, transfer(f"t{n}", (f"w{n}", f"w{(n + 1) % 20}", 7))))
            await core.projector.reach(core.writer.head)
        assert core.wallets.roster.retirements > 10
        assert len(core.wallets.roster) <= 12
        assert [await read_posted(core, f"w{n}") for n in range(20)] == [1000] * 20


async def test_the_time_that_a_command_waits_for_its_turn_counts_against_its_validity(
    tmp_path: Path, journal: MemoryJournalStore
) -> None:
    times = [NOON]
    async with open_core(tmp_path, journal, clock=lambda: times[-1]) as core:
        await funded(core, "alice", "bob")
    async with open_core(tmp_path, journal, clock=lambda: times[-1]) as core:
        in_time = submit(core, transfer("t1", ("alice", "bob", 1), valid_for_seconds=60))
        late = submit(core, transfer("t2", ("bob", "alice", 1), valid_for_seconds=59))
        assert (in_time, late) == ([], []), "both wait until the wallets' books are there"
        times.append(times[-1] + timedelta(seconds=60))
        await answered(in_time, late)
    reasons = [outcome.durable.entry.refusal for (outcome,) in (in_time, late) if isinstance(outcome, Answer)]
    assert [None if refusal is None else refusal.reason for refusal in reasons] == [None, Reason.COMMAND_EXPIRED]
