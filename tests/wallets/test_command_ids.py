"""The promise of idempotency: same id, same content, the same answer, wherever the first one is remembered."""

from typing import Any, cast

import pytest
import trio

from tests.ledger import cases
from tests.wallets.conftest import CLIENT, Outcomes, opening
from walletd.journal.history import DurableEntry
from walletd.tables.command_ids import CommandIndex
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.entries import Effects, encode_entry
from walletd.vocabulary.identifiers import CommandId, Principal, Sequence
from walletd.vocabulary.reasons import Reason
from walletd.wallets.command_ids import CommandIds
from walletd.wallets.entries import entry_of
from walletd.wallets.submission import Answer, Submission

pytestmark = pytest.mark.interpreted  # Tables stands in for a compiled class.


class Tables:
    """The ids that the read tables show, and the entries of the journal."""

    def __init__(self) -> None:
        self.shown: dict[tuple[str, str], int] = {}
        self.entries: dict[int, DurableEntry] = {}

    def find(self, principal: str, command_id: str) -> int | None:
        return self.shown.get((principal, command_id))

    def note(self, principal: str, command_id: str) -> None:
        self.shown[principal, command_id] = max(self.entries)

    async def read_entry(self, sequence: int) -> DurableEntry:
        return self.entries[sequence]


@pytest.fixture
def tables() -> Tables:
    return Tables()


@pytest.fixture
def ids(tables: Tables) -> CommandIds:
    return CommandIds(cast(CommandIndex, tables), tables.read_entry)


def sent(command: Any, principal: Principal = CLIENT) -> tuple[Submission, Outcomes]:
    outcomes = Outcomes()
    return Submission(command, principal, outcomes.take), outcomes


def decided(tables: Tables, submission: Submission, sequence: int = 1) -> DurableEntry:
    entry = entry_of(Sequence(sequence), "", cases.NOW, submission.principal, submission.command, Effects())
    durable = DurableEntry(entry, encode_entry(entry), b"leaf")
    tables.entries[sequence] = durable
    submission.durable, submission.sequence = durable, sequence
    return durable


def test_an_id_is_new_until_it_is_remembered_and_again_when_it_is_forgotten(ids: CommandIds) -> None:
    submission, _ = sent(opening("alice"))
    assert ids.find(submission.key) is None
    ids.remember(submission)
    assert ids.find(submission.key) is submission
    assert ids.knows(*submission.key)
    ids.forget(submission)
    assert not ids.knows(*submission.key)
    assert len(ids) == 0


def test_an_id_belongs_to_its_principal(ids: CommandIds) -> None:
    submission, _ = sent(opening("alice"))
    ids.remember(submission)
    assert not ids.knows(Principal("another"), submission.command.command_id)


def test_forgetting_a_submission_leaves_anothers_id_alone(ids: CommandIds) -> None:
    first, second = sent(opening("alice"))[0], sent(opening("alice"))[0]
    ids.remember(first)
    ids.forget(second)
    assert ids.find(first.key) is first


def test_what_is_sent_again_is_answered_when_the_first_is(ids: CommandIds, tables: Tables) -> None:
    first, answers = sent(opening("alice"))
    again, repeated = sent(opening("alice"))
    ids.remember(first)
    ids.follow(first, again)
    assert repeated == []
    first.settle(Answer(decided(tables, first), replayed=False))
    assert answers.answer.durable is repeated.answer.durable
    assert repeated.answer.replayed


def test_what_differs_under_the_same_id_is_told_so(ids: CommandIds, tables: Tables) -> None:
    first, _ = sent(opening("alice", "o1"))
    other, refused = sent(opening("bob", "o1"))
    ids.remember(first)
    first.settle(Answer(decided(tables, first), replayed=False))
    ids.follow(first, other)
    assert refused.declined.reason is Reason.COMMAND_ID_REUSED


async def test_an_id_that_the_tables_show_is_forgotten_here_and_answered_from_the_journal(
    ids: CommandIds, tables: Tables, nursery: trio.Nursery
) -> None:
    await nursery.start(ids.run)
    first, _ = sent(opening("alice"))
    ids.remember(first)
    ids.note([decided(tables, first, 7)])
    assert len(ids) == 0
    again, repeated = sent(opening("alice"))
    earlier = ids.find(again.key)
    assert earlier == 7
    ids.follow(earlier, again)
    await repeated.arrived.wait()
    assert repeated.answer == Answer(tables.entries[7], replayed=True)


def test_a_batch_may_not_use_the_id_of_a_command_that_was_sent_before(ids: CommandIds) -> None:
    first, _ = sent(opening("alice", "b1"))
    ids.remember(first)
    batch, _ = sent(cases.batch(opening("bob"), opening("carol"), command_id="batch"))
    refusal = ids.reused(batch)
    assert isinstance(refusal, Declined)
    assert (refusal.reason, refusal.facts["command_id"]) == (Reason.COMMAND_ID_REUSED, CommandId("b1"))
    assert ids.reused(sent(opening("alice", "b1"))[0]) is None, "a repetition is answered, not refused"
