"""The roster: the warm wallets, and the granting of their turns.

    roster.claim(Claim(["alice", "bob"], run, fail))   # runs at once if both are warm and free

A dormant wallet has no actor and costs nothing here.  The first claim on it makes an actor, and one task loads the
books of all actors that want one; until then claims wait in its bounded mailbox, which the task then drains in order of
arrival.  An actor whose name is no wallet's ends when no claim waits.  Others retire after a long idle time, or if they
are the least recently used of too many, once the read tables contain everything that they know.
"""

import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import islice

import trio

from walletd.ledger.book import Book, Books
from walletd.ledger.refunds import remember_transfers
from walletd.logs.context import about_command
from walletd.tables.writer import ReadTablesStand
from walletd.vocabulary.claims import TRANSFER_MARK, parts_of
from walletd.vocabulary.commands import ExecuteBatch, RefusedCommand
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.entries import Entry, TransferRecord
from walletd.vocabulary.identifiers import DAEMON, Principal, WalletId, transfer_id
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.states import ActorState
from walletd.wallets.actor import KEEP, Actor, Claim
from walletd.wallets.entries import unavailable
from walletd.wallets.loading_places import FREE, MAX_LOADING, LoadingPlaces, Payments

log = logging.getLogger(__name__)

TURNS_BETWEEN_CHECKPOINTS = 32
"""Mailboxes are drained in bursts of about a millisecond, so that sockets and the journal are served in between."""

RETIREMENTS_PER_CLAIM = 4
"""While too many are warm, a claim looks at as many of the least recently used actors as it names, and this many
more.
"""

BOOKS_AT_ONCE = 1_000
"""The books loaded by one read, so that others get their turn at the read tables."""

RESERVED_MAILBOX_PLACES = 16
"""Places of a mailbox beyond its limit, for those who must always be heard."""

OVERLOADED_RETRY_MS = 100


LoadBooks = Callable[[Iterable[WalletId]], Awaitable[Mapping[WalletId, Book | TransferRecord]]]


class _Idleness:
    """The time after which an idle actor retires, and a clock for it that costs nothing: its reading is up to a
    quarter of that time old.
    """

    __slots__ = ("now", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.now = 0.0


class Roster:
    """The actors of all warm wallets.  It owns ``books.wallets``: an active actor's book is there, if the wallet
    exists.

    ``settled_sequence`` is the entry up to which the read tables are complete: an actor that knows more cannot retire.
    """

    def __init__(
        self,
        books: Books,
        load: LoadBooks,
        *,
        max_warm_wallets: int,
        max_mailbox: int,
        idle_seconds: float,
        settled_sequence: Callable[[], int],
        payments: Payments = FREE,
    ) -> None:
        self._books = books
        self._load = load
        self._max_warm_wallets = max_warm_wallets
        self._max_mailbox = max_mailbox
        self._idle = _Idleness(idle_seconds)
        self._settled_sequence = settled_sequence
        self._actors: OrderedDict[WalletId, Actor] = OrderedDict()
        self._transfers: set[WalletId] = set()
        """Those of the actors that represent transfers."""
        self._ready: deque[Claim] = deque()
        self._wanted: list[Actor] = []
        """Actors whose books are in no read yet."""
        self._places = LoadingPlaces(payments)
        self._nursery: trio.Nursery | None = None
        self.loads = 0
        self.retirements = 0
        self.waits = 0

    def __len__(self) -> int:
        return len(self._actors)

    def states(self) -> dict[ActorState, int]:
        """The number of actors in each state.  O(warm wallets)."""
        counts = dict.fromkeys(ActorState, 0)
        for actor in self._actors.values():
            counts[actor.state] += 1
        return counts

    def mailbox_depths(self) -> list[int]:
        """The number of claims in each mailbox that is not empty.  O(warm wallets)."""
        return [len(actor.mailbox) for actor in self._actors.values() if actor.mailbox]

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled: the actors' tasks live in here."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            try:
                while True:
                    self._idle.now = trio.current_time()
                    await trio.sleep(self._idle.seconds / 4)
                    self._retire_idle(trio.current_time() - self._idle.seconds * 5 / 4)
            finally:
                self._nursery = None

    # --- turns -----------------------------------------------------------------------------------------------------

    def claim(self, claim: Claim) -> None:
        """Have the claim run when it has the turn of each of its wallets: at once, if all are warm and free."""
        if self._places.are_taken_for(claim) and not all(wallet in self._actors for wallet in claim.wallets):
            full = {"what": "the loading of wallets", "limit": MAX_LOADING}
            claim.fail(Declined(Reason.OVERLOADED, {**full, "retry_after_ms": OVERLOADED_RETRY_MS}))
            return
        actors = [self._actor(wallet, claim.sender) for wallet in claim.wallets]
        for actor in actors:
            if not actor.is_free:
                self._wait(claim, actors)
                break
        else:
            if self._run(claim, actors) is KEEP:
                for actor in actors:
                    actor.enter(claim)
                claim.lacking = 0
        self.retire_surplus(len(actors))

    def free(self, wallets: Sequence[WalletId]) -> list[Actor] | None:
        """The actors of these wallets, if a claim on them would run at once; None if it has to wait, or to load any."""
        found: list[Actor] = []
        for wallet in wallets:
            actor = self._actors.get(wallet)
            if actor is None or actor.mailbox or actor.state is not ActorState.ACTIVE:
                return None
            found.append(actor)
        return found

    def use(self, actors: Sequence[Actor]) -> None:
        """Note that a command has the turns of these actors, which are free: it is decided before anything else."""
        now, move_to_end = self._idle.now, self._actors.move_to_end
        for actor in actors:
            actor.last_used = now
            move_to_end(actor.wallet)

    def retire_surplus(self, named: int) -> None:
        """A command that named so many wallets was decided: drop some actors while too many are warm."""
        if len(self._actors) > self._max_warm_wallets:
            self.retire_some(named + RETIREMENTS_PER_CLAIM)

    def resume(self, claim: Claim) -> None:
        """Run again a claim that kept its turns; does nothing if they were taken from it meanwhile."""
        if all(self._has_turn(wallet, claim) for wallet in claim.wallets) and self._nursery is not None:
            self._ready.append(claim)
            self._nursery.start_soon(self._run_ready)

    def _has_turn(self, wallet: WalletId, claim: Claim) -> bool:
        actor = self._actors.get(wallet)
        return actor is not None and bool(actor.mailbox) and actor.mailbox[0] is claim

    def touched(self, wallets: Iterable[WalletId], sequence: int) -> None:
        """Note that an entry of this sequence touched these wallets, whose turns are in hand."""
        for wallet in wallets:
            self._actors[wallet].last_sequence = sequence

    def remember_awaited(self, entry: Entry) -> None:
        """If a refund asked for a transfer before it existed, its actor must know of it now."""
        if not self._transfers or isinstance(entry.command, RefusedCommand):
            return
        for index in range(len(parts_of(entry.command))):
            place = index if isinstance(entry.command, ExecuteBatch) else None
            if WalletId(TRANSFER_MARK + transfer_id(entry.sequence, place, entry.history)) in self._actors:
                remember_transfers(self._books, entry)
                return

    def last_sequence(self, wallets: Iterable[WalletId]) -> int:
        """The last entry that touched any of these wallets, whose turns are in hand; it may not be durable yet."""
        return max((self._actors[wallet].last_sequence for wallet in wallets), default=0)

    def _actor(self, wallet: WalletId, wanted_by: Principal) -> Actor:
        actor = self._actors.get(wallet)
        if actor is None:
            actor = self._actors[wallet] = Actor(wallet, wanted_by)
            if wallet.startswith(TRANSFER_MARK):
                self._transfers.add(wallet)
            self._places.take(wanted_by)
            self._wanted.append(actor)
            if len(self._wanted) == 1 and self._nursery is not None:  # At the end of the daemon claims wait.
                self._nursery.start_soon(self._load_wanted, name="wallets that load")
        else:
            self._actors.move_to_end(wallet)
        return actor

    def _wait(self, claim: Claim, actors: list[Actor]) -> None:
        """Enter the mailboxes of all the wallets at once, or none."""
        most = self._max_mailbox + (RESERVED_MAILBOX_PLACES if claim.is_vital else 0)
        for actor in actors:
            if actor.state is ActorState.QUARANTINED:
                claim.fail(Declined(Reason.WALLET_QUARANTINED, {"wallet": actor.wallet}))
                return
            if len(actor.mailbox) >= most:
                full = {"what": "the mailbox of a wallet", "wallet": actor.wallet, "limit": self._max_mailbox}
                claim.fail(Declined(Reason.OVERLOADED, {**full, "retry_after_ms": OVERLOADED_RETRY_MS}))
                return
        self.waits += 1
        for actor in actors:
            if actor.is_free:
                claim.lacking -= 1
            actor.enter(claim)

    def _run(self, claim: Claim, actors: Iterable[Actor]) -> object:
        for actor in actors:
            actor.last_used = self._idle.now
        try:
            return claim.run(claim)
        except MemoryError:
            raise
        except Exception as broken:
            self.quarantine(claim, broken)
            return None

    # --- loading ---------------------------------------------------------------------------------------------------

    async def _load_wanted(self) -> None:
        """Load the books of all actors that want one by now, some at a time, and run the claims that waited."""
        await trio.lowlevel.checkpoint()
        wanted, self._wanted = self._wanted, []
        for start in range(0, len(wanted), BOOKS_AT_ONCE):
            await self._load_some(wanted[start : start + BOOKS_AT_ONCE])
            await self._run_ready()

    async def _load_some(self, wanted: list[Actor]) -> None:
        """One read of the tables for these actors."""
        books: Mapping[WalletId, Book | TransferRecord] = {}
        lost: Declined | None = None
        try:
            books = await self._load([actor.wallet for actor in wanted])
        except ReadTablesStand as full:
            lost = unavailable(full)
        self.loads += len(wanted)
        for actor in wanted:
            self._places.give(actor.wanted_by)
            if self._actors.get(actor.wallet) is not actor:
                continue
            actor.lost = lost
            if lost is None:
                actor.state = ActorState.ACTIVE
            book = books.get(actor.wallet)
            if book is not None:
                self._books.put(actor.wallet, book)
            self._pass_on(actor)

    async def _run_ready(self) -> None:
        turns = 0
        while self._ready:
            claim = self._ready.popleft()
            payments = self._places.payments
            began = payments.seconds()
            self._run_waiting(claim)
            if claim.sender != DAEMON:
                payments.charge(claim.sender, payments.seconds() - began)
            turns += 1
            if turns % TURNS_BETWEEN_CHECKPOINTS == 0:
                await trio.lowlevel.checkpoint()

    def _run_waiting(self, claim: Claim) -> None:
        """Run a claim that is the first in all its mailboxes, and pass their turns on."""
        actors = [self._actors[wallet] for wallet in claim.wallets]
        quarantined = [actor.wallet for actor in actors if actor.state is ActorState.QUARANTINED]
        lost = next((actor.lost for actor in actors if actor.lost is not None), None)
        if quarantined:
            claim.fail(Declined(Reason.WALLET_QUARANTINED, {"wallet": quarantined[0]}))
        elif lost is not None:
            claim.fail(lost)
        elif self._run(claim, actors) is KEEP:
            return
        for actor in actors:
            actor.leave(claim)
            self._pass_on(actor)
            if not actor.mailbox and (actor.lost is not None or self._is_of_nothing(actor)):
                self._remove(actor)

    def _is_of_nothing(self, actor: Actor) -> bool:
        """True if its name is that of no wallet and no transfer: the next claim on it looks again."""
        is_known = actor.last_sequence > 0 or actor.state is not ActorState.ACTIVE
        return not is_known and not self._books.has(actor.wallet)

    def _pass_on(self, actor: Actor) -> None:
        """Give this wallet's turn to the first claim in the mailbox."""
        if actor.mailbox:
            claim = actor.mailbox[0]
            claim.lacking -= 1
            assert claim.lacking >= 0
            if claim.lacking == 0:
                self._ready.append(claim)

    # --- the end of an actor ---------------------------------------------------------------------------------------

    def retire_some(self, most: int) -> None:
        """Drop the least recently used actors while too many are warm; those that can, among the oldest ``most``."""
        surplus = min(most, len(self._actors) - self._max_warm_wallets)
        for actor in list(islice(self._actors.values(), max(0, surplus))):
            self._retire(actor)

    def _retire_idle(self, used_before: float) -> None:
        for actor in list(self._actors.values()):
            if actor.last_used > used_before:
                break
            self._retire(actor)

    def _retire(self, actor: Actor) -> None:
        if not actor.is_free or actor.last_sequence > self._settled_sequence():
            return
        actor.state = ActorState.RETIRING
        self._remove(actor)
        self._books.drop(actor.wallet)
        self.retirements += 1

    def _remove(self, actor: Actor) -> None:
        del self._actors[actor.wallet]
        self._transfers.discard(actor.wallet)

    def forget_all(self, declined: Declined) -> None:
        """The books know entries that did not become durable: drop them all, and fail all waiting claims.

        The next claim on a wallet loads its book again.  Quarantined wallets stay so.
        """
        waiting = dict.fromkeys(claim for actor in self._actors.values() for claim in actor.mailbox)
        for actor in list(self._actors.values()):
            actor.mailbox = ()
            if actor.state is not ActorState.QUARANTINED:
                self._remove(actor)
        self._ready.clear()
        self._books.wallets.clear()
        self._books.transfers.clear()
        for claim in waiting:
            claim.fail(declined)

    def quarantine(self, claim: Claim, broken: Exception) -> None:
        """An invariant broke while the claim ran.  Nothing of it was journaled; its wallets do not move from now on."""
        for wallet in claim.wallets:
            about = about_command(claim.command_id) if claim.command_id else {}
            log.error("wallet %s is quarantined", wallet, exc_info=broken, extra=about)
            self._actors[wallet].state = ActorState.QUARANTINED
            self._books.drop(wallet)
        claim.fail(Declined(Reason.INTERNAL_ERROR, {"wallets": list(claim.wallets)}))
