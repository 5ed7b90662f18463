"""The counters of commands: plain integers, shown by the metrics.

Durations are measured with the processor's clock, which no decision sees.
"""

from walletd.runtime.histogram import DECISION_SECONDS, GROUP_ENTRIES, LATENCY_SECONDS, Histogram
from walletd.vocabulary.claims import kind_of
from walletd.vocabulary.entries import Entry
from walletd.vocabulary.reasons import Reason


class CommandCounters:
    """Counted since the start of this process."""

    __slots__ = ("decide_seconds", "group_entries", "outcomes", "queue_seconds", "replays", "reply_seconds", "shed")

    def __init__(self) -> None:
        self.outcomes: dict[tuple[str, Reason | None], int] = {}
        """Decided and durable commands, by method and by the reason of the refusal; None: applied."""
        self.shed: dict[Reason, int] = {}
        """Commands that never reached a decision, by reason."""
        self.replays = 0
        self.decide_seconds = Histogram(DECISION_SECONDS)
        """The turn itself: deciding, applying, encoding."""
        self.queue_seconds = Histogram(LATENCY_SECONDS)
        """From the decision to the start of the commit."""
        self.reply_seconds = Histogram(LATENCY_SECONDS)
        """From the arrival of the command to its answer."""
        self.group_entries = Histogram(GROUP_ENTRIES)
        """The number of entries that shared one commit."""

    def count_durable(self, entry: Entry) -> None:
        """Count the outcome of a command."""
        kind = kind_of(entry.command), None if entry.refusal is None else entry.refusal.reason
        self.outcomes[kind] = self.outcomes.get(kind, 0) + 1
