"""Counts of commands: plain integers, shown by the metrics.

Times are of the processor's clock, which no decision sees.
"""

from walletd.runtime.histogram import DECISION_SECONDS, GROUP_ENTRIES, LATENCY_SECONDS, Histogram
from walletd.vocabulary.entries import Entry
from walletd.vocabulary.reasons import Reason


class CommandCounters:
    """Since the start of this process."""

    __slots__ = ("decide_seconds", "group_entries", "outcomes", "queue_seconds", "replays", "reply_seconds", "shed")

    def __init__(self) -> None:
        self.outcomes: dict[tuple[type, Reason | None], int] = {}
        """How many were decided and durable, by the kind of command and the reason of the refusal; None: applied."""
        self.shed: dict[Reason, int] = {}
        """How many never reached a decision, by why."""
        self.replays = 0
        self.decide_seconds = Histogram(DECISION_SECONDS)
        """The turn itself: deciding, applying, encoding."""
        self.queue_seconds = Histogram(LATENCY_SECONDS)
        """From the decision to the beginning of the commit."""
        self.reply_seconds = Histogram(LATENCY_SECONDS)
        """From the arrival of the command to its answer."""
        self.group_entries = Histogram(GROUP_ENTRIES)
        """How many entries shared one commit."""

    def count_durable(self, entry: Entry) -> None:
        """Count what came of a command."""
        kind = type(entry.command), None if entry.refusal is None else entry.refusal.reason
        self.outcomes[kind] = self.outcomes.get(kind, 0) + 1
