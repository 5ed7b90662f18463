"""Decisions: a command's way from its submission to its place in the journal's queue.

    decisions.submit(Submission(command, principal, reply))    # synchronous; reply is called once, perhaps at once

A command with a used id is answered as before (``CommandIds``).  A new one is decided once every wallet's turn is in
hand; its entry is applied to the tentative books at once and queued for the journal; the turns are released before the
disk is involved.  ``reply`` is called only once the segment with the entry, and so everything it saw, is durable
(``Delivery``).  If a full disk certainly wrote nothing, everything tentative is undone.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from time import perf_counter

from walletd.journal.failures import JournalFull
from walletd.journal.history import DurableEntry
from walletd.journal.queue import Pending
from walletd.journal.writer import JournalWriter
from walletd.ledger.book import Books, apply
from walletd.ledger.client_book import ClientBook
from walletd.ledger.entry_size import expiries_before, may_expire
from walletd.ledger.foresight import foreseeable, without_hidden
from walletd.ledger.room import places_of, room_after, room_in_steps
from walletd.ledger.rules import batch_foreseen
from walletd.logs.context import about_command
from walletd.runtime.slices import Slices
from walletd.sessions.budgets import Budgets
from walletd.vocabulary.claims import claims_of, is_short_lived
from walletd.vocabulary.commands import ExecuteBatch, ExpireHold, FreezeWallet, RevokeClient, RotateClient, UpdateClient
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.entries import Effects
from walletd.vocabulary.fatal import FATAL
from walletd.vocabulary.identifiers import DAEMON, CommandId, WalletId
from walletd.vocabulary.identifiers import Sequence as SequenceNumber
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.room import Room
from walletd.wallets.actor import KEEP, Claim
from walletd.wallets.book_loading import BookLoading
from walletd.wallets.command_ids import CommandIds
from walletd.wallets.counters import CommandCounters
from walletd.wallets.entries import bounded, folding, judged, recorded, unavailable, verdict_of
from walletd.wallets.history_clock import HistoryClock
from walletd.wallets.load import Load
from walletd.wallets.roster import Roster
from walletd.wallets.submission import Foreseen, Submission

log = logging.getLogger(__name__)

VITAL = (RevokeClient, RotateClient, UpdateClient, FreezeWallet)
"""The commands that have a reserve of space and places, if one with `operate` or `admin` sends them."""

ABANDONED = Declined(Reason.OVERLOADED, {"what": "the queue", "retry_after_ms": 0})
"""Why a dry run is not made whose sender has left; it is told to no one."""

MAX_CLAIMED = 8_192
"""The wallets and refunded transfers that one command may name: the records of more would exceed an entry."""


class Decisions:
    """Owns the tentative books; asks the roster for turns and the writer for durability."""

    __slots__ = (
        "_books",
        "_clients",
        "_clock",
        "_ids",
        "_load",
        "_loading",
        "_roster",
        "_seen_by_all",
        "_slices",
        "_writer",
        "budgets",
        "counters",
    )

    def __init__(
        self,
        books: Books,
        clients: ClientBook,
        roster: Roster,
        loading: BookLoading,
        writer: JournalWriter[Submission],
        ids: CommandIds,
        clock: HistoryClock,
        load: Load,
        slices: Slices,
        budgets: Budgets,
        counters: CommandCounters,
    ) -> None:
        """``clients`` are as in the durable journal: a roll-back returns to these."""
        self._books = books
        self._clients = clients
        self._roster = roster
        self._loading = loading
        self._writer = writer
        self._ids = ids
        self._clock = clock
        self._load = load
        self._slices = slices
        self._seen_by_all = 0
        """The last entry that changed what every decision sees: the assets, the clients."""
        self.budgets = budgets
        """The accounts of those who send commands."""
        self.counters = counters

    # --- submit ----------------------------------------------------------------------------------------------------

    def submit(self, submission: Submission) -> None:
        """Have the command decided, or answered as before; its reply is called exactly once, perhaps at once."""
        if is_short_lived(submission.command):
            submission.received = self._clock.next_entry_time()
        if submission.command.dry_run:
            self._claim(submission, claims_of(submission.command), self._foresee, may_be_prompt=False)
            return
        earlier = self._ids.find(submission.key)
        if earlier is not None:
            self.counters.replays += 1
            self._ids.follow(earlier, submission)
            return
        reused = self._ids.reused(submission)
        if reused is not None:
            submission.settle(reused)
            return
        obstacle = self._obstacle(submission)
        if obstacle is not None:
            # It would be found when the turn is in hand, but a refusal must be as cheap as possible.
            self._give_up(submission, obstacle)
            return
        self._ids.remember(submission)
        wallets = claims_of(submission.command)
        actors = None if isinstance(submission.command, ExecuteBatch) else self._roster.free(wallets)
        if actors is None or may_expire(self._books, wallets):
            self._claim(submission, wallets, self._decide, may_be_prompt=True)
            return
        # Nearly every command comes to warm and free wallets: it needs no claim, because nothing can come between.
        self._roster.use(actors)
        try:
            self._decide(submission, wallets)
        except MemoryError:
            raise
        except Exception as broken:
            self._roster.quarantine(self._claim_of(submission, wallets, lambda claim: None), broken)
        self._roster.retire_surplus(len(actors))

    def _give_up(self, submission: Submission, declined: Declined) -> None:
        reason = declined.reason
        self.counters.shed[reason] = self.counters.shed.get(reason, 0) + 1
        self._ids.forget(submission)
        submission.settle(declined)

    # --- claim -----------------------------------------------------------------------------------------------------

    def _claim(
        self,
        submission: Submission,
        wallets: list[WalletId],
        act: Callable[[Submission, list[WalletId]], None],
        *,
        may_be_prompt: bool,
    ) -> None:
        """``may_be_prompt``: no obstacle was there just now, so that none has to be looked for if it runs at once."""
        if len(wallets) > MAX_CLAIMED:
            facts = {"what": "wallets and transfers", "number": len(wallets), "limit": MAX_CLAIMED}
            self._give_up(submission, Declined(Reason.ENTRY_TOO_LARGE, facts))
            return
        is_prompt, is_arriving = may_be_prompt, True

        def run(claim: Claim) -> object:
            """Have the command judged, once its wallets' expired holds leave its entry enough space."""
            if not is_arriving and submission.command.dry_run and submission.is_abandoned():
                self._give_up(submission, ABANDONED)
                return None
            obstacle = None if is_prompt else self._obstacle(submission)
            if obstacle is not None and not submission.command.dry_run:
                self._give_up(submission, obstacle)
            elif obstacle is None and self._expire_first(submission, claim):
                return KEEP
            else:
                act(submission, wallets)
            return None

        self._roster.claim(self._claim_of(submission, wallets, run))
        is_prompt = is_arriving = False

    def _claim_of(self, submission: Submission, wallets: list[WalletId], run: Callable[[Claim], object]) -> Claim:
        return Claim(
            wallets,
            run=run,
            fail=lambda declined: self._give_up(submission, declined),
            command_id=submission.command.command_id,
            is_vital=self._is_vital(submission),
            sender=submission.principal,
        )

    def _obstacle(self, submission: Submission) -> Declined | None:
        """Why the command may not be decided now; None if it may."""
        obstacle = self._load.obstacle()
        if obstacle is None:
            return self._quota(submission)
        return None if self._is_vital(submission) and self._writer.has_room(reserved=True) else obstacle

    def _is_vital(self, submission: Submission) -> bool:
        """True if an operator must be able to do this on a full disk and under any load: shut someone out."""
        if not isinstance(submission.command, VITAL):
            return False
        return submission.principal == DAEMON or self.budgets.is_trusted(submission.principal)

    def _quota(self, submission: Submission) -> Declined | None:
        """Why the sender may journal nothing now; None if it may, and for a dry run."""
        if submission.command.dry_run:
            return None
        spent = self.budgets.journal_refusal(submission.principal)
        return None if spent is None else Declined(Reason.QUOTA_EXCEEDED, spent)

    def _expire_first(self, submission: Submission, claim: Claim) -> bool:
        """Record the expiry of some holds by separate entries of the daemon, if the command's entry has no space for
        all.

        The claim keeps its turns and is resumed once that is durable, so that other work is done in between.
        """
        if isinstance(submission.command, ExpireHold) or not may_expire(self._books, claim.wallets):
            return False
        if not self._writer.has_room():
            return False
        now = self._clock.next_entry_time()
        sequence = 0
        for wallet, hold, most in expiries_before(self._books, claim.wallets, now):
            sequence = self._writer.head + 1
            name = CommandId(f"expire-at-{sequence}")
            command = ExpireHold(command_id=name, wallet=wallet, hold=hold, most=most)
            expiry = Submission(command, DAEMON, lambda answer: None)
            self._ids.remember(expiry)
            self._decide(expiry, [wallet])
        if sequence:
            self._writer.when_durable(sequence, lambda is_durable: self._roster.resume(claim) if is_durable else None)
        return sequence > 0

    # --- decide and append -----------------------------------------------------------------------------------------

    def _decide(self, submission: Submission, wallets: list[WalletId]) -> None:
        """Every turn is in hand: decide, apply to the tentative books, queue for the journal."""
        began = perf_counter()
        now = self._clock.next_entry_time()
        if self._books.clients.is_shut_out(submission.principal, now):
            self._give_up(submission, Declined(Reason.AUTHENTICATION_FAILED))
            return
        if isinstance(submission.command, ExpireHold) and submission.command.most is None:
            submission.command = bounded(self._books, submission.command, now)
        sequence = SequenceNumber(self._writer.head + 1)
        entry, record = judged(self._books, sequence, now, submission)
        if entry.effects is not None and entry.effects.outflows:
            entry, record = folding(self._books, entry, record)
        verdict = entry.effects
        if verdict is not None:
            apply(self._books, verdict)
            self._roster.touched(wallets, sequence)
            self._roster.remember_awaited(entry)
            if verdict.assets or verdict.clients:
                self._seen_by_all = sequence
        # After this point it must succeed: the entry is on its way to the disk.
        self._clock.entered(now)
        pending = self._writer.append(sequence, record, submission, reserved=isinstance(submission.command, VITAL))
        self.budgets.charge_journal(submission.principal, len(record))
        submission.sequence = sequence
        submission.durable = DurableEntry(entry, record, pending.leaf)
        submission.decided = perf_counter()
        self.counters.decide_seconds.count(submission.decided - began)

    def _foresee(self, submission: Submission, wallets: list[WalletId]) -> None:
        """The same for a dry run: decide, change nothing, and reply once everything seen is durable."""
        if isinstance(submission.command, ExecuteBatch):
            self._foresee_batch(submission, submission.command, wallets)
            return
        now = self._clock.next_entry_time()
        sequence = SequenceNumber(self._writer.head + 1)
        sender = self._books.clients.records.get(submission.principal)
        books = self._books if sender is None else foreseeable(self._books, submission.command, sender.scopes)
        entry, _ = judged(books, sequence, now, submission)
        effects = entry.effects
        room = () if effects is None else room_after(books, submission.command, effects, now)
        foreseen = Foreseen(verdict_of(entry), now, room)
        self._settle_when_durable(submission, foreseen, max(self._roster.last_sequence(wallets), self._seen_by_all))

    def _foresee_batch(self, submission: Submission, batch: ExecuteBatch, wallets: list[WalletId]) -> None:
        """The same for a batch, in slices, as of now: on a copy of its wallets, so that their turns can end."""
        now = self._clock.next_entry_time()
        seen = max(self._roster.last_sequence(wallets), self._seen_by_all)
        sender = self._books.clients.records.get(submission.principal)
        copied = self._books.stage(wallets)
        books = copied if sender is None else without_hidden(copied, wallets, sender.scopes)
        steps = self._foreseen_in_steps(submission, batch, books, SequenceNumber(self._writer.head + 1), now)
        payer = self.budgets.account(submission.principal)
        if seen <= self._writer.durable_head:
            self._slices.work(payer, steps)
            return

        def begin(is_durable: bool) -> None:
            if is_durable:
                self._slices.work_later(payer, steps)
            else:
                submission.settle(unavailable(self._writer.degraded))

        self._writer.when_durable(seen, begin)

    def _foreseen_in_steps(
        self, submission: Submission, batch: ExecuteBatch, books: Books, sequence: SequenceNumber, now: datetime
    ) -> Iterator[int]:
        try:
            yield from self._judge_in_steps(submission, batch, books, sequence, now)
        except FATAL:
            raise
        except Exception:
            log.exception("a dry run failed", extra=about_command(batch.command_id))
            submission.settle(Declined(Reason.INTERNAL_ERROR))

    def _judge_in_steps(
        self, submission: Submission, batch: ExecuteBatch, books: Books, sequence: SequenceNumber, now: datetime
    ) -> Iterator[int]:
        room: tuple[Room, ...] = ()
        steps = batch_foreseen(books, batch, now, sequence, submission.received)
        while True:
            try:
                cost = next(steps)
            except StopIteration as done:
                verdict, after = done.value
                break
            if submission.is_abandoned():
                self._give_up(submission, ABANDONED)
                return
            yield cost
        if isinstance(verdict, Effects):
            entry, record = recorded(books, sequence, now, submission, verdict)
            yield len(record) // 8
            verdict = verdict_of(entry)
            if isinstance(verdict, Effects):
                room = yield from room_in_steps(after, places_of(verdict), now)
        submission.settle(Foreseen(verdict, now, room))

    def _settle_when_durable(self, submission: Submission, foreseen: Foreseen, sequence: int) -> None:
        def settle(is_durable: bool) -> None:
            submission.settle(foreseen if is_durable else unavailable(self._writer.degraded))

        self._writer.when_durable(sequence, settle)

    # --- undo ------------------------------------------------------------------------------------------------------

    def roll_back(self, undone: Sequence[Pending[Submission]], why: JournalFull) -> None:
        """These entries are certainly not in the journal: forget what the books know, and report it."""
        declined = unavailable(why)
        for pending in undone:
            durable = pending.context.durable
            assert durable is not None
            effects = durable.entry.effects
            for asset in effects.assets if effects is not None else ():
                del self._books.assets[asset.asset]
        self._books.clients = ClientBook(self._clients.records.values())
        self._loading.start_over()
        self._seen_by_all = min(self._seen_by_all, self._writer.head)
        self._roster.forget_all(declined)
        for pending in undone:
            self._give_up(pending.context, declined)
