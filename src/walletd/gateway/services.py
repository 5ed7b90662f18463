"""The services of every endpoint: the parts of the daemon that answer calls, by subject.

services = Services(wallets, stored, reading, publisher, admission, budgets, operator, about, terms)
nursery.start_soon(services.run)
"""

import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import trio

from walletd.gateway.admission import Admission
from walletd.gateway.audit_trail import AuditTrail
from walletd.protocol.envelope import Node, SessionLimits
from walletd.protocol.messages.journal import CompactionStatus
from walletd.protocol.messages.operator import DaemonStatus
from walletd.runtime.fair_turns import FairTurns
from walletd.runtime.task_home import TaskHome
from walletd.sessions.budgets import Budgets
from walletd.sessions.redaction import Redactions
from walletd.streams.event_frames import EventFrames
from walletd.streams.publisher import Publisher
from walletd.tables.stored import Stored
from walletd.upkeep.books_audit import BooksAudits
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.entries import Refusal
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.states import DaemonState, NodeRole
from walletd.wallets.parts import Wallets


class Operating(Protocol):
    """An operator's actions on the running daemon."""

    def log_level(self, component: str | None, level: str | None) -> Mapping[str, str]:
        """Change a level; returns the levels of all components.  Raises ValueError for an unknown component."""
        ...

    def drain(self) -> None:
        """Stop gracefully."""
        ...

    def audited(self, violations: int) -> None:
        """Note that the books were audited, with this many violations."""
        ...

    def report(self) -> tuple[str, str | None]:
        """A report of the present state, and the file that it was written to."""
        ...


class Compacting(Protocol):
    """The compaction of the journal."""

    @property
    def status(self) -> CompactionStatus:
        """The present step, and the last outcome."""
        ...

    def request(self, keep_entries: int | None = None) -> None:
        """Start a compaction, unless one is running."""
        ...


class Operator(NamedTuple):
    """An operator's requests, and the daemon's state."""

    operations: Operating
    compaction: Compacting
    audits: BooksAudits
    lifecycle: Callable[[], DaemonState]
    status: Callable[[], DaemonStatus]
    node: Callable[[], Node | None] = lambda: None
    """This daemon as one of several; None if it is alone."""

    def leader(self) -> dict[str, str]:
        """The fact that names another node that leads; empty if none is known."""
        node = self.node()
        return {"leader": node.leader} if node is not None and node.role is NodeRole.FOLLOWER and node.leader else {}


class About(NamedTuple):
    """The identity of this daemon, and of the journal that it serves."""

    server_version: str
    instance: str
    created_at: int
    epoch: int


class SessionTerms(NamedTuple):
    """The terms of every session, as told in its hello."""

    limits: SessionLimits
    heartbeat_ms: int
    max_event_bytes: int
    """The bytes that may be queued for a client before a stream waits."""


@dataclass(slots=True)
class RequestCounters:
    """Counters of requests that were not served, since the start of this process."""

    rejected: Counter[str] = field(default_factory=Counter)
    """Requests answered with an error, by its reason."""
    shed: Counter[str] = field(default_factory=Counter)
    """Requests answered with overloaded, by the queue that was full."""

    def count(self, why: Declined | Refusal) -> None:
        """Count a request that is answered with this error."""
        self.rejected[why.reason.value] += 1
        if why.reason is Reason.OVERLOADED:
            self.shed[str(why.facts.get("what", ""))] += 1


class Services:
    """The daemon as its endpoints see it."""

    def __init__(
        self,
        wallets: Wallets,
        stored: Stored,
        reading: FairTurns[Any],
        publisher: Publisher,
        admission: Admission,
        budgets: Budgets,
        operator: Operator,
        about: About,
        terms: SessionTerms,
    ) -> None:
        self.wallets = wallets
        self.stored = stored
        self.reading = reading
        """The turns of reads from the disk, by the accounts that pay for them."""
        self.publisher = publisher
        self.admission = admission
        self.budgets = budgets
        self.operator = operator
        self.about = about
        self.terms = terms
        self.events = EventFrames(about.epoch)
        self.redactions = Redactions()
        self.counters = RequestCounters()
        self.audit = AuditTrail()
        self.tasks = TaskHome()
        """Calls that wait: for the read tables, for the journal, for space."""

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.tasks.run)
            await nursery.start(self.admission.run)
            await nursery.start(self.audit.run)
            task_status.started()


def connection_id() -> str:
    """A fresh name for a connection, as it appears in hello and in the log."""
    return secrets.token_hex(6)
