"""The reference of methods: what each takes, answers, needs, fails with, costs and leaves, and a recorded exchange."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from made.costs import COSTS
from made.types import type_name
from walletd.contract.reasons import BEFORE_ANY_METHOD, OF_A_BOOK, OF_A_CALL, OF_A_COMMAND, reasons_of
from walletd.protocol.messages import Applied, NoParams
from walletd.protocol.methods import METHODS, Kind, Method
from walletd.vocabulary.commands import Command
from walletd.vocabulary.reasons import Reason

EXAMPLES = Path(__file__).parents[1] / "reference" / "examples.json"
LINE = 120

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
"""The APIs, each with the first words of its methods' names."""

OF_EVERY_COMMAND = {field.name for field in msgspec.structs.fields(Command)}


def methods_of(group: str) -> list[Method]:
    """The methods of one API."""
    found = [method for method in METHODS.values() if method.name.split(".")[0] in GROUPS[group]]
    assert found, group
    return found


def anchor(name: str) -> str:
    """The link to a method's place in the reference, from docs/."""
    return f"[`{name}`](reference/methods.md#{name.replace('.', '')})"


def links(group: str) -> str:
    """Links to the methods of one API."""
    return f"Events: {', '.join(anchor(method.name) for method in methods_of(group))}.\n"


def index() -> str:
    """One line for each method."""
    rows = ["| method | purpose | needs |", "|---|---|---|"]
    for method in METHODS.values():
        name = f"[`{method.name}`](#{method.name.replace('.', '')})"
        rows.append(f"| {name} | {method.meaning.removesuffix('.')} | {method.needs} |")
    return "\n".join(rows) + "\n"


def methods() -> str:
    """Every method, API by API."""
    parts = []
    for group in GROUPS:
        parts += [f"## {group.capitalize()}", "", *(_method(method) for method in methods_of(group))]
    return "\n".join(parts)


def _method(method: Method) -> str:
    explained = method.meaning if method.params is NoParams else _first_paragraph(method.params)
    lines = [f"### `{method.name}`", "", explained, "", *_params(method), *_result(method), *_facts(method)]
    return "\n".join([*lines, *_example(method.name)])


def _facts(method: Method) -> list[str]:
    cost = COSTS[method.name]
    rows = {
        "needs": method.needs,
        "fails with": _failures(method),
        "complexity": cost.steps,
        "memory": cost.memory,
        "disk": cost.disk,
        "entities": cost.entities,
    }
    if cost.counted:
        path, _, test = cost.counted.partition("::")
        rows["counted by"] = f"`{path}`: {test.removeprefix('test_').replace('_', ' ')}"
    return ["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows.items()), ""]


def _params(method: Method) -> list[str]:
    if method.kind is not Kind.COMMAND:
        return fields("Params", method.params)
    own = fields("Params", method.params, leave_out=OF_EVERY_COMMAND)
    return [*own, "It also takes [the params of every command](#the-params-of-every-command).", ""]


def _result(method: Method) -> list[str]:
    if method.kind is Kind.COMMAND:
        return ["Result: [`Applied`](#the-result-of-every-command).", ""]
    return fields("Result", method.result)


def _failures(method: Method) -> str:
    if method.name == "session.authenticate":
        return _words(reasons_of(method.name))
    kind = "command" if method.kind is Kind.COMMAND else "request"
    common = {*OF_A_CALL, *(OF_A_COMMAND if method.kind is Kind.COMMAND else ())}
    own = _words(reason for reason in reasons_of(method.name) if reason not in common)
    if method.name == "batch.execute":
        own = "the reasons of its commands"
    return "; ".join(part for part in (own, f"the reasons of [every {kind}](protocol.md#errors)") if part)


def _words(reasons: Iterable[Reason]) -> str:
    return ", ".join(f"`{reason.value}`" for reason in reasons)


def fields(title: str, struct: type, leave_out: Iterable[str] = ()) -> list[str]:
    """A table of a struct's fields."""
    shown = [field for field in msgspec.structs.fields(struct) if field.name not in leave_out]
    if not shown:
        return [f"{title}: none.", ""]
    rows = [f"| {title} | type | |", "|---|---|---|"]
    for field in shown:
        needed = "required" if field.required else "optional"
        rows.append(f"| `{field.encode_name}` | {type_name(field.type)} | {needed} |")
    return [*rows, ""]


def _first_paragraph(struct: type) -> str:
    return " ".join((struct.__doc__ or "").split("\n\n")[0].split())


def _example(name: str) -> list[str]:
    """An exchange as it was recorded."""
    recorded = json.loads(EXAMPLES.read_text())["methods"].get(name)
    if recorded is None:
        return []
    lines = [_wrapped(f"{sign} ", recorded[side]) for sign, side in (("→", "request"), ("←", "response"))]
    return ["```", *lines, "```", ""]


def _wrapped(sign: str, document: Any) -> str:
    """JSON in lines that fit, broken between fields."""
    lines = [sign]
    for word in json.dumps(document, ensure_ascii=False).split(" "):
        if len(lines[-1]) + len(word) > LINE and lines[-1].strip():
            lines.append("  ")
        lines[-1] += word if lines[-1].endswith(" ") and len(lines[-1]) <= len(sign) else f" {word}"
    return "\n".join(lines)


def common_reasons() -> str:
    """The reasons that all frames, all requests and all commands share."""
    rows = {
        "every frame, before its method is known": BEFORE_ANY_METHOD,
        "every request but `session.authenticate`": OF_A_CALL,
        "commands, and reads of the present moment: they wait for wallets": OF_A_BOOK,
        "reads that wait for the read tables": (Reason.UNAVAILABLE,),
        "reads with `at_least`": (Reason.NOT_REACHED,),
        "every command": tuple(reason for reason in OF_A_COMMAND if reason not in OF_A_BOOK),
    }
    lines = ["| in answer to | reasons |", "|---|---|"]
    return "\n".join([*lines, *(f"| {kind} | {_words(reasons)} |" for kind, reasons in rows.items())]) + "\n"


def _links_of(group: str) -> Callable[[], str]:
    return lambda: links(group)


SECTIONS: dict[str, Callable[[], str]] = {
    "methods": methods,
    "method_index": index,
    "command_params": lambda: "\n".join(fields("Params", Command)).rstrip() + "\n",
    "applied": lambda: "\n".join(fields("Result", Applied)).rstrip() + "\n",
    "common_reasons": common_reasons,
    **{f"links_{group}": _links_of(group) for group in GROUPS},
}
