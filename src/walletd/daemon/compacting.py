"""Compaction and a full disk as states of the daemon: when they begin, whom they concern, and how they end.

compaction = compacting(launch, store, engine)
await nursery.start(compaction.run)
"""

from datetime import timedelta

from walletd.daemon.engine import Engine
from walletd.daemon.events import Commit
from walletd.daemon.launch import Launch
from walletd.daemon.limits import MEBIBYTE
from walletd.journal.archive.archivable import Archivable
from walletd.journal.failures import JournalFull
from walletd.runtime.lifecycle import Lifecycle
from walletd.settings.settings import Settings
from walletd.upkeep.compaction import Compaction, CompactionPolicy
from walletd.vocabulary.states import DaemonState


def compacting(launch: Launch, store: Archivable, engine: Engine) -> Compaction:
    """The compaction of this journal: a separate state, which begins only while the daemon serves."""
    settings, lifecycle = launch.settings, launch.lifecycle

    def may_begin() -> bool:
        is_serving = lifecycle.state is DaemonState.SERVING
        if is_serving:
            lifecycle.move(DaemonState.COMPACTING)
        return is_serving

    def end() -> None:
        if lifecycle.state is DaemonState.COMPACTING:
            lifecycle.move(DaemonState.SERVING)

    compaction = Compaction(
        store,
        engine.projector,
        settings.data,
        _policy_of(settings),
        clock=engine.clock,
        space_floor_bytes=settings.space_floor_mebibytes * MEBIBYTE,
        may_begin=may_begin,
    )
    compaction.on_end.add(end)
    _follow_the_journal(engine, lifecycle, compaction)
    return compaction


def _policy_of(settings: Settings) -> CompactionPolicy:
    return CompactionPolicy(
        settings.compact_keep_entries,
        settings.compact_when_mebibytes * MEBIBYTE or None,
        timedelta(days=settings.compact_when_days) or None,
        settings.compact_at or None,
    )


def _follow_the_journal(engine: Engine, lifecycle: Lifecycle, compaction: Compaction) -> None:
    """A full disk degrades the daemon; free space lets it serve again."""

    def degraded(undone: Commit, why: JournalFull) -> None:
        if lifecycle.state in (DaemonState.SERVING, DaemonState.COMPACTING):
            compaction.stop()
            lifecycle.move(DaemonState.DEGRADED)

    def writable() -> None:
        if lifecycle.state is DaemonState.DEGRADED:
            lifecycle.move(DaemonState.SERVING)

    engine.events.rolled_back.add(degraded)
    engine.events.writable.add(writable)
