"""The supervisor: the way of a command from its submission to its answer.

    supervisor.submit(Submission(command, principal, reply))   # synchronous; reply is called once, maybe at once
    supervisor.read_wallets(["alice"], show, failed)

Same id, same content: the same answer, for ever.  A command is decided once every wallet's turn is in hand; its entry
is applied to the tentative books at once and queued for the journal; the turns are given back before the disk is
asked.  ``reply`` is called only once the segment with the entry, and so everything it saw, is durable.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any

import trio

from walletd.journal.failures import JournalFull
from walletd.journal.history import DurableEntry
from walletd.journal.writer import JournalWriter, Pending
from walletd.ledger.book import Book, Books, apply
from walletd.ledger.client_book import ClientBook, apply_clients
from walletd.ledger.entry_size import expiries_before
from walletd.ledger.refunds import refundable_transfers
from walletd.ledger.room import room_after
from walletd.streams.publisher import Publisher
from walletd.tables.command_ids import CommandIndex
from walletd.tables.projector import (
    Projector,
)
from walletd.vocabulary.commands import TRANSFER_MARK, ExpireHold, claims_of, ids_of, is_short_lived
from walletd.vocabulary.entries import ClientRecord, HoldRecord, TransferRecord
from walletd.vocabulary.identifiers import DAEMON, CommandId, Principal, TransferId, WalletId, sequence_of
from walletd.vocabulary.identifiers import Sequence as SequenceNumber
from walletd.vocabulary.reasons import Reason
from walletd.wallets.actor import KEEP, Claim
from walletd.wallets.counters import CommandCounters
from walletd.wallets.entries import bounded, judged, unavailable, verdict_of
from walletd.wallets.roster import OVERLOADED_RETRY_MS, Roster
from walletd.wallets.submission import Answer, Behind, Foreseen, NotDecided, Submission, answer_again

_TICK = timedelta(microseconds=1)

MOST_WAITING = 4_096
"""Entries that may wait for the disk while the projector is behind, and commits wait for it: less than a second's."""

PRESSED_BY = 2_048
"""So many that wait for the disk, or half of the projector's room: then nobody has more than a share under way."""

Show = Callable[[Mapping[WalletId, Book], datetime], Callable[[int], None]]
"""Makes an answer of books and of the moment; what it returns sends it, and is told after which entry they stood."""

Failed = Callable[[Reason, dict[str, Any]], None]
ReadBooks = Callable[[Iterable[WalletId]], Awaitable[dict[WalletId, Book]]]
ReadTransfer = Callable[[TransferId], Awaitable[TransferRecord | None]]
ReadEntry = Callable[[int], Awaitable[DurableEntry]]


class Supervisor:
    """Owns the tentative books and the ids in use; asks the roster for turns and the writer for durability."""

    def __init__(
        self,
        books: Books,
        roster: Roster,
        writer: JournalWriter,
        projector: Projector,
        publisher: Publisher,
        index: CommandIndex,
        *,
        clock: Callable[[], datetime],
        last_time: datetime,
        read_books: ReadBooks,
        read_transfer: ReadTransfer,
        read_entry: ReadEntry,
        follow_holds: Callable[[Sequence[HoldRecord]], None],
        clients: ClientBook,
        follow_clients: Callable[[Sequence[ClientRecord]], None],
    ) -> None:
        self._books = books
        self._roster = roster
        self._writer = writer
        self._projector = projector
        self._publisher = publisher
        self._index = index
        self._clock = clock
        self._last_time = last_time
        self._shown_until = datetime.min.replace(tzinfo=UTC)
        self._read_books = read_books
        self._read_transfer = read_transfer
        self._read_entry = read_entry
        self._follow_holds = follow_holds
        self._clients = clients
        self._follow_clients = follow_clients
        self._recent: dict[tuple[Principal, CommandId], Submission] = {}
        self._load_floor = 0
        self._assets_sequence = 0
        """The last entry that changed what every decision sees: the assets, the clients."""
        self._nursery: trio.Nursery | None = None
        self.counters = CommandCounters()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled: look-ups of old entries for commands sent again live in here."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None

    @property
    def remembered(self) -> int:
        """How many command ids are remembered in memory."""
        return len(self._recent)

    @property
    def is_pressed(self) -> bool:
        """Whether more comes than the journal or the read tables can take in."""
        return self._projector.is_pressed or self._waiting > PRESSED_BY

    def begin_turn(self) -> None:
        """Nobody else runs until ``end_turn``: what is decided until then is committed there, if the disk is fast."""
        self._writer.attend()

    def end_turn(self) -> None:
        """Commit, or have it committed; then there is a moment for what can be done beside it."""
        self._writer.commit_now()
        self._projector.fold_at_once()

    @property
    def _waiting(self) -> int:
        return self._writer.head - self._writer.durable_head

    # --- commands --------------------------------------------------------------------------------------------------

    def knows(self, principal: Principal, command_id: CommandId) -> bool:
        """Whether this command was sent before, and so has an answer or will have one."""
        key = (principal, command_id)
        return key in self._recent or self._index.find(*key) is not None

    def submit(self, submission: Submission) -> None:
        """Have the command decided, or answered as it was before; its reply is called exactly once, maybe at once."""
        if is_short_lived(submission.command):
            submission.received = self._now()
        if submission.command.dry_run:
            self._claim(submission, self._foresee)
            return
        earlier = self._recent.get(submission.key)
        if earlier is not None:
            self._repeat(earlier, submission)
            return
        sequence = self._index.find(*submission.key)
        if sequence is not None:
            if self._nursery is not None:  # At the end of the daemon nobody looks it up any more.
                self._nursery.start_soon(self._replay, sequence, submission)
            return
        keys = submission.keys
        for key in keys[1:]:
            used = self._recent[key].sequence if key in self._recent else self._index.find(*key)
            if used is not None:
                facts = {"command_id": key[1], "field": "commands", "sequence": used}
                submission.settle(NotDecided(Reason.COMMAND_ID_REUSED, facts))
                return
        obstacle = self._obstacle()
        if obstacle is not None:
            # It would be found when the turn is in hand, but whoever is refused must cost as little as can be.
            self._give_up(submission, *obstacle)
            return
        for key in keys:
            self._recent[key] = submission
        self._claim(submission, self._decide)

    async def settled(self, sequence: int) -> None:
        """Return once this entry is durable, or once it is certain that a full disk undid it."""
        settled = trio.Event()
        self._writer.when_durable(min(sequence, self._writer.head), lambda is_durable: settled.set())
        await settled.wait()

    async def shown(self, sequence: int) -> None:
        """Return once the read tables show this entry, or once it is certain that a full disk undid it.

        Raises ReadTablesStand while they cannot show it for want of space.
        """
        await self.settled(sequence)
        await self._projector.reach_unless_full(min(sequence, self._writer.durable_head))

    def _claim(self, submission: Submission, act: Callable[[Submission, list[WalletId]], None]) -> None:
        wallets = claims_of(submission.command)

        def run() -> object:
            """Have the command judged, once what has expired of its wallets leaves its entry enough room."""
            obstacle = self._obstacle()
            if obstacle is not None and not submission.command.dry_run:
                self._give_up(submission, *obstacle)
            elif obstacle is None and self._expire_first(submission, claim):
                return KEEP
            else:
                act(submission, wallets)
            return None

        claim = Claim(
            wallets,
            run=run,
            fail=lambda reason, facts: self._give_up(submission, reason, facts),
            command_id=submission.command.command_id,
        )
        self._roster.claim(claim)

    def _expire_first(self, submission: Submission, claim: Claim) -> bool:
        """Record the expiry of some holds by entries of the daemon's own, where the command's has no room for all.

        The claim keeps its turns and is resumed once that is durable, so that everybody else is served in between.
        """
        if isinstance(submission.command, ExpireHold):
            return False
        now = self._now()
        sequence = 0
        for wallet, hold, most in expiries_before(self._books, claim.wallets, now):
            sequence = self._writer.head + 1
            name = CommandId(f"expire-at-{sequence}")
            command = ExpireHold(command_id=name, wallet=wallet, hold=hold, most=most)
            expiry = Submission(command, DAEMON, lambda answer: None)
            self._recent[expiry.key] = expiry
            self._decide(expiry, [wallet])
        if sequence:
            self._writer.when_durable(sequence, lambda is_durable: self._roster.resume(claim) if is_durable else None)
        return sequence > 0

    def _decide(self, submission: Submission, wallets: list[WalletId]) -> None:
        """Every turn is in hand: decide, apply to the tentative books, queue for the journal."""
        began = perf_counter()
        now = self._now()
        if self._books.clients.is_shut_out(submission.principal, now):
            self._give_up(submission, Reason.AUTHENTICATION_FAILED, {})
            return
        if isinstance(submission.command, ExpireHold) and submission.command.most is None:
            submission.command = bounded(self._books, submission.command, now)
        sequence = SequenceNumber(self._writer.head + 1)
        entry, record = judged(self._books, sequence, now, submission)
        verdict = entry.effects
        if verdict is not None:
            apply(self._books, verdict)
            self._roster.touched(wallets, sequence)
            self._roster.remember_awaited(entry)
            if verdict.assets or verdict.clients:
                self._assets_sequence = sequence
        # After this point it must succeed: the entry is on its way to the disk.
        self._last_time = now
        pending = self._writer.append(sequence, record, submission)
        submission.sequence = sequence
        submission.durable = DurableEntry(entry, record, pending.leaf)
        submission.decided = perf_counter()
        self.counters.decide_seconds.count(submission.decided - began)

    def _foresee(self, submission: Submission, wallets: list[WalletId]) -> None:
        now = self._now()
        sequence = SequenceNumber(self._writer.head + 1)
        entry, _ = judged(self._books, sequence, now, submission)
        effects = entry.effects
        room = () if effects is None else room_after(self._books, submission.command, effects, now)
        foreseen = Foreseen(verdict_of(entry), now, room)
        self._when_durable(
            max(self._roster.last_sequence(wallets), self._assets_sequence),
            lambda: submission.settle(foreseen),
            lambda reason, facts: submission.settle(NotDecided(reason, facts)),
        )

    def _obstacle(self) -> tuple[Reason, dict[str, Any]] | None:
        if self._writer.degraded is not None:
            return Reason.UNAVAILABLE, unavailable(self._writer.degraded)
        if not self._writer.has_room():
            return Reason.OVERLOADED, {"what": "the journal's queue", "retry_after_ms": OVERLOADED_RETRY_MS}
        if not self._projector.has_room or (self._projector.is_behind and self._waiting >= MOST_WAITING):
            return Reason.OVERLOADED, {"what": "the projector's backlog", "retry_after_ms": OVERLOADED_RETRY_MS}
        return None

    def _now(self) -> datetime:
        """The time of the next entry: the clock's, but never before the last entry's, and later than any moment that
        a read has shown: what was read of a moment stays true of it."""
        return max(self._clock(), self._last_time, self._shown_until + _TICK)

    def _give_up(self, submission: Submission, reason: Reason, facts: dict[str, Any]) -> None:
        self.counters.shed[reason] = self.counters.shed.get(reason, 0) + 1
        for key in submission.keys:
            if self._recent.get(key) is submission:
                del self._recent[key]
        submission.settle(NotDecided(reason, facts))

    # --- commands sent again ---------------------------------------------------------------------------------------

    def _repeat(self, earlier: Submission, submission: Submission) -> None:
        self.counters.replays += 1
        if earlier.is_settled:
            assert earlier.durable is not None
            submission.settle(answer_again(earlier.durable, submission.command))
            return

        def follow(answer: Answer | Foreseen | NotDecided) -> None:
            if isinstance(answer, Answer):
                answer = answer_again(answer.durable, submission.command)
            submission.settle(answer)

        earlier.followers.append(follow)

    async def _replay(self, sequence: int, submission: Submission) -> None:
        self.counters.replays += 1
        submission.settle(answer_again(await self._read_entry(sequence), submission.command))

    # --- books of dormant wallets ----------------------------------------------------------------------------------

    async def load_books(self, names: Iterable[WalletId]) -> Mapping[WalletId, Book | TransferRecord]:
        """The books of wallets without an actor, as the read tables have them; those of wallets that exist.

        An actor retires only when the tables know all that it knows; only after a roll-back may they be behind.
        Raises ReadTablesStand where they are, and cannot catch up for want of space.
        """
        await self._projector.reach_unless_full(self._load_floor)
        names = list(names)
        wallets = [name for name in names if not name.startswith(TRANSFER_MARK)]
        found: dict[WalletId, Book | TransferRecord] = {**await self._read_books(wallets)}
        for name in names:
            if name.startswith(TRANSFER_MARK) and (record := await self._load_transfer(TransferId(name[1:]))):
                found[name] = record
        return found

    async def _load_transfer(self, transfer: TransferId) -> TransferRecord | None:
        """What of a transfer can be refunded: as it was posted, or as the last refund left it."""
        sequence = sequence_of(transfer)
        await self.shown(sequence)
        if sequence > self._projector.sequence:
            return None
        refunded = await self._read_transfer(transfer)
        if refunded is not None:
            return refunded
        entry = (await self._read_entry(sequence)).entry
        return next((record for record in refundable_transfers(entry) if record.transfer == transfer), None)

    # --- reads -----------------------------------------------------------------------------------------------------

    def read_wallets(self, wallets: Iterable[WalletId], show: Show, failed: Failed, behind: Behind = lambda: 0) -> None:
        """Have ``show`` make an answer of those of the wallets that exist, as they stand together; what it returns is
        called once what it saw is durable.  It must not keep a book.

        ``behind`` is asked when the wallets' turns are in hand.  The answer waits for its entry, too; where a full disk
        undoes that, it is given all the same if it shows nothing of it.  Reads see every command submitted before.
        """
        names = sorted(set(wallets))

        def read() -> None:
            last = behind()
            if last is None:
                return
            moment = self._shown_until = self.moment()
            books = {name: self._books.wallets[name] for name in names if name in self._books.wallets}
            seen, durable = self._roster.last_sequence(names), self._writer.durable_head
            awaited = max(seen, min(last, self._writer.head))
            answer = show(books, moment)
            if awaited <= durable:
                return answer(durable)

            def settle(is_durable: bool) -> None:
                if is_durable:
                    answer(awaited)
                elif seen <= self._writer.durable_head:
                    answer(max(seen, durable))
                else:
                    failed(Reason.UNAVAILABLE, unavailable(self._writer.degraded))

            self._writer.when_durable(awaited, settle)

        self._roster.claim(Claim(names, run=read, fail=failed))

    def moment(self) -> datetime:
        """What moment it is: the clock's, or that of the last entry or read where the clock went back."""
        return max(self._clock(), self._last_time, self._shown_until)

    async def shown_at(self, time: datetime) -> None:
        """Return once the read tables show every entry of this time or before it, and there will be no other.

        The time must not lie behind ``moment``.
        """
        assert time <= self.moment()
        self._shown_until = max(self._shown_until, time)
        if time >= self._projector.time:
            await self.shown(self._writer.head)

    def _when_durable(self, sequence: int, act: Callable[[], None], failed: Failed) -> None:
        def settle(is_durable: bool) -> None:
            if is_durable:
                act()
            else:
                failed(Reason.UNAVAILABLE, unavailable(self._writer.degraded))

        self._writer.when_durable(sequence, settle)

    # --- what the journal says -------------------------------------------------------------------------------------

    def on_durable(self, commit: Sequence[Pending]) -> None:
        """A segment is durable: answer and publish each of its entries, in order, without awaiting anything."""
        entries: list[DurableEntry] = []
        clients: list[ClientRecord] = []
        counters, now = self.counters, perf_counter()
        commit_began = now - self._writer.counters.last_commit_seconds
        counters.group_entries.count(len(commit))
        for pending in commit:
            submission = pending.context
            assert isinstance(submission, Submission)
            assert submission.durable is not None
            entries.append(submission.durable)
            counters.count_durable(submission.durable.entry)
            counters.queue_seconds.count(max(0.0, commit_began - submission.decided))
            counters.reply_seconds.count(now - submission.arrived)
            effects = submission.durable.entry.effects
            if effects is not None and effects.holds:
                self._follow_holds(effects.holds)
            if effects is not None and effects.clients:
                apply_clients(self._clients, effects)
                clients += effects.clients
            submission.settle(Answer(submission.durable, replayed=False))
            self._publisher.publish(submission.durable)
        self._projector.extend(entries, self._writer.frontier)
        if clients:
            self._follow_clients(clients)

    def on_rolled_back(self, undone: Sequence[Pending], why: JournalFull) -> None:
        """It is certain that these entries are not in the journal: forget what the books know, and say so."""
        facts = unavailable(why)
        for pending in undone:
            submission = pending.context
            assert isinstance(submission, Submission)
            assert submission.durable is not None
            effects = submission.durable.entry.effects
            for asset in effects.assets if effects is not None else ():
                del self._books.assets[asset.asset]
        self._books.clients = ClientBook(self._clients.records.values())
        self._load_floor = self._projector.durable_sequence
        self._assets_sequence = min(self._assets_sequence, self._writer.head)
        self._roster.forget_all(Reason.UNAVAILABLE, facts)
        for pending in undone:
            self._give_up(pending.context, Reason.UNAVAILABLE, facts)  # type: ignore[arg-type]

    def on_projected(self, entries: Sequence[DurableEntry]) -> None:
        """The read tables show these entries: their command ids are found there from now on."""
        for durable in entries:
            for name in ids_of(durable.entry.command):
                self._index.note(durable.entry.principal, name)
                del self._recent[durable.entry.principal, name]
        self._roster.retire_some(len(entries))
