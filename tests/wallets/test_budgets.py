"""The journal's bytes are budgeted for each principal: beyond them nothing is decided, journaled or used up."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from tests.ledger import cases
from tests.wallets.conftest import CLIENT, answered, define, open_core, opening, submit, transfer
from walletd.daemon.engine import Engine
from walletd.journal.memory.store import MemoryJournalStore
from walletd.sessions.budgets import Defaults
from walletd.vocabulary.budgets import STRANGERS, Budget
from walletd.vocabulary.commands import PostTransfer
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.entries import ClientRecord
from walletd.vocabulary.identifiers import Principal
from walletd.vocabulary.reasons import Reason

STRANGER, BACK_END = Principal("stranger"), Principal("back end")
SMALL = Budget(journal_bytes_per_second=1_000, journal_burst_bytes=4_000, journal_bytes_per_day=0).over(STRANGERS)


@pytest.fixture
async def core(tmp_path: Path) -> AsyncIterator[Engine]:
    async with open_core(tmp_path, MemoryJournalStore(), budgets=Defaults(strangers=SMALL)) as core:
        for name, scope in ((STRANGER, "spend:alice"), (BACK_END, "operate")):
            core.wallets.clients.put(
                ClientRecord(client=name, scopes=(scope,), tokens=(), created_by=CLIENT, created_at=cases.NOW)
            )
        await answered(submit(core, define()), submit(core, opening("alice")), submit(core, opening("bob")))
        yield core


def poor(number: int) -> PostTransfer:
    return transfer(f"p{number}", ("alice", "bob", 1))


async def test_beyond_its_budget_a_principal_is_refused_and_nothing_is_journaled(
    core: Engine, autojump_clock: trio.testing.MockClock
) -> None:
    head = core.writer.head
    sent = [submit(core, poor(number), STRANGER) for number in range(100)]
    await answered(*sent)
    declined = [outcomes[0] for outcomes in sent if isinstance(outcomes[0], Declined)]
    journaled = core.writer.head - head
    assert journaled == 100 - len(declined)
    assert 5 < journaled < 20
    assert {one.reason for one in declined} == {Reason.QUOTA_EXCEEDED}
    assert declined[0].facts.keys() == {"budget", "limit", "retry_after_ms"}
    assert declined[0].facts["budget"] == "journal_bytes_per_second"
    assert core.wallets.decisions.budgets.refused == {"journal_bytes_per_second": len(declined)}
    await trio.sleep(declined[-1].facts["retry_after_ms"] / 1000)
    again = submit(core, poor(99), STRANGER)
    await answered(again)
    assert again.entry.principal == STRANGER, "its id was not used up"


async def test_a_repetition_journals_nothing_and_is_answered_whatever_is_left(core: Engine) -> None:
    first = submit(core, poor(0), STRANGER)
    await answered(first)
    core.wallets.decisions.budgets.charge_journal(STRANGER, 1_000_000)
    again = submit(core, poor(0), STRANGER)
    await answered(again)
    assert again.answer.replayed


async def test_one_principals_debt_is_not_anothers(core: Engine) -> None:
    core.wallets.decisions.budgets.charge_journal(STRANGER, 1_000_000)
    other = submit(core, poor(0), BACK_END)
    await answered(other)
    assert other.entry.principal == BACK_END


async def test_a_trusted_back_end_may_journal_as_much_as_it_likes(core: Engine) -> None:
    sent = [submit(core, poor(number), BACK_END) for number in range(100)]
    await answered(*sent)
    assert all(outcomes.answer for outcomes in sent)
    (top,) = core.wallets.decisions.budgets.top(1)
    assert top.name == BACK_END
    assert top.journaled == sum(len(outcomes.answer.durable.record) for outcomes in sent)


async def test_a_command_that_waited_for_its_turn_is_judged_by_what_is_left_then(core: Engine) -> None:
    """The book of a wallet that was not used yet is loaded first, while many commands wait for it."""
    head = core.writer.head
    sent = [submit(core, transfer(f"c{n}", ("carol", "dave", 1)), STRANGER) for n in range(100)]
    await answered(*sent)
    assert core.writer.head - head < 20


async def test_a_dry_run_journals_nothing_and_is_not_refused(core: Engine) -> None:
    core.wallets.decisions.budgets.charge_journal(STRANGER, 1_000_000)
    tried = submit(core, transfer("t", ("alice", "bob", 1), dry_run=True), STRANGER)
    await answered(tried)
    assert tried.foreseen.verdict
    assert core.wallets.decisions.budgets.refused == {}
