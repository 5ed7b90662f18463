"""Batches over the real path: replayed as a unit, their ids used up for good, each command or all of them."""

from pathlib import Path
from typing import Any

import msgspec

from tests.names import ALICE, EUR
from tests.wallets.conftest import answered, define, open_core, opening, submit, transfer
from walletd.journal.memory.store import MemoryJournalStore
from walletd.vocabulary.commands import AnyCommand, BatchedCommand, ExecuteBatch
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.identifiers import CommandId
from walletd.vocabulary.reasons import Reason
from walletd.wallets.decisions import MAX_CLAIMED
from walletd.wallets.submission import Answer


def batch(command_id: str, *commands: BatchedCommand, atomic: bool = True) -> ExecuteBatch:
    return ExecuteBatch(command_id=CommandId(command_id), commands=commands, atomic=atomic)


async def outcome(core: Any, command: AnyCommand) -> Any:
    outcomes = submit(core, command)
    await answered(outcomes)
    return outcomes[0]


async def test_a_batch_is_one_entry_and_is_replayed_as_one_also_after_a_restart(tmp_path: Path) -> None:
    store = MemoryJournalStore()
    command = batch("b", define(), opening("alice"), transfer("t", ("@external", "alice", 5)))
    async with open_core(tmp_path, store) as core:
        before = core.writer.head
        first = await outcome(core, command)
        assert first.durable.entry.refusal is None
        assert core.writer.head == before + 1
        again = await outcome(core, command)
        assert (again.replayed, again.durable) == (True, first.durable)
    async with open_core(tmp_path, MemoryJournalStore(store.disk)) as core:
        later = await outcome(core, command)
        assert (later.replayed, later.durable) == (True, first.durable)


async def test_an_id_of_a_batch_cannot_be_sent_alone_nor_a_single_id_in_a_batch(tmp_path: Path) -> None:
    async with open_core(tmp_path, MemoryJournalStore()) as core:
        inner = transfer("t", ("@external", "alice", 5))
        await outcome(core, define())
        sent = submit(core, batch("b", opening("alice"), inner))
        alone_at_once = submit(core, inner)
        await answered(sent, alone_at_once)
        await core.projector.reach(core.writer.head)
        for alone in (alone_at_once[0], await outcome(core, inner)):
            assert isinstance(alone, Declined)
            assert (alone.reason, alone.facts["field"]) == (Reason.COMMAND_ID_REUSED, "method")
        for other in (batch("b2", opening("bob"), inner), batch("b3", define())):
            refused = await outcome(core, other)
            assert isinstance(refused, Declined)
            assert (refused.reason, refused.facts["field"]) == (Reason.COMMAND_ID_REUSED, "commands")
        assert isinstance(await outcome(core, opening("bob")), Answer)
        assert core.wallets.books.wallets[ALICE].balance(EUR).posted == 5


async def test_of_an_atomic_batch_nothing_is_applied_when_one_command_is_refused(tmp_path: Path) -> None:
    async with open_core(tmp_path, MemoryJournalStore()) as core:
        await answered(submit(core, define()), submit(core, opening("alice")), submit(core, opening("bob")))
        pays = [transfer(f"t{n}", ("@external", "alice", 5)) for n in range(2)]
        poor = transfer("poor", ("bob", "alice", 1))
        refused = await outcome(core, batch("b", pays[0], poor))
        assert refused.durable.entry.refusal.facts["command"] == 1
        assert core.wallets.books.wallets[ALICE].balance(EUR).posted == 0
        poor = transfer("poor again", ("bob", "alice", 1))
        each = await outcome(core, batch("each", pays[1], poor, atomic=False))
        assert [r is None for r in each.durable.entry.effects.outcomes] == [True, False]
        assert core.wallets.books.wallets[ALICE].balance(EUR).posted == 5


async def test_a_batch_that_names_more_wallets_than_an_entry_could_record_is_declined_before_any_is_looked_up(
    tmp_path: Path,
) -> None:
    async with open_core(tmp_path, MemoryJournalStore()) as core:
        await answered(submit(core, define()), submit(core, opening("alice")))
        head = core.writer.head
        payments = (
            transfer(f"t{n}", *(("alice", f"payee{n}-{place}", 1) for place in range(100)))
            for n in range(MAX_CLAIMED // 100 + 1)
        )
        many = batch("many", *payments)
        for command in (many, msgspec.structs.replace(many, dry_run=True)):
            declined = submit(core, command)
            assert isinstance(declined[0], Declined)
            assert declined.declined.reason is Reason.ENTRY_TOO_LARGE
            assert declined.declined.facts["number"] > MAX_CLAIMED
        assert core.writer.head == head
        assert len(core.wallets.roster) < 10
