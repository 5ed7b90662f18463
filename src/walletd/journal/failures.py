"""The journal's failures, as a closed family: each states its meaning and the operator's remedy.

The question that matters is always *is it certain that nothing was written?* For ``JournalFull`` and ``HeadMoved`` it
is; for ``OutcomeUnknown`` it is not, and then nothing in memory may be trusted: the process ends and recovers.

    try:
        await store.append(expected_head, segment)
    except JournalFull as full:
        log.warning("%s", full)     # states what happened, then what the operator should do
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from walletd.vocabulary.fatal import Fatal

log = logging.getLogger("walletd.journal")


class JournalFailure(Fatal):
    """Any failure of the journal.  ``advice`` is one sentence for the operator and part of the message."""

    advice: ClassVar[str] = "See the preceding log lines."

    def __str__(self) -> str:
        return f"{super().__str__()}. {self.advice}"


class JournalFull(JournalFailure):
    """Certain: nothing of this segment was written, and nothing will appear later.  The journal accepts no writes
    now.
    """

    advice = "Free space on the journal's file system; walletd probes and resumes by itself."


class CheckpointFailing(JournalFull):
    """Certain, like JournalFull: the log cannot be folded into the database file, so it may not grow any further."""

    advice = "Look at the disk's health and free space; walletd probes and resumes by itself."


class JournalDetached(JournalFull):
    """Certain, like JournalFull: the files under the journal's names are not the open ones, so nothing is written."""

    advice = (
        "Put the data folder back where it was, unchanged: walletd resumes by itself. Do not stop it before: as long "
        "as it runs, the open journal can be copied from /proc/PID/fd."
    )


class NotLeading(JournalFull):
    """Certain: nothing was written, because this node follows the one that leads the ledger."""

    advice = "The node that leads takes commands; this one does as soon as it leads."

    def __init__(self, leader: str) -> None:
        super().__init__("this node follows the one that leads" if leader else "no node leads the ledger")
        self.leader = leader
        """The URL of the node that leads; empty if none is known."""


class HeadMoved(JournalFailure):
    """Certain: nothing was written, because the journal's head has moved.  Another writer owns it now."""

    advice = "Make sure that only one walletd uses this journal, then restart it."


class LeadershipLost(HeadMoved):
    """Another node leads this ledger, or may from now on.  Nothing of this one's state may be answered any more."""

    advice = "This node follows from now on; it leads again when it is its turn."


class OutcomeUnknown(JournalFailure):
    """The segment may or may not be in the journal; only recovery can tell."""

    advice = "The process ends so that recovery can decide; check the disk if this happens again."


class JournalSilent(OutcomeUnknown):
    """The disk, or the thread that serves it, did not answer in time."""

    advice = "The process must end; check for a hung disk."


class JournalCorrupt(JournalFailure):
    """The stored data is not what was written.  It is never served."""

    advice = "Keep the files as evidence and restore the newest backup that `walletd verify` accepts."


class JournalReplaced(JournalCorrupt):
    """The journal is sound, but is not the one that was here before, or not all of it."""

    advice = (
        "If it was restored on purpose, remove journal.mark beside it and start again; otherwise find the right file."
    )


class JournalBehind(JournalCorrupt):
    """The journal is sound, but durable entries are missing at its end: the read tables contain them."""

    advice = (
        "Look for journal.db-wal, or for the right copy of the journal; if an older one was put there on purpose, "
        "remove state.db and start again."
    )


class JournalUnreadable(JournalFailure):
    """The files could not be read or prepared, for a reason that reveals nothing about their contents."""

    advice = "Look at the disk's health and at who may read and write the journal's directory."


class CopyDamaged(JournalFailure):
    """An unfinished copy differs from what was written to it.  This says nothing about its source."""

    advice = "Look at the health of the disk that was written to, and try again."


class JournalLocked(JournalFailure):
    """Another process holds this journal."""

    advice = "Stop the other walletd (or the program that has the file open), or configure another directory."


class JournalUnsupported(JournalFailure):
    """This version of walletd must not work on this file, its format or its place."""

    advice = (
        "Point walletd to the right directory on a local file system, or install the version that made the journal."
    )


class JournalExposed(JournalUnsupported):
    """Another user of this machine owns, or can write, a part of the journal's directory."""

    advice = "walletd opens no file that another user of this machine could have put there or changed."


@contextmanager
def damage_is_the_copys(copy: str) -> Iterator[None]:
    """Turn damage found in freshly written data into CopyDamaged: the journal itself is not in question."""
    try:
        yield
    except JournalCorrupt as corrupt:
        raise CopyDamaged(f"{copy} does not come back as it was written: {corrupt.args[0]}") from corrupt
