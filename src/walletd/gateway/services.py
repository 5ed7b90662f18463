"""What every endpoint is handed: the parts of the daemon that answer calls, and the limits on a session."""

import secrets
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

import trio

from walletd.gateway.admission import Admission, Guest
from walletd.journal.history import History
from walletd.ledger.book import Books
from walletd.protocol.close_codes import CloseCode
from walletd.protocol.envelope import Limits
from walletd.protocol.messages.journal import CompactionStatus
from walletd.protocol.messages.operator import DaemonStatus
from walletd.sessions.redaction import Redactions
from walletd.streams.event_frames import EventFrames
from walletd.streams.publisher import Publisher
from walletd.tables.command_ids import CommandIndex
from walletd.tables.projector import Projector
from walletd.tables.queries.wallets import Readings
from walletd.upkeep.books_audit import BooksAudits
from walletd.vocabulary.states import DaemonState
from walletd.wallets.command_ids import CommandIds
from walletd.wallets.decisions import Decisions
from walletd.wallets.history_clock import HistoryClock
from walletd.wallets.load import Load
from walletd.wallets.reads import Reads
from walletd.wallets.visibility import Visibility

ANSWERED_POLL_SECONDS = 0.01


class Operating(Protocol):
    """What an operator can do to the running daemon."""

    def log_level(self, component: str | None, level: str | None) -> Mapping[str, str]:
        """Change a level; the levels of all components.  Raises ValueError for a component that is none."""
        ...

    def drain(self) -> None:
        """Stop in order."""
        ...

    def audited(self, violations: int) -> None:
        """The books were summed up, with so many violations."""
        ...

    def report(self) -> tuple[str, str | None]:
        """A report of now, and the file that it was written to."""
        ...


class Compacting(Protocol):
    """The compaction of the journal."""

    @property
    def status(self) -> CompactionStatus:
        """What it does now, and how the last one ended."""
        ...

    def request(self, keep_entries: int | None = None) -> None:
        """Have one begin, if none is under way."""
        ...


class Services:
    """The daemon as its endpoints see it."""

    def __init__(
        self,
        *,
        decisions: Decisions,
        command_ids: CommandIds,
        reads: Reads,
        visibility: Visibility,
        history_clock: HistoryClock,
        load: Load,
        publisher: Publisher,
        projector: Projector,
        readings: Readings,
        audits: BooksAudits,
        history: History,
        index: CommandIndex,
        books: Books,
        admission: Admission,
        operations: Operating,
        compaction: Compacting,
        limits: Limits,
        clock: Callable[[], datetime],
        lifecycle: Callable[[], DaemonState],
        status: Callable[[], DaemonStatus],
        server_version: str,
        instance: str,
        created_at: int,
        epoch: int,
        heartbeat_ms: int,
        max_event_bytes: int,
        authentication_seconds: float,
    ) -> None:
        self.decisions = decisions
        self.command_ids = command_ids
        self.reads = reads
        self.visibility = visibility
        self.history_clock = history_clock
        self.load = load
        self.publisher = publisher
        self.projector = projector
        self.readings = readings
        self.audits = audits
        self.history = history
        self.index = index
        self.books = books
        self.admission = admission
        self.register = admission.register
        self.operations = operations
        self.compaction = compaction
        self.limits = limits
        self.clock = clock
        self.lifecycle = lifecycle
        self.status = status
        self.server_version = server_version
        self.instance = instance
        self.created_at = created_at
        self.epoch = epoch
        self.events = EventFrames(epoch)
        self.heartbeat_ms = heartbeat_ms
        self.max_event_bytes = max_event_bytes
        self.shed: Counter[str] = Counter()
        """Requests answered with overloaded, by what was full."""
        self.endpoints = admission.guests
        self.redactions = Redactions()
        self.rejected: Counter[str] = Counter()
        """Requests that were answered with an error, by its reason, since the start of this process."""
        self._authentication_seconds = authentication_seconds
        self._unauthenticated: OrderedDict[Guest, float] = OrderedDict()
        """Until when each may take; in the order in which they came."""
        self._arrival = trio.Event()
        self._nursery: trio.Nursery | None = None

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled: calls that wait for the read tables, the deadlines of authentication and of tokens."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            await nursery.start(self.admission.run)
            task_status.started()
            await self._close_unauthenticated()

    def start(self, act: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
        """Run something that has to await."""
        assert self._nursery is not None, "the services are not running"
        self._nursery.start_soon(act, *arguments)

    async def answered(self) -> None:
        """Return once no session has an unanswered request; for the end, when no new ones are taken."""
        while any(guest.session.in_flight for guest in self.endpoints):  # noqa: ASYNC110
            await trio.sleep(ANSWERED_POLL_SECONDS)  # an event per answer would cost more than this once in a life

    def expect_authentication(self, guest: Guest) -> None:
        """The session must authenticate before its deadline.  All deadlines are equally far: the oldest is first."""
        self._unauthenticated[guest] = trio.current_time() + self._authentication_seconds
        self._arrival.set()

    def left(self, guest: Guest) -> None:
        """The connection is gone: nothing of it is kept."""
        self.endpoints.discard(guest)
        self._unauthenticated.pop(guest, None)

    async def _close_unauthenticated(self) -> None:
        while True:
            await self._arrival.wait()
            self._arrival = trio.Event()
            while self._unauthenticated:
                await trio.sleep_until(next(iter(self._unauthenticated.values())))
                self._close_late(trio.current_time())

    def _close_late(self, now: float) -> None:
        while self._unauthenticated and next(iter(self._unauthenticated.values())) <= now:
            guest = next(iter(self._unauthenticated))
            del self._unauthenticated[guest]
            if guest.session.grant is None and not guest.session.is_ended:
                guest.close(CloseCode.AUTHENTICATION_TIMEOUT, "no authentication in time")


def connection_id() -> str:
    """A fresh name for a connection, as it stands in hello and in the log."""
    return secrets.token_hex(6)
