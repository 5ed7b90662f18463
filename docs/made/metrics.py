"""The metrics' reference: every family of the page, from the collector of an idle daemon."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import trio
from prometheus_client.metrics_core import Metric

from walletd.daemon.engine import Engine
from walletd.daemon.limits import engine_limits
from walletd.daemon.metrics import StartCollector
from walletd.daemon.metrics_of_parts import families_of
from walletd.gateway.audit_trail import AuditTrail
from walletd.gateway.network.counters import TrafficCounters
from walletd.gateway.pages.status import RecoveryProgress
from walletd.gateway.services import RequestCounters
from walletd.journal.memory.store import MemoryJournalStore
from walletd.protocol.messages.journal import CompactionStatus
from walletd.protocol.messages.operator import LedgerStatus
from walletd.runtime.lifecycle import Lifecycle
from walletd.runtime.process_metrics import ProcessMetrics
from walletd.sessions.rates import RateBook, Rates
from walletd.settings.settings import Settings
from walletd.tables.queries.wallets import open_queries
from walletd.upkeep.recovery import recover
from walletd.wallets.ledger_clock import LedgerClock

NODE = LedgerStatus("main", 1, replicated=True)


def metrics() -> str:
    """Every family: its name as Prometheus shows it, its type, its labels and its meaning."""
    rows = ["| metric | type | labels | |", "|---|---|---|---|"]
    for family in [*trio.run(_families), *ProcessMetrics().collect()]:
        name = family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")
        kind = {"stateset": "gauge", "info": "gauge"}.get(family.type, family.type)
        rows.append(
            f"| `{name}` | {kind} | {', '.join(f'`{label}`' for label in _labels(family))} | {family.documentation} |"
        )
    return "\n".join(rows) + "\n"


def _labels(family: Metric) -> list[str]:
    """The labels, from the samples; of a family without any from what it was made with."""
    found = {label for sample in family.samples for label in sample.labels} - {"le"}
    return sorted(found or set(getattr(family, "_labelnames", ())))


async def _families() -> list[Metric]:
    with TemporaryDirectory() as name:
        folder = Path(name)
        store = MemoryJournalStore()
        recovered = await recover(store, folder, lambda done, whole: None)
        queries = await open_queries(recovered.tables.path)
        try:
            engine = Engine(store, recovered, queries, await store.head(), engine_limits(Settings(data=folder)))
            return list(_collected(engine, folder))
        finally:
            await queries.aclose()
            await recovered.tables.aclose()


def _collected(engine: Engine, folder: Path) -> Iterator[Metric]:
    services: Any = SimpleNamespace(
        counters=RequestCounters(), admission=SimpleNamespace(endpoints=set()), audit=AuditTrail()
    )
    certificates = SimpleNamespace(expires_at=None, loaded=0, refused=0)
    parts: Any = SimpleNamespace(certificates=certificates, rates=RateBook(Rates(session=1, guest=1)))
    operations: Any = SimpleNamespace(
        settings=Settings(data=folder),
        reports=SimpleNamespace(written=0),
        manager=SimpleNamespace(failures=0),
        loop_watch=SimpleNamespace(clock=SimpleNamespace(stood_seconds=0)),
        reloads=0,
        last_reload_succeeded=True,
        last_reload_at=0.0,
        audit_violations=0,
        audited_at=0.0,
        clock=LedgerClock(),
        recovery=RecoveryProgress(),
    )
    lifecycle = Lifecycle(lambda: datetime.now(UTC))
    compaction: Any = SimpleNamespace(status=CompactionStatus(step="idle", archived=0))
    yield from StartCollector(lifecycle, operations, "").collect()
    for families in families_of(engine, TrafficCounters(), services, parts, compaction, lambda: NODE):
        yield from families()


SECTIONS: dict[str, Callable[[], str]] = {"metrics": metrics}
