"""Commits in the pass of their decision, if the disk is so fast that a hop to a thread is not worthwhile.

    passes = CommitAtOnce(writer, projector, load, budgets)
    passes.begin_pass()                                # no other task runs until
    ...                                                # everything that the sockets brought is decided
    passes.end_pass()                                  # and committed here

The gateway's loop over its sockets knows of nothing else here, and nothing else depends on it: a store that cannot
append at once is written by the writer's own task.
"""

from walletd.journal.writer import JournalWriter
from walletd.sessions.budgets import Account, Budgets
from walletd.tables.projector import Projector
from walletd.wallets.load import Level, Load
from walletd.wallets.submission import Submission


class CommitAtOnce:
    """Notified by the gateway when it begins and ends a pass over the sockets."""

    __slots__ = ("_budgets", "_is_awaited", "_load", "_projector", "_writer")

    def __init__(self, writer: JournalWriter[Submission], projector: Projector, load: Load, budgets: Budgets) -> None:
        self._writer = writer
        self._projector = projector
        self._load = load
        self._budgets = budgets
        self._is_awaited = False
        """True if a commit was under way when the pass began: its answers should not wait for a long one."""

    @property
    def is_pressed(self) -> bool:
        """True if more arrives than can be done, or earlier commands wait for their commit: passes should be short."""
        return self._is_awaited or self._load.level >= Level.PRESSED

    def charge(self, payer: Account | None, seconds: float) -> None:
        """Reading for this payer took so long."""
        self._budgets.charge_processor(payer, seconds)

    def wait(self, payer: Account | None) -> float:
        """The seconds for which nothing should be read for this payer."""
        return self._budgets.processor_wait(payer)

    def begin_pass(self) -> None:
        """No other task runs until ``end_pass``: commands decided until then are committed there, if the disk is
        fast.
        """
        self._writer.attend()
        self._is_awaited = self._writer.head > self._writer.durable_head

    def end_pass(self) -> None:
        """Commit, or have it committed; then there is a moment for work beside it."""
        self._writer.commit_now()
        self._projector.fold_at_once()
