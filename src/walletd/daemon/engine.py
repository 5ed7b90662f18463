"""The engine: the parts that decide, write, project and publish, connected to each other, without a socket.

    async with Engine(store, recovered, queries, head, engine_limits(settings)).running(): ...

The daemon puts the gateway in front of it; tests drive it directly.
"""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, NoReturn, Protocol

import trio

from walletd.daemon.events import Events
from walletd.daemon.limits import EngineLimits
from walletd.journal.failures import JournalFull, NotLeading
from walletd.journal.history import DurableEntry, History
from walletd.journal.merkle import Frontier
from walletd.journal.queue import Queue
from walletd.journal.store import Head, JournalStore
from walletd.journal.writer import JournalWriter, WriterLimits
from walletd.ledger.book import Books
from walletd.ledger.client_book import ClientBook, apply_clients, is_in_force
from walletd.runtime.ending import end_process
from walletd.runtime.fair_turns import FairTurns
from walletd.runtime.silence_watch import SilenceWatch
from walletd.runtime.slices import Slices
from walletd.runtime.wall_clock import Clock, wall_clock
from walletd.sessions.budgets import USUAL, Budgets, Defaults
from walletd.streams.publisher import Publisher
from walletd.tables.command_ids import CommandIndex
from walletd.tables.file import ReadTablesRotten
from walletd.tables.projector import Projector
from walletd.tables.queries.holds import Expiry, Key
from walletd.tables.queries.wallets import Queries
from walletd.tables.stored import Stored
from walletd.upkeep.books_audit import BooksAudits
from walletd.upkeep.recovery import Recovered
from walletd.vocabulary.commands import AnyCommand, CreateClient, ExpireHold, OpenWallet, RotateClient
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.entries import ClientRecord
from walletd.vocabulary.identifiers import DAEMON, EXTERNAL, OPERATOR, CommandId
from walletd.wallets.commit_at_once import CommitAtOnce
from walletd.wallets.delivery import Delivery
from walletd.wallets.history_clock import HistoryClock
from walletd.wallets.load import Load
from walletd.wallets.parts import Wallets, WarmLimits
from walletd.wallets.past_entries import PastEntries
from walletd.wallets.reads import Reads
from walletd.wallets.submission import Answer, Foreseen, Submission
from walletd.wallets.table_reads import TableReads
from walletd.wallets.timers import Timers

READING_PLACES = 6
"""What is read for clients at the same time: pages, old entries, steps of streams that catch up."""

PLACES_OF_ONE = 2
"""Those of them that one principal may have: its slow reads leave places for the others."""

PLACES_ALONE = 16
"""Those that it may have while no other principal reads: so many short reads are answered in one pass of the loop."""

log = logging.getLogger("walletd.daemon")


class Engine:
    """The parts that decide, write, project and publish, each built from those before it.

    Parts that are built later, here or outside, follow its ``events``.
    """

    def __init__(
        self,
        store: JournalStore,
        recovered: Recovered,
        queries: Queries,
        head: Head,
        limits: EngineLimits,
        *,
        budgets: Defaults = USUAL,
        clock: Clock = wall_clock,
        seconds: Callable[[], float] = perf_counter,
        die: Callable[[str], NoReturn] = end_process,
        follows: NotLeading | None = None,
    ) -> None:
        """``seconds`` measures the turns of reads: a simulation has a clock of its own.  ``follows``: another node
        writes the journal until ``lead``, and this is why no command is decided.
        """
        self.store = store
        self.clock = clock
        self.events = events = Events()
        tables, progress = recovered.tables.path, recovered.progress
        index = CommandIndex(tables, progress.sequence, limits.reader_cache_kibibytes)
        self.stored = Stored(queries, History(store), index)
        self.audits = BooksAudits(tables, limits.reader_cache_kibibytes)
        projecting = SilenceWatch("the writes of the read tables", die)
        self._watches = (projecting, queries.watch)
        self.projector = Projector(
            recovered.tables,
            progress,
            max_backlog=limits.max_unprojected_entries,
            on_projected=events.projected,
            watch=projecting,
        )
        writer_limits = WriterLimits(max_queue_entries=limits.max_queued_entries)
        queue: Queue[Submission] = writer_limits.queue_after(head.sequence)
        load = Load(queue, self.projector)
        self.writer: JournalWriter[Submission] = JournalWriter(
            store,
            recovered.frontier,
            head,
            outcome=events,
            queue=queue,
            pace=load,
            limits=writer_limits,
            die=die,
            seconds=perf_counter,  # trio's own clock leaves standstills out.
        )
        if follows is not None:
            self.writer.follow(follows)
        books, clients = Books(), ClientBook()
        books.histories = store.histories
        accounts = Budgets(trio.current_time, clients.records, budgets)
        events.clients_changed.add(accounts.review)
        reading: FairTurns[Any] = FairTurns(
            READING_PLACES,
            PLACES_OF_ONE,
            accounts.charge_processor,
            accounts.processor_wait,
            places_alone=PLACES_ALONE,
            seconds=seconds,
        )
        slices = Slices(accounts.charge_processor, accounts.processor_wait, seconds=seconds)
        self.passes = CommitAtOnce(self.writer, self.projector, load, accounts)
        self.wallets = wallets = Wallets(
            books,
            clients,
            self.stored,
            self.writer,
            self.projector,
            load,
            accounts,
            reading,
            slices,
            HistoryClock(clock if follows is None else _no_clock, progress.time),
            WarmLimits(limits.max_warm_wallets, limits.max_mailbox, limits.idle_wallet_seconds),
            seconds,
        )
        self.publisher = Publisher(
            self.stored.history.entries_after,
            head.sequence,
            heartbeat_seconds=limits.heartbeat_seconds,
            read_touching=PastEntries(queries, self.stored.history).touching,
            turns=reading,
        )
        self.timers = Timers(
            self._expire, lambda: self.clock(), self._next_expiries, is_busy=lambda: self.writer.is_busy
        )
        delivery = Delivery(
            self.writer,
            self.projector,
            self.publisher,
            clients,
            wallets.counters,
            follow_holds=self.timers.follow,
            follow_clients=events.clients_changed,
        )
        events.durable.add(delivery.deliver)
        events.rolled_back.add(wallets.decisions.roll_back)
        events.projected.add(wallets.projected)
        self._writing: trio.Nursery | None = None
        self._reads: TableReads | None = None
        if follows is not None:
            self._reads = wallets.reads = TableReads(queries, self.projector, reading, accounts.account)
            queries.clock = wallets.clock.moment

    def _expire(self, command: ExpireHold, decided: Callable[[bool], None]) -> None:
        submission = Submission(command, DAEMON, lambda answer: decided(isinstance(answer, Answer)))
        self.wallets.decisions.submit(submission)

    async def _next_expiries(self, after: Key | None, limit: int) -> list[Expiry]:
        """The next expiries from the tables, once they show every entry that is durable now."""
        await self.projector.reach(self.writer.durable_head)
        return await self.stored.tables.expiries(after, limit)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """All parts at work.  At the end the queued entries are written, then everything stops."""
        wallets, tables = self.wallets, self.stored.tables
        wallets.books.assets.update({asset.asset: asset for asset in await tables.assets()})
        for record in await tables.clients():
            wallets.clients.put(record)
            wallets.books.clients.put(record)
        async with trio.open_nursery() as nursery:
            for part in (self.projector, self.publisher, wallets.roster, wallets.command_ids, wallets.slices):
                await nursery.start(_run_part, part)
            nursery.start_soon(self.stored.index.survey)
            for watch in self._watches:
                nursery.start_soon(watch.run)
            if self._reads is not None:
                await nursery.start(_run_part, self._reads)
            async with trio.open_nursery() as writing:
                self._writing = writing
                if self._reads is None:
                    await self._begin_writing()
                yield
                await self.writer.drain()
                writing.cancel_scope.cancel()
            nursery.cancel_scope.cancel()
        self.stored.index.close()

    async def _begin_writing(self) -> None:
        """Only the node that leads records expiries, or anything else."""
        assert self._writing is not None
        await self._writing.start(self.writer.run)
        await self.timers.load()
        await self._writing.start(_run_part, self.timers)

    # --- another node's entries --------------------------------------------------------------------------------------

    def follow(self, entries: list[DurableEntry], frontier: Frontier) -> None:
        """Show these entries, which another node has written and this one has proved."""
        wallets = self.wallets
        changed: list[ClientRecord] = []
        for durable in entries:
            entry = durable.entry
            if entry.effects is not None:
                wallets.books.assets.update({asset.asset: asset for asset in entry.effects.assets})
                if entry.effects.clients:
                    apply_clients(wallets.clients, entry.effects)
                    changed += entry.effects.clients
            wallets.clock.entered(entry.time)
        self.writer.followed(frontier)
        for durable in entries:
            self.publisher.publish(durable)
        self.projector.extend(entries, frontier)
        wallets.visibility.followed()
        if changed:
            self.events.clients_changed(changed)

    async def room_to_follow(self) -> None:
        """Return once the read tables have so far caught up that more entries can be taken."""
        while self.wallets.load.is_behind:
            await self.projector.advance()

    async def lead(self, clock: Clock) -> None:
        """Decide commands from now on: this node alone writes the journal, all of which it was shown."""
        wallets, tables = self.wallets, self.stored.tables
        await self.projector.reach(self.writer.durable_head)
        wallets.books.clients = ClientBook(wallets.clients.records.values())
        self.clock = tables.clock = clock
        wallets.clock.promise(wallets.clock.moment())  # An answer as of the last entry's time stays true.
        wallets.clock.go_by(clock)
        wallets.reads = Reads(wallets.books, wallets.roster, self.writer, wallets.clock)
        self.writer.lead()
        await self._begin_writing()

    async def open_external(self) -> None:
        """The first entry of every journal opens the wallet through which money enters and leaves.

        Raises JournalFull if the disk does not accept it: a daemon that has not begun need not continue degraded.
        """
        answer = await self._submit(OpenWallet(command_id=CommandId("open-external"), wallet=EXTERNAL))
        if isinstance(answer, Declined):
            raise JournalFull(f"the first entry cannot be written: {answer.facts['why']}")

    async def admit_operator(self, token_sha256: str) -> bool:
        """Admit the operator by the token in its file; returns whether it is admitted.

        A token that the journal does not know makes the operator an admin, even a revoked one: a person who can write
        the file and start the daemon is the operator.
        """
        known = self.wallets.books.clients.records.get(OPERATOR)
        if known is not None and any(token.sha256 == token_sha256 for token in known.tokens):
            return is_in_force(known, self.clock())
        name = CommandId(f"operator-{self.writer.head + 1}")
        if known is None:
            answer = await self._submit(
                CreateClient(command_id=name, client=OPERATOR, scopes=("admin",), token_sha256=token_sha256)
            )
        else:
            answer = await self._submit(RotateClient(command_id=name, client=OPERATOR, token_sha256=token_sha256))
        return isinstance(answer, Answer) and answer.durable.entry.effects is not None

    async def _submit(self, command: AnyCommand) -> Answer | Foreseen | Declined:
        """The outcome of a command of the daemon itself."""
        answers: list[Answer | Foreseen | Declined] = []
        answered = trio.Event()

        def reply(answer: Answer | Foreseen | Declined) -> None:
            answers.append(answer)
            answered.set()

        self.wallets.decisions.submit(Submission(command, DAEMON, reply))
        await answered.wait()
        return answers[0]


def _no_clock() -> datetime:
    """The clock of a node that follows: its moment is the time of the last entry, whatever its own clock says."""
    return datetime.min.replace(tzinfo=UTC)


class _Part(Protocol):
    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None: ...


async def _run_part(part: _Part, task_status: trio.TaskStatus[None]) -> None:
    """Run a part; a failure is logged while everything else is still unchanged, before it ends the daemon."""
    try:
        await part.run(task_status)
    except ReadTablesRotten:
        raise
    except Exception:
        log.exception("%s failed", type(part).__name__.lower())
        raise
