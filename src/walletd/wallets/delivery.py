"""Delivery: the results of a commit go out, entry by entry, without awaiting anything.

    delivery.deliver(commit)                           # right after the commit

For each entry, in order: admission follows its clients, timers follow its holds, its command is answered, its event is
published.  Then the projector receives them all.
"""

from collections.abc import Callable, Sequence
from time import perf_counter

from walletd.journal.history import DurableEntry
from walletd.journal.queue import Pending
from walletd.journal.writer import JournalWriter
from walletd.ledger.client_book import ClientBook, apply_clients
from walletd.streams.publisher import Publisher
from walletd.tables.projector import Projector
from walletd.vocabulary.entries import ClientRecord, HoldRecord
from walletd.wallets.counters import CommandCounters
from walletd.wallets.submission import Answer, Submission


class Delivery:
    """Knows all receivers of durable entries."""

    __slots__ = ("_clients", "_counters", "_follow_clients", "_follow_holds", "_projector", "_publisher", "_writer")

    def __init__(
        self,
        writer: JournalWriter[Submission],
        projector: Projector,
        publisher: Publisher,
        clients: ClientBook,
        counters: CommandCounters,
        *,
        follow_holds: Callable[[Sequence[HoldRecord]], None],
        follow_clients: Callable[[Sequence[ClientRecord]], None],
    ) -> None:
        self._writer = writer
        self._projector = projector
        self._publisher = publisher
        self._clients = clients
        self._counters = counters
        self._follow_holds = follow_holds
        self._follow_clients = follow_clients

    def deliver(self, commit: Sequence[Pending[Submission]]) -> None:
        """A segment is durable: answer and publish each of its entries, in order."""
        entries: list[DurableEntry] = []
        clients: list[ClientRecord] = []
        counters, now = self._counters, perf_counter()
        commit_began = now - self._writer.counters.last_commit_seconds
        counters.group_entries.count(len(commit))
        counters.queue_seconds.count_all([max(0.0, commit_began - pending.context.decided) for pending in commit])
        counters.reply_seconds.count_all([now - pending.context.arrived for pending in commit])
        for pending in commit:
            submission = pending.context
            durable = submission.durable
            assert durable is not None
            entries.append(durable)
            counters.count_durable(durable.entry)
            effects = durable.entry.effects
            if effects is not None:
                if effects.holds:
                    self._follow_holds(effects.holds)
                if effects.clients:
                    apply_clients(self._clients, effects)
                    clients += effects.clients
            submission.settle(Answer(durable, False))
            self._publisher.publish(durable)
        self._projector.extend(entries, self._writer.frontier)
        if clients:
            self._follow_clients(clients)
