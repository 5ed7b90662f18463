"""The contract: an AsyncAPI 3.1 document made from the registry of methods and the types of their messages.

    encoded()  ->  the bytes that ``rpc.discover`` answers with, and that stand in docs/reference/asyncapi.json

It lists every request and the rights it needs, its answer, the reasons that each method may fail with, the close codes,
and the limits of a session.
"""

import functools
from collections.abc import Iterator
from typing import Any

import msgspec

from walletd.contract.facts import facts_of
from walletd.contract.limits import LIMITS
from walletd.contract.reasons import BEFORE_ANY_METHOD, reasons_of
from walletd.contract.schemas import NOTIFICATIONS, REF, description_of, params_name, schemas
from walletd.protocol.close_codes import CloseCode
from walletd.protocol.errors import ALSO
from walletd.protocol.messages import SUBPROTOCOL
from walletd.protocol.methods import METHODS, Kind, Method
from walletd.protocol.over_http import REFUSED, RPC_PATH, STATUSES
from walletd.vocabulary.reasons import Reason

CONTRACT_VERSION = "1.0.0"
"""The version of the protocol, not of the server: additions raise the second number; only version 2 raises the
first.
"""

_CHANNEL = {"$ref": "#/channels/session"}


@functools.cache
def encoded() -> bytes:
    """The published document, one line, its keys always in the same order."""
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
                "A client must ignore fields and notifications that it does not know, and go by `retry` where it does "
                "not know a reason. Amounts are decimal strings of the asset's smallest unit."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": {"session": _channel()},
        "operations": _operations(),
        "components": {"messages": _messages(), "schemas": schemas(), "securitySchemes": _SECURITY},
        "x-errors": [
            {
                "reason": reason.value,
                "code": reason.code,
                "retry": reason.retry.value,
                **({"retry_too": ALSO[reason].value} if reason in ALSO else {}),
                "meaning": reason.meaning,
                "facts": facts_of(reason),
            }
            for reason in Reason
        ],
        "x-errors-before-any-method": [reason.value for reason in BEFORE_ANY_METHOD],
        "x-close-codes": [{"code": row.value, "meaning": row.meaning, "reconnect": row.reconnect} for row in CloseCode],
        "x-http": _over_http(),
        "x-limits": [
            {"limit": name, "meaning": limit.meaning, "beyond": limit.beyond} for name, limit in LIMITS.items()
        ],
    }


_SECURITY: dict[str, Any] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "The token in the header Authorization."},
    "subprotocol": {
        "type": "httpApiKey",
        "name": "Sec-WebSocket-Protocol",
        "in": "header",
        "description": f"For browsers: {SUBPROTOCOL} and walletd.bearer.<base64url of the token>, which is not echoed.",
    },
    "certificate": {
        "type": "X509",
        "description": "The client's certificate, if the daemon trusts an authority; its name is the principal's.",
    },
}
"""A client may also connect without any, and call session.authenticate."""


def _servers() -> dict[str, Any]:
    def accepts(*schemes: str) -> dict[str, Any]:
        return {"security": [{"$ref": f"#/components/securitySchemes/{scheme}"} for scheme in schemes]}

    return {
        "local": {
            "host": "127.0.0.1:7878",
            "protocol": "ws",
            "description": "The default address.",
            **accepts("bearer", "subprotocol"),
        },
        "tls": {
            "host": "{host}",
            "protocol": "wss",
            "description": "With a TLS certificate.",
            "variables": {"host": {"default": "127.0.0.1:7878", "description": "The configured address."}},
            **accepts("bearer", "subprotocol", "certificate"),
        },
    }


def _over_http() -> dict[str, Any]:
    """The same requests, one at a time, for programs that speak plain HTTP."""
    return {
        "method": "POST",
        "path": RPC_PATH,
        "description": (
            "One request in the body, with a Content-Length, and the token in the header Authorization; the answer is "
            "the reply or the error. Each request has its own connection. Streams need the websocket."
        ),
        "x-without": [method.name for method in METHODS.values() if method.kind is Kind.STREAM],
        "statuses": {
            "200": "the reply",
            **{
                str(int(status)): [r.value for r in Reason if STATUSES.get(r) is status]
                for status in sorted(set(STATUSES.values()))
            },
            str(int(REFUSED)): "every other error",
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
            "x-needs": method.needs,
            "x-errors": [reason.value for reason in reasons_of(method.name)],
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
    found["error"] = _message("The answer to a request that failed.", {"$ref": f"{REF}Failure"})
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
            "id": {"$ref": f"{REF}RequestId"},
            "method": {"const": method.name},
            "params": {"$ref": REF + params_name(method)},
        },
        "required": ["jsonrpc", "id", "method", *(["params"] if required else [])],
        "additionalProperties": False,
    }


def _reply(method: Method) -> dict[str, Any]:
    properties = {"jsonrpc": {"const": "2.0"}, "id": {"$ref": f"{REF}RequestId"}}
    result = {"result": {"$ref": REF + method.result.__name__}}
    return {"type": "object", "properties": properties | result, "required": ["jsonrpc", "id", "result"]}


def _notification(name: str) -> dict[str, Any]:
    params = {"$ref": REF + NOTIFICATIONS[name][0].__name__}
    properties = {"jsonrpc": {"const": "2.0"}, "method": {"const": name}, "params": params}
    return {"type": "object", "properties": properties, "required": ["jsonrpc", "method", "params"]}
