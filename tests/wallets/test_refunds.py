"""Refunds over the real path: the original is read from the journal when it is needed, and never more goes back."""

from pathlib import Path
from typing import Any

from tests.ledger import cases
from tests.wallets.conftest import answered, define, open_core, opening, submit, transfer
from walletd.journal.memory.store import MemoryJournalStore
from walletd.vocabulary.commands import RefundTransfer
from walletd.vocabulary.reasons import Reason
from walletd.wallets.submission import Answer


def refund(command_id: str, original: str, amount: int, source: str = "bob", to: str = "alice") -> RefundTransfer:
    return cases.refund(original, cases.posting(source, to, "EUR", amount), command_id=command_id)


async def paid(core: Any) -> str:
    """Alice had 1000 EUR and paid bob 100 of them: the id of that transfer."""
    await answered(submit(core, define()), submit(core, opening("alice")), submit(core, opening("bob")))
    await answered(submit(core, transfer("fund", ("@external", "alice", 1000))))
    outcomes = submit(core, transfer("pay", ("alice", "bob", 100)))
    await answered(outcomes)
    return f"t{outcomes.entry.sequence}"


def reason(outcomes: Any) -> Reason | None:
    """Why the command was refused; None where it was applied."""
    assert isinstance(outcomes[0], Answer), outcomes[0]
    refusal = outcomes.entry.refusal
    return None if refusal is None else refusal.reason


async def test_refunds_sent_together_never_give_back_more_than_was_paid(tmp_path: Path) -> None:
    async with open_core(tmp_path, MemoryJournalStore()) as core:
        original = await paid(core)
        refunds = [submit(core, refund(f"r{n}", original, 30)) for n in range(5)]
        await answered(*refunds)
        assert [reason(r) for r in refunds] == [None] * 3 + [Reason.REFUND_EXCEEDS_ORIGINAL] * 2
        assert refunds[3].refusal.facts["refundable"] == "10"


async def test_what_was_refunded_is_known_after_a_restart_and_without_the_read_tables(tmp_path: Path) -> None:
    store = MemoryJournalStore()
    async with open_core(tmp_path, store) as core:
        original = await paid(core)
        await answered(submit(core, refund("r1", original, 60)))
    for number in (2, 3):
        async with open_core(tmp_path, MemoryJournalStore(store.disk)) as core:
            again = submit(core, refund(f"r{number}", original, 41))
            await answered(again)
            assert reason(again) is Reason.REFUND_EXCEEDS_ORIGINAL
        for file in tmp_path.glob("state.db*"):
            file.unlink()


async def test_a_transfer_at_hand_is_let_go_like_a_wallet_and_comes_back_as_it_was(tmp_path: Path) -> None:
    async with open_core(tmp_path, MemoryJournalStore(), max_warm_wallets=1) as core:
        original = await paid(core)
        for number in range(1, 12):
            outcomes = submit(core, refund(f"r{number}", original, 10))
            await answered(outcomes)
            assert reason(outcomes) is (None if number <= 10 else Reason.REFUND_EXCEEDS_ORIGINAL)
            await core.projector.reach(core.writer.head)
            await answered(*(submit(core, opening(f"w{number}-{n}")) for n in range(8)))
            await core.projector.reach(core.writer.head)
        assert len(core.wallets.books.transfers) <= 1
        assert core.wallets.roster.retirements > 10


async def test_a_capture_is_refunded_and_a_transfer_of_the_future_is_not(tmp_path: Path) -> None:
    async with open_core(tmp_path, MemoryJournalStore()) as core:
        await paid(core)
        place = cases.place("alice", "EUR", 50, command_id="hold")
        placed = submit(core, place)
        await answered(placed)
        hold = placed.effects.holds[0].hold
        capture = cases.capture("alice", hold, ("bob", 50), command_id="capture")
        sequence = placed.entry.sequence
        early = submit(core, refund("early", f"t{sequence + 2}", 50))
        captured = submit(core, capture)
        await answered(early, captured)
        assert reason(early) is Reason.ORIGINAL_NOT_FOUND
        back = submit(core, refund("back", f"t{captured.entry.sequence}", 50))
        await answered(back)
        assert reason(back) is None
