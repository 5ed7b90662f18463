"""The API's of component.md, event by event: each method of the registry, and every event that is no request."""

from collections.abc import Callable, Iterable

import msgspec

from made.costs import COSTS
from made.other_events import NOTIFICATIONS, OFFLINE, PAGES, SIGNALS, TIMERS, Event
from made.types import short_name
from walletd.protocol.messages import NoParams
from walletd.protocol.method_reasons import BEFORE_ANY_METHOD, OF_A_BOOK, OF_A_CALL, OF_A_COMMAND, OWN
from walletd.protocol.methods import METHODS, Kind, Method
from walletd.vocabulary.commands import Command
from walletd.vocabulary.error_codes import Reason

GROUPS: dict[str, tuple[str, ...]] = {
    "session": ("session", "rpc"),
    "assets": ("asset",),
    "wallets": ("wallet",),
    "transfers": ("transfer",),
    "holds": ("hold",),
    "batches": ("batch",),
    "reads": ("balance", "statement", "entry", "journal"),
    "streams": ("stream",),
    "clients": ("client",),
    "operator": ("daemon",),
}
"""The API's, and by what their methods' names begin."""

OF_EVERY_COMMAND = {field.name for field in msgspec.structs.fields(Command)}


def of_group(group: str) -> str:
    """The events of one API."""
    found = [method for method in METHODS.values() if method.name.split(".")[0] in GROUPS[group]]
    assert found, group
    return "\n".join(_method(method) for method in found)


def _method(method: Method) -> str:
    cost = COSTS[method.name]
    rows = {
        "arguments": _arguments(method),
        "result": _result(method),
        "fails": _failures(method),
        "needs": str(method.needs.__doc__),
        "complexity": cost.steps,
        "memory": cost.memory,
        "disk": cost.disk,
        "entities": cost.entities,
    }
    if cost.counted:
        path, _, test = cost.counted.partition("::")
        rows["counted by"] = f"`{path}`: {test.removeprefix('test_').replace('_', ' ')}"
    lines = [f"##### `{method.name}`", "", method.meaning, "", "| | |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {text} |" for name, text in rows.items()), ""])


def _arguments(method: Method) -> str:
    if method.params is NoParams:
        return "none"
    own = [
        f"`{field.encode_name}` {short_name(field.type)}{'' if field.required else ' (optional)'}"
        for field in msgspec.structs.fields(method.params)
        if method.kind is not Kind.COMMAND or field.name not in OF_EVERY_COMMAND
    ]
    return ", ".join(own) + ("; and those of every command" if method.kind is Kind.COMMAND else "")


def _result(method: Method) -> str:
    if method.kind is Kind.COMMAND:
        return "`Applied`"
    fields = ", ".join(f"`{field.encode_name}`" for field in msgspec.structs.fields(method.result))
    return f"`{method.result.__name__}`: {fields}"


def _failures(method: Method) -> str:
    own = [reason for reason in Reason if reason in set(OWN.get(method.name, ())) - set(OF_A_CALL)]
    if method.kind is Kind.COMMAND:
        rest = "those of every command"
        own = [reason for reason in own if reason not in OF_A_COMMAND]
    elif method.name == "session.authenticate":
        rest, own = "", [reason for reason in Reason if reason in OWN[method.name]]
    else:
        rest = "those of every request"
    if method.name == "batch.execute":
        rest += "; those of its commands"
    return "; ".join(part for part in (_words(own), rest) if part)


def _words(reasons: Iterable[Reason]) -> str:
    return ", ".join(f"`{reason.value}`" for reason in reasons)


def failures_of_all() -> str:
    """What every frame, every request and every command may fail with."""
    rows = {
        "every frame, before any method": BEFORE_ANY_METHOD,
        "every request but session.authenticate": OF_A_CALL,
        "what waits for a wallet: commands, and reads of this moment": OF_A_BOOK,
        "what is read from the read tables": (Reason.UNAVAILABLE,),
        "every command": tuple(reason for reason in OF_A_COMMAND if reason not in OF_A_BOOK),
    }
    lines = ["| kind | reasons |", "|---|---|"]
    return "\n".join([*lines, *(f"| {kind} | {_words(reasons)} |" for kind, reasons in rows.items())]) + "\n"


def _listed(events: tuple[Event, ...]) -> Callable[[], str]:
    def rows() -> str:
        heads = ("event", "when", "carries", "failures", "complexity", "memory, disk", "entities")
        lines = [f"| {' | '.join(heads)} |", "|---|---|---|---|---|---|---|"]
        lines += [f"| `{event.name}` | {' | '.join(event[1:])} |" for event in events]
        return "\n".join(lines) + "\n"

    return rows


def _of(group: str) -> Callable[[], str]:
    return lambda: of_group(group)


SECTIONS: dict[str, Callable[[], str]] = {
    **{f"events_{group}": _of(group) for group in GROUPS},
    "failures_of_all": failures_of_all,
    "notifications": _listed(NOTIFICATIONS),
    "pages": _listed(PAGES),
    "signals": _listed(SIGNALS),
    "timers": _listed(TIMERS),
    "offline": _listed(OFFLINE),
}
