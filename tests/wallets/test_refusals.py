"""What the journal keeps of a refused command: its id, a digest, the reason and its facts, however large it was."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.ledger import cases
from tests.wallets.conftest import Outcomes, answered, define, open_core, opening, submit, transfer
from walletd.daemon.engine import Engine
from walletd.journal.memory.store import MemoryJournalStore
from walletd.journal.segment import records
from walletd.ledger.audit import Audit
from walletd.vocabulary.commands import AnyCommand, ExecuteBatch, PostTransfer, RefusedCommand
from walletd.vocabulary.entries import Entry, Refusal, decode_entry, encode_entry
from walletd.vocabulary.identifiers import CommandId, Sequence
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.sameness import digest_of, first_difference, kept_of
from walletd.wallets.entries import entry_of

LONG = {f"note {number}": 500 * "x" for number in range(16)}


async def prepared(core: Engine) -> None:
    await answered(submit(core, define()), submit(core, opening("alice")), submit(core, opening("bob")))


async def outcome(core: Engine, command: AnyCommand) -> Outcomes:
    outcomes = submit(core, command)
    await answered(outcomes)
    return outcomes


async def projected(core: Engine) -> None:
    await core.projector.reach(core.writer.durable_head)


def poor(command_id: str = "p", **more: Any) -> PostTransfer:
    """A payment from an empty wallet."""
    return transfer(command_id, ("alice", "bob", 1), **more)


def batched(*commands: PostTransfer, command_id: str = "p", **more: Any) -> ExecuteBatch:
    return ExecuteBatch(command_id=CommandId(command_id), commands=commands, **more)


async def test_a_refused_payment_of_eight_kilobytes_takes_less_than_five_hundred_bytes(core: Engine) -> None:
    await prepared(core)
    refused = await outcome(core, poor(metadata=LONG))
    assert refused.refusal.reason is Reason.INSUFFICIENT_FUNDS
    assert len(refused.answer.durable.record) < 500
    assert refused.entry.command == kept_of(poor(metadata=LONG))


async def test_a_refused_batch_keeps_the_ids_of_its_commands_and_nothing_else_of_them(core: Engine) -> None:
    await prepared(core)
    batch = batched(*(poor(f"p{number}", metadata=LONG) for number in range(100)), command_id="b")
    refused = await outcome(core, batch)
    assert len(refused.answer.durable.record) < 1_500
    await projected(core)
    for name in ("p0", "p99", "b"):
        again = await outcome(core, opening("carol", name))
        assert again.declined.reason is Reason.COMMAND_ID_REUSED


@pytest.mark.parametrize("is_projected", [False, True])
async def test_a_repeated_refusal_is_answered_as_before(core: Engine, is_projected: bool) -> None:
    await prepared(core)
    refused = await outcome(core, poor(metadata=LONG))
    if is_projected:
        await projected(core)
    again = await outcome(core, poor(metadata=LONG))
    assert again.answer.replayed
    assert again.answer.durable.record == refused.answer.durable.record


async def test_the_first_field_that_differs_is_named_while_the_refused_command_is_in_memory(core: Engine) -> None:
    await prepared(core)
    first = submit(core, poor(reference="a"))
    while_written = submit(core, poor(reference="b"))
    await answered(first, while_written)
    assert while_written.declined.facts == {"command_id": "p", "field": "reference", "sequence": 5}
    await projected(core)
    later = await outcome(core, poor(reference="b"))
    assert later.declined.facts == {"command_id": "p", "sequence": 5}


async def test_a_refusal_is_known_again_after_a_restart_and_after_the_read_tables_are_deleted(tmp_path: Path) -> None:
    store = MemoryJournalStore()
    async with open_core(tmp_path, store) as core:
        await prepared(core)
        refused = await outcome(core, poor(metadata=LONG))
    for name in ("state.db", "state.db-wal", "state.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    async with open_core(tmp_path, store) as core:
        again = await outcome(core, poor(metadata=LONG))
        assert again.answer.replayed
        assert again.answer.durable.record == refused.answer.durable.record
        assert (await outcome(core, poor(metadata={}))).declined.reason is Reason.COMMAND_ID_REUSED


async def test_a_journal_in_which_an_earlier_version_kept_refused_commands_whole_means_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryJournalStore()
    with monkeypatch.context() as earlier:
        earlier.setattr("walletd.wallets.entries.kept_of", lambda command: command)
        async with open_core(tmp_path, store) as core:
            await prepared(core)
            refused = await outcome(core, poor(metadata=LONG))
            assert refused.entry.command == poor(metadata=LONG)
    async with open_core(tmp_path, store) as core:
        again = await outcome(core, poor(metadata=LONG))
        assert again.answer.replayed
        differs = await outcome(core, poor(metadata={}))
        assert differs.declined.facts["field"] == "metadata"
        await outcome(core, poor("other", metadata=LONG))
    entries = [decode_entry(r) for segment in await store.read(0) for r in records(segment)]
    audit = Audit()
    for entry in entries:
        audit.fold(entry)
    assert audit.close() == []
    assert audit.refused == 2


test_a_journal_in_which_an_earlier_version_kept_refused_commands_whole_means_the_same = pytest.mark.interpreted(
    test_a_journal_in_which_an_earlier_version_kept_refused_commands_whole_means_the_same
)

_DIFFERENT: list[AnyCommand] = [
    poor(),
    poor(reference="r"),
    poor(metadata={"a": "1", "b": "2"}),
    poor(metadata={"a": "1", "b": "3"}),
    poor(if_version={"alice": 1}),
    transfer("p", ("alice", "bob", 2)),
    opening("alice", "p"),
    batched(poor("x"), command_id="p"),
    batched(poor("x"), command_id="p", atomic=False),
    batched(poor("y"), command_id="p"),
]


def test_digests_are_equal_exactly_if_no_field_differs() -> None:
    for one in _DIFFERENT:
        for other in _DIFFERENT:
            assert (kept_of(one) == kept_of(other)) == (first_difference(one, other) is None), (one, other)


def test_the_validity_and_the_order_of_names_do_not_count() -> None:
    later = cases.NOW + timedelta(days=1)
    assert digest_of(poor(valid_until=later)) == digest_of(poor(valid_for_seconds=3)) == digest_of(poor())
    one = poor(metadata={"a": "1", "b": "2"})
    assert digest_of(one) == digest_of(poor(metadata={"b": "2", "a": "1"}))
    inner = batched(poor("x", valid_until=later), command_id="p", valid_until=later)
    assert digest_of(inner) == digest_of(batched(poor("x"), command_id="p"))


def test_the_digest_stays_the_same_in_every_version() -> None:
    assert digest_of(poor(reference="r")) == "0ed4130c87a3600cc41bbc003aaf1462bb974ab30b7fbcb53edad6ca50ea4de1"


def test_the_audit_names_an_applied_entry_that_has_only_a_digest() -> None:
    command = opening("alice")
    applied = cases.Ledger().decide(command)
    assert not isinstance(applied, Refusal)
    whole = entry_of(Sequence(1), "", cases.NOW, cases.THE_CLIENT, command, applied)
    forged = Entry(
        sequence=whole.sequence,
        time=whole.time,
        principal=whole.principal,
        command=kept_of(command),
        effects=whole.effects,
    )
    audit = Audit()
    audit.fold(decode_entry(encode_entry(forged)))
    assert audit.close()[0] == "entry 1 has effects, but only the digest of its command"


def test_what_is_kept_travels_as_a_command_with_a_method_of_its_own() -> None:
    kept = kept_of(batched(poor("x"), command_id="p"))
    assert isinstance(kept, RefusedCommand)
    assert (kept.kind, kept.commands) == ("batch.execute", ("x",))


@pytest.mark.interpreted
async def test_a_refusal_that_keeps_the_command_takes_as_much_as_the_command(
    core: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planted bug: what an empty wallet cannot pay fills the disk."""
    monkeypatch.setattr("walletd.wallets.entries.kept_of", lambda command: command)
    await prepared(core)
    refused = await outcome(core, poor(metadata=LONG))
    assert len(refused.answer.durable.record) > 8_000
