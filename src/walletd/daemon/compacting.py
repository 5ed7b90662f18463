"""Compaction and a full disk as states of the daemon: when they begin, whom they concern, and how they end.

compaction = compacting(settings, core, services, lifecycle)
await nursery.start(compaction.run)
"""

from datetime import timedelta

from walletd.daemon.engine import Core
from walletd.gateway.services import Services
from walletd.journal.sqlite.store import SqliteJournalStore
from walletd.protocol.messages.journal import CompactionStatus
from walletd.runtime.lifecycle import Lifecycle
from walletd.settings.settings import Settings
from walletd.upkeep.compaction import Compaction, CompactionPolicy
from walletd.vocabulary.states import DaemonState

MEBIBYTE = 1024 * 1024


def compacting(settings: Settings, core: Core, services: Services, lifecycle: Lifecycle) -> Compaction:
    """The compaction of this journal: a separate state, which begins only while the daemon serves."""
    policy = CompactionPolicy(
        settings.compact_keep_entries,
        settings.compact_when_mebibytes * MEBIBYTE or None,
        timedelta(days=settings.compact_when_days) or None,
        settings.compact_at or None,
    )
    assert isinstance(core.store, SqliteJournalStore)
    floor = settings.space_floor_mebibytes * MEBIBYTE
    compaction = Compaction(
        core.store, core.projector, settings.data, policy, clock=core.clock, space_floor_bytes=floor
    )

    def begin() -> bool:
        is_serving = lifecycle.state is DaemonState.SERVING
        if is_serving:
            lifecycle.move(DaemonState.COMPACTING)
        return is_serving

    def end() -> None:
        if lifecycle.state is DaemonState.COMPACTING:
            lifecycle.move(DaemonState.SERVING)

    def compact(keep_entries: int | None) -> CompactionStatus | None:
        if lifecycle.state not in (DaemonState.SERVING, DaemonState.COMPACTING):
            return None
        compaction.request(keep_entries)
        return compaction.status

    compaction.on_begin, compaction.on_end = begin, end
    _follow_the_journal(core, lifecycle, compaction)
    services.compact, services.compaction = compact, lambda: compaction.status
    return compaction


def _follow_the_journal(core: Core, lifecycle: Lifecycle, compaction: Compaction) -> None:
    """A full disk degrades the daemon; free space lets it serve again."""

    def degraded() -> None:
        if lifecycle.state in (DaemonState.SERVING, DaemonState.COMPACTING):
            compaction.stop()
            lifecycle.move(DaemonState.DEGRADED)

    def writable() -> None:
        if lifecycle.state is DaemonState.DEGRADED:
            lifecycle.move(DaemonState.SERVING)

    core.on_degraded, core.on_writable = degraded, writable
