"""Commits in the turn in which they were decided, where the disk is so fast that no thread is worth its hop.

    turns = CommitAtOnce(writer, projector, load)
    turns.begin_turn()                                 # nobody else runs until
    ...                                                # everything is decided that the sockets have brought
    turns.end_turn()                                   # and committed here

The gateway's loop over its sockets is told of nothing else, and nothing else depends on it: a store that cannot append
at once is written by the writer's own task.
"""

from walletd.journal.writer import JournalWriter
from walletd.tables.projector import Projector
from walletd.wallets.load import Load
from walletd.wallets.submission import Submission


class CommitAtOnce:
    """Told by the gateway when it begins and ends a turn of the event loop."""

    __slots__ = ("_load", "_projector", "_writer")

    def __init__(self, writer: JournalWriter[Submission], projector: Projector, load: Load) -> None:
        self._writer = writer
        self._projector = projector
        self._load = load

    @property
    def is_pressed(self) -> bool:
        """Whether more comes than can be done, so that turns should be short."""
        return self._load.is_pressed

    def begin_turn(self) -> None:
        """Nobody else runs until ``end_turn``: what is decided until then is committed there, if the disk is fast."""
        self._writer.attend()

    def end_turn(self) -> None:
        """Commit, or have it committed; then there is a moment for what can be done beside it."""
        self._writer.commit_now()
        self._projector.fold_at_once()
