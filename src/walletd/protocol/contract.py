"""The contract: an AsyncAPI 3.1 document made from the registry of methods and the types of their messages.

    encoded()  ->  the bytes that ``rpc.discover`` answers with, and that stand in docs/asyncapi.json

Requests are closed: the server refuses a field that is not declared.  What the server sends is open: a later version
may add fields, and a client must ignore those that it does not know.
"""

import functools
import inspect
import re
from collections.abc import Iterator
from string import Formatter
from typing import Any

import msgspec

from walletd.protocol import envelope as e
from walletd.protocol import messages as m
from walletd.protocol.close_codes import CloseCode
from walletd.protocol.errors import SENTENCES
from walletd.protocol.methods import METHODS, Kind, Method
from walletd.vocabulary.entries import Entry
from walletd.vocabulary.error_codes import Outcome, Reason, Retry

CONTRACT_VERSION = "1.0.0"
"""Of the protocol, not of the server: additions raise the second number, and nothing raises the first but version 2."""

NOTIFICATIONS: dict[str, tuple[type, str]] = {
    "hello": (e.Hello, "The server's first words on a connection."),
    "lifecycle": (e.LifecycleNotice, "The daemon moved to another state."),
    "warning": (e.WarningNotice, "The session is about to be closed, unless it slows down."),
    "stream.event": (m.StreamEvent, "An entry that touched what a subscription watches."),
    "stream.heartbeat": (m.StreamHeartbeat, "A stream is alive, and complete up to the head."),
}
"""Everything that the server says unasked."""

_TEXT: dict[str, Any] = {"type": "string"}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}

FACTS: dict[str, dict[str, Any]] = {
    "retry_after_ms": _COUNT | {"description": "come back after so many milliseconds"},
    "field": _TEXT | {"description": "the field that the error is about: postings[0].amount; empty: the whole"},
    "posting": _COUNT | {"description": "the index of the posting that was refused"},
    "condition": _COUNT | {"description": "the index of the condition of if_balance that does not hold"},
    "command": _COUNT | {"description": "the index of the command of the batch that was refused"},
    "sequence": _COUNT | {"description": "the journal entry that has the refusal, or the command id's first use"},
    "replayed": {"type": "boolean", "description": "this answer was given before, to the same command id"},
    "dry_run": {"type": "boolean", "description": "the command was only tried"},
}
"""Facts whose types are the same in all errors.  Others are the words in the braces of the reasons' sentences."""

_REF = "#/components/schemas/"
_CHANNEL = {"$ref": "#/channels/session"}


def facts_of(reason: Reason) -> list[str]:
    """The facts that the reason's sentence is made of, in its order."""
    words = [name for _, name, _, _ in Formatter().parse(SENTENCES.get(reason, "")) if name]
    return list(dict.fromkeys(words))


@functools.cache
def encoded() -> bytes:
    """The document as it is published, one line, its keys always in the same order."""
    return msgspec.json.encode(document())


def document() -> dict[str, Any]:
    """The whole contract."""
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "walletd",
            "version": CONTRACT_VERSION,
            "description": (
                "JSON-RPC 2.0 over a websocket, one object per text frame; the server speaks first, with hello. "
                "A client must ignore fields and notifications that it does not know."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": {"session": _channel()},
        "operations": _operations(),
        "components": {
            "messages": _messages(),
            "schemas": _schemas(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "or the subprotocol walletd.bearer.<base64url of the token>, or session.authenticate",
                }
            },
        },
        "x-errors": [
            {
                "reason": reason.value,
                "code": reason.code,
                "retry": reason.retry.value,
                "meaning": reason.meaning,
                "facts": facts_of(reason),
            }
            for reason in Reason
        ],
        "x-close-codes": [
            {"code": row.value, "meaning": row.meaning, "reconnect": row.reconnect} for row in CloseCode
        ],
    }


def _servers() -> dict[str, Any]:
    security = {"security": [{"$ref": "#/components/securitySchemes/bearer"}]}
    return {
        "local": {"host": "127.0.0.1:7878", "protocol": "ws", "description": "As it starts by default.", **security},
        "tls": {
            "host": "{host}",
            "protocol": "wss",
            "description": "With a certificate.",
            "variables": {"host": {"default": "127.0.0.1:7878", "description": "Where it listens."}},
            **security,
        },
    }


def _channel() -> dict[str, Any]:
    return {
        "address": "/",
        "description": "One websocket, with the subprotocol walletd.v1.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _message_names()},
        "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
    }


def _message_names() -> Iterator[str]:
    for method in METHODS:
        yield f"{method}.request"
        yield f"{method}.reply"
    yield "error"
    yield from NOTIFICATIONS


def _operations() -> dict[str, Any]:
    answered: dict[str, Any] = {
        method.name: {
            "action": "receive",
            "channel": _CHANNEL,
            "summary": method.meaning,
            "description": description_of(method.params),
            "tags": [{"name": method.kind.value}],
            "messages": [_in_channel(f"{method.name}.request")],
            "reply": {"channel": _CHANNEL, "messages": [_in_channel(f"{method.name}.reply"), _in_channel("error")]},
        }
        for method in METHODS.values()
    }
    said: dict[str, Any] = {
        name: {"action": "send", "channel": _CHANNEL, "summary": meaning, "messages": [_in_channel(name)]}
        for name, (_, meaning) in NOTIFICATIONS.items()
    }
    return answered | said


def _in_channel(name: str) -> dict[str, str]:
    return {"$ref": f"#/channels/session/messages/{name}"}


# --- messages ------------------------------------------------------------------------------------------------------


def _messages() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for method in METHODS.values():
        found[f"{method.name}.request"] = _message(method.meaning, _request(method))
        found[f"{method.name}.reply"] = _message(f"The answer to {method.name}.", _reply(method))
    found["error"] = _message("The answer to a request that failed.", {"$ref": f"{_REF}Failure"})
    for name, (_, meaning) in NOTIFICATIONS.items():
        found[name] = {"summary": meaning, "payload": _notification(name)}
    return found


def _message(summary: str, payload: dict[str, Any]) -> dict[str, Any]:
    return {"summary": summary, "correlationId": {"location": "$message.payload#/id"}, "payload": payload}


def _request(method: Method) -> dict[str, Any]:
    required = any(field.required for field in msgspec.structs.fields(method.params))
    return {
        "type": "object",
        "properties": {
            "jsonrpc": {"const": "2.0"},
            "id": {"$ref": f"{_REF}RequestId"},
            "method": {"const": method.name},
            "params": {"$ref": _REF + params_name(method)},
        },
        "required": ["jsonrpc", "id", "method", *(["params"] if required else [])],
        "additionalProperties": False,
    }


def _reply(method: Method) -> dict[str, Any]:
    properties = {"jsonrpc": {"const": "2.0"}, "id": {"$ref": f"{_REF}RequestId"}}
    result = {"result": {"$ref": _REF + method.result.__name__}}
    return {"type": "object", "properties": properties | result, "required": ["jsonrpc", "id", "result"]}


def _notification(name: str) -> dict[str, Any]:
    params = {"$ref": _REF + NOTIFICATIONS[name][0].__name__}
    properties = {"jsonrpc": {"const": "2.0"}, "method": {"const": name}, "params": params}
    return {"type": "object", "properties": properties, "required": ["jsonrpc", "method", "params"]}


# --- schemas -------------------------------------------------------------------------------------------------------


def params_name(method: Method) -> str:
    """The schema of the params; a command as it stands in a batch or in the journal names its method as well."""
    return f"{method.params.__name__}Params" if method.kind is Kind.COMMAND else method.params.__name__


def _schemas() -> dict[str, Any]:
    types = [declared for method in METHODS.values() for declared in (method.params, method.result)]
    types += [declared for declared, _ in NOTIFICATIONS.values()]
    _, found = msgspec.json.schema_components([*types, Entry], ref_template=_REF + "{name}")
    schemas = _portable(found)
    for method in METHODS.values():
        if method.kind is Kind.COMMAND:
            schemas[params_name(method)] = _without_method(schemas[method.params.__name__])
    schemas["RequestId"] = {
        "anyOf": [
            {"type": "integer", "minimum": -(2**53 - 1), "maximum": 2**53 - 1},
            {"type": "string", "maxLength": 64},
        ]
    }
    schemas["Failure"] = _failure()
    schemas["ErrorObject"] = _error(schemas["ErrorObject"])
    return dict(sorted(schemas.items()))


def _without_method(schema: dict[str, Any]) -> dict[str, Any]:
    properties = {name: field for name, field in schema["properties"].items() if name != "method"}
    required = [name for name in schema["required"] if name != "method"]
    return schema | {"title": f"{schema['title']}Params", "properties": properties, "required": required}


def _failure() -> dict[str, Any]:
    return {
        "title": "Failure",
        "description": "The response to a request that failed; its id is null where none could be read.",
        "type": "object",
        "properties": {
            "jsonrpc": {"const": "2.0"},
            "id": {"anyOf": [{"$ref": f"{_REF}RequestId"}, {"type": "null"}]},
            "error": {"$ref": f"{_REF}ErrorObject"},
        },
        "required": ["jsonrpc", "id", "error"],
    }


def _error(schema: dict[str, Any]) -> dict[str, Any]:
    told = {fact for reason in Reason for fact in facts_of(reason)} - set(FACTS)
    data = {
        "type": "object",
        "properties": {
            "reason": {"enum": [reason.value for reason in Reason]},
            "outcome": {"enum": [outcome.value for outcome in Outcome]},
            "retry": {"enum": [retry.value for retry in Retry]},
            **FACTS,
            **{fact: {} for fact in sorted(told)},
        },
        "required": ["reason", "outcome", "retry"],
    }
    properties = {"code": {"enum": [reason.code for reason in Reason]}, "message": {"type": "string"}, "data": data}
    return schema | {"properties": properties}


def _portable(schema: Any) -> Any:
    """The schema in words that every language knows: Python's end of text is ``$``, a reference stands alone.

    Two types of one name are told apart by their module, of which only the last word is kept.
    """
    if isinstance(schema, list):
        return [_portable(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"$ref": _REF + _short(schema["$ref"].removeprefix(_REF))}
    made = {_short(name): _portable(part) for name, part in schema.items()}
    if isinstance(made.get("discriminator"), dict):
        made["discriminator"] = made["discriminator"]["propertyName"]
    if isinstance(made.get("pattern"), str):
        made["pattern"] = made["pattern"].replace(r"\Z", "$")
    if isinstance(made.get("description"), str):
        made["description"] = _plain(made["description"])
    return made


def _short(name: str) -> str:
    return re.sub(r"^walletd\.(?:\w+\.)*(\w+\.\w+)$", r"\1", name)


def description_of(declared: type) -> str:
    """What the type's docstring says, as plain text; paragraphs stand on lines of their own."""
    return _plain(inspect.getdoc(declared) or "")


def _plain(docstring: str) -> str:
    paragraphs = inspect.cleandoc(docstring).replace("``", "`").split("\n\n")
    return "\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
