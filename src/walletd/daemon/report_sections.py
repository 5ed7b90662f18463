"""The view of a running daemon's parts in a report: states, queues, the heads of the last entries, the settings.

    reports.show(lambda: report_sections(engine, lifecycle, traffic, settings))

No amount, no balance, no wallet's name and no secret: a report may be sent to others for help.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from walletd.daemon.engine import Engine
from walletd.gateway.network.counters import TrafficCounters
from walletd.journal.history import DurableEntry
from walletd.runtime.fault_reports import lines_of
from walletd.runtime.lifecycle import Lifecycle
from walletd.settings.settings import Settings
from walletd.vocabulary.claims import kind_of

SHOWN_ENTRIES = 20


def report_sections(
    engine: Engine, lifecycle: Lifecycle, traffic: TrafficCounters, settings: Settings
) -> Mapping[str, str]:
    """One text for each section."""
    return {
        "lifecycle": _lifecycle(lifecycle),
        "queues": _queues(engine, traffic),
        "last entries": "\n".join(map(_head, engine.publisher.recent(SHOWN_ENTRIES))) or "none",
        "configuration": configuration_lines(settings),
    }


def configuration_lines(settings: Settings) -> str:
    """The effective settings; a URL without the part before its @."""
    values = msgspec.to_builtins(settings, enc_hook=str)
    return lines_of({name: _without_password(value) for name, value in values.items()})


def _without_password(value: object) -> object:
    if isinstance(value, str) and "://" in value and (parts := urlsplit(value)).username:
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return value


def _lifecycle(lifecycle: Lifecycle) -> str:
    moves = ", ".join(f"{old.value} -> {new.value} ({count})" for (old, new), count in lifecycle.moves.items())
    return lines_of({"state": lifecycle.state.value, "since": lifecycle.since.isoformat(), "moves": moves or "none"})


def _queues(engine: Engine, traffic: TrafficCounters) -> str:
    writer, projector, roster = engine.writer, engine.projector, engine.wallets.roster
    actors = {state.value: count for state, count in roster.states().items() if count}
    return lines_of(
        {
            "journal head": f"{writer.durable_head} durable, {writer.head} decided",
            "journal": "takes no writes: " + str(writer.degraded) if writer.degraded else "takes writes",
            "commits": f"{writer.counters.commits}, {writer.counters.rollbacks} rolled back",
            "read tables": f"at {projector.sequence}, {projector.backlog} behind",
            "command ids in memory": len(engine.wallets.command_ids),
            "wallets in memory": actors or "none",
            "waiting for a wallet": sum(roster.mailbox_depths()),
            "connections": f"{traffic.open} open, {traffic.accepted} accepted, refused {dict(traffic.refused)}",
            "closed": dict(traffic.closes),
            "streams": f"{len(engine.publisher)}, {engine.publisher.events} events sent",
        }
    )


def _head(durable: DurableEntry) -> str:
    """An entry without its movements."""
    entry = durable.entry
    came = "applied" if entry.refusal is None else entry.refusal.reason.value
    kind = kind_of(entry.command)
    return f"{entry.sequence}  {entry.time.isoformat()}  {kind}  {came}  {durable.leaf.hex()[:16]}"
