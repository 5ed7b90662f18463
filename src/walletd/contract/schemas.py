"""The schemas of the contract: one for each type of the messages, made from the types themselves.

A message from a client is closed: the server refuses a field that is not declared.  A message from the server is open:
a later version may add fields.  A type that goes both ways appears twice: ``Posting`` and, as a client sends it,
``PostingGiven``.
"""

import inspect
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from walletd.contract.facts import FACTS
from walletd.protocol import envelope as e
from walletd.protocol import messages as m
from walletd.protocol.methods import METHODS, Kind, Method
from walletd.protocol.strict_types import strict
from walletd.vocabulary.entries import Entry
from walletd.vocabulary.reasons import Outcome, Reason, Retry

REF = "#/components/schemas/"

NOTIFICATIONS: dict[str, tuple[type, str]] = {
    "hello": (e.Hello, "The server's first message on a connection."),
    "lifecycle": (e.LifecycleNotice, "The daemon changed its state."),
    "warning": (e.WarningNotice, "The session is about to be closed, unless it slows down."),
    "stream.event": (m.StreamEvent, "An entry that touched what a subscription watches."),
    "stream.heartbeat": (m.StreamHeartbeat, "A stream is alive and complete up to the head."),
}
"""Every notification of the server."""

MAY_GROW = "x-may-grow"
"""Marks a list of words that a later version may extend: a client must tolerate a word that it does not know."""

_GROWING = {"Reason", "DaemonState"}


def params_name(method: Method) -> str:
    """The schema of the params; a command in a batch or in the journal also names its method."""
    return f"{method.params.__name__}Params" if method.kind is Kind.COMMAND else method.params.__name__


def schemas() -> dict[str, Any]:
    """All schemas by name."""
    given = [method.params for method in METHODS.values()]
    sent = [method.result for method in METHODS.values()] + [declared for declared, _ in NOTIFICATIONS.values()]
    of_clients_and_server = [strict(declared) for declared in (*given, *sent, Entry)]
    _, found = msgspec.json.schema_components(of_clients_and_server, ref_template=REF + "{name}")
    declared: dict[str, Any] = _portable(found)
    assert not any("." in name for name in declared), "two types share a name"
    for name in _GROWING:
        declared[name][MAY_GROW] = True
    named_by_clients = _reachable(declared, (declared_type.__name__ for declared_type in given))
    named_by_server = _reachable(declared, (declared_type.__name__ for declared_type in (*sent, Entry)))
    made = {name: _open(declared[name]) for name in named_by_server}
    both_ways = {name for name in named_by_clients & named_by_server if declared[name].get("type") == "object"}
    for name in named_by_clients:
        new_name = f"{name}Given" if name in both_ways else name
        made[new_name] = _renamed(declared[name], both_ways) | ({"title": new_name} if name in both_ways else {})
    for method in METHODS.values():
        if method.kind is Kind.COMMAND:
            made[params_name(method)] = _without_method(made[f"{method.params.__name__}Given"], params_name(method))
    made |= {"RequestId": _request_id(), "Failure": _failure(), "ErrorObject": _error(made["ErrorObject"])}
    return {name: made[name] for name in sorted(_used(made))}


def _reachable(declared: dict[str, Any], names: Iterable[str]) -> set[str]:
    """These schemas and all schemas that they refer to."""
    reached: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += references(declared[name])
    return reached


def references(schema: Any) -> Iterator[str]:
    """The names of the schemas that this one refers to, each as often as it does."""
    if isinstance(schema, list):
        for part in schema:
            yield from references(part)
    elif isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"].removeprefix(REF)
        for part in schema.values():
            yield from references(part)


def _used(made: dict[str, Any]) -> set[str]:
    """The schemas without those replaced by a command's params."""
    roots = [params_name(method) for method in METHODS.values()]
    roots += [method.result.__name__ for method in METHODS.values()]
    roots += [declared.__name__ for declared, _ in NOTIFICATIONS.values()]
    return _reachable(made, [*roots, "RequestId", "Failure"])


def _open(schema: dict[str, Any]) -> dict[str, Any]:
    return {word: part for word, part in schema.items() if (word, part) != ("additionalProperties", False)}


def _renamed(schema: Any, both_ways: set[str]) -> Any:
    """The schema with its references in the form that clients send."""
    if isinstance(schema, list):
        return [_renamed(part, both_ways) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(schema.get("$ref"), str):
        name = schema["$ref"].removeprefix(REF)
        return {"$ref": f"{REF}{name}Given" if name in both_ways else REF + name}
    return {word: _renamed(part, both_ways) for word, part in schema.items()}


def _without_method(schema: dict[str, Any], name: str) -> dict[str, Any]:
    properties = {field: declared for field, declared in schema["properties"].items() if field != "method"}
    required = [field for field in schema["required"] if field != "method"]
    return schema | {"title": name, "properties": properties, "required": required}


def _request_id() -> dict[str, Any]:
    schema: dict[str, Any] = msgspec.json.schema(m.RequestId)
    return schema


def _failure() -> dict[str, Any]:
    return {
        "title": "Failure",
        "description": "The response to a failed request; its id is null if none could be read.",
        "type": "object",
        "properties": {
            "jsonrpc": {"const": "2.0"},
            "id": {"anyOf": [{"$ref": f"{REF}RequestId"}, {"type": "null"}]},
            "error": {"$ref": f"{REF}ErrorObject"},
        },
        "required": ["jsonrpc", "id", "error"],
    }


def _error(schema: dict[str, Any]) -> dict[str, Any]:
    data = {
        "type": "object",
        "properties": {
            "reason": {"$ref": f"{REF}Reason"},
            "outcome": {"enum": [outcome.value for outcome in Outcome]},
            "retry": {"enum": [retry.value for retry in Retry]},
            **FACTS,
        },
        "required": ["reason", "outcome", "retry"],
    }
    codes = {"enum": [reason.code for reason in Reason], MAY_GROW: True}
    return schema | {"properties": {"code": codes, "message": {"type": "string"}, "data": data}}


# --- from Python's words to everybody's ------------------------------------------------------------------------------


def _portable(schema: Any) -> Any:
    """The schema in terms that every language knows: Python's end of text becomes ``$``, a reference stands alone."""
    if isinstance(schema, list):
        return [_portable(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(schema.get("$ref"), str):
        name = schema["$ref"].removeprefix(REF)
        return {"$ref": REF + name}
    made = {name: _portable(part) for name, part in schema.items()}
    if isinstance(made.get("discriminator"), dict):
        made["discriminator"] = made["discriminator"]["propertyName"]
    if isinstance(made.get("pattern"), str):
        made["pattern"] = made["pattern"].replace(r"\Z", "$")
    if isinstance(made.get("description"), str):
        made["description"] = _plain(made["description"])
    return made


def description_of(declared: type) -> str:
    """The type's docstring as plain text; paragraphs are separate lines."""
    return _plain(inspect.getdoc(declared) or "")


def _plain(docstring: str) -> str:
    paragraphs = inspect.cleandoc(docstring).replace("``", "`").split("\n\n")
    return "\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
