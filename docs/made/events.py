"""The reference of all events that are not requests: notifications, HTTP pages, signals, timers, offline commands."""

from collections.abc import Callable

from made.other_events import NOTIFICATIONS, OFFLINE, PAGES, SIGNALS, TIMERS, Event

GROUPS = {
    "notifications": NOTIFICATIONS,
    "pages": PAGES,
    "signals": SIGNALS,
    "timers": TIMERS,
    "offline": OFFLINE,
}


def _rows(events: tuple[Event, ...]) -> str:
    heads = ("event", "when", "carries", "failures", "complexity", "memory, disk", "entities")
    lines = [f"| {' | '.join(heads)} |", "|---|---|---|---|---|---|---|"]
    lines += [f"| `{event.name}` | {' | '.join(event[1:])} |" for event in events]
    return "\n".join(lines) + "\n"


def _of(events: tuple[Event, ...]) -> Callable[[], str]:
    return lambda: _rows(events)


SECTIONS: dict[str, Callable[[], str]] = {group: _of(events) for group, events in GROUPS.items()}
