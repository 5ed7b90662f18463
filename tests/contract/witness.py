"""A witness of real connections: every frame that passes must be one of the published contract.

    witness = Witness()
    witness.sent(b'{"jsonrpc":"2.0","id":1,"method":"session.ping"}')
    witness.received(b'{"jsonrpc":"2.0","id":1,"result":{...}}')       # AssertionError where the contract is not true

It knows nothing but docs/reference/asyncapi.json, and is stricter than a client should be: a field that the contract
does not name is a fault of the contract.  Of frames that come by the thousand, and of the items of a long list
in one, the first are looked at and then each fiftieth.
"""

import json
import re
from collections import Counter
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator, FormatChecker
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.jsonschema import DRAFT7

PUBLISHED = Path(__file__).parents[2] / "docs" / "reference" / "asyncapi.json"
LOOKED_AT = 200
THEN_EACH = 50
LONG_LIST = 40

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)

_seen: Counter[str] = Counter()
_formats = FormatChecker(formats=())


@_formats.checks("date-time")
def _is_moment(instance: object) -> bool:
    if not isinstance(instance, str):
        return True
    if not RFC_3339.fullmatch(instance):
        return False
    try:
        return datetime.fromisoformat(instance.upper()).tzinfo is not None
    except ValueError:
        return False


class Published:
    """The document, closed everywhere, and its validators."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        closed = _closed(document)
        self.registry: Registry[Any] = Registry().with_resource("contract", DRAFT7.create_resource(closed))
        operations = document["operations"]
        self.methods = {name for name, row in operations.items() if row["action"] == "receive"}
        self.notifications = set(operations) - self.methods
        self.reasons = {name: set(operations[name]["x-errors"]) for name in self.methods}
        self.before_any_method = set(document["x-errors-before-any-method"])
        self.rows = {row["reason"]: row for row in document["x-errors"]}
        self.close_codes = {row["code"] for row in document["x-close-codes"]}
        self._validators: dict[str, Validator] = {}

    def faults(self, message: str, frame: Any) -> list[str]:
        """What in the frame is not as the message of this name is declared."""
        if message not in self._validators:
            schema = {"$ref": f"contract#/components/messages/{message}/payload"}
            self._validators[message] = Draft7Validator(schema, registry=self.registry, format_checker=_formats)
        return [f"{error.json_path}: {error.message[:300]}" for error in self._validators[message].iter_errors(frame)]


def _closed(schema: Any) -> Any:
    """No object has a field that is not declared; ``$`` is the end of the text, not of its last line."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _closed(part) for name, part in schema.items()}
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
        made.setdefault("additionalProperties", False)
    if isinstance(schema.get("pattern"), str):
        made["pattern"] = schema["pattern"].removesuffix("$") + r"\Z"
    return made


@cache
def published() -> Published:
    """The contract as it is committed."""
    return Published(json.loads(PUBLISHED.read_text()))


class Witness:
    """Of one connection."""

    def __init__(self) -> None:
        self._asked: dict[Any, Any] = {}

    def sent(self, frame: str | bytes) -> None:
        """Keep what a client asks until it is answered."""
        try:
            request = json.loads(frame)
        except (ValueError, RecursionError):
            return
        if isinstance(request, dict) and isinstance(request.get("id"), int | str):
            self._asked[request["id"]] = request

    def received(self, frame: str | bytes) -> None:
        """Judge what the server says, and together with it what it was asked."""
        message = json.loads(frame)
        if "method" in message:
            assert message["method"] in published().notifications
            self._judge(message["method"], message)
        elif "result" in message:
            request = self._asked.pop(message["id"])
            name = request["method"]
            self._judge(f"{name}.request", request)
            self._judge(f"{name}.reply", message)
        else:
            self._judge_error(message)

    def closed(self, code: int | None) -> None:
        """Judge the code of the server's close frame."""
        assert code is None or code in published().close_codes, f"no row for the close code {code}"

    def _judge(self, name: str, frame: Any) -> None:
        if is_looked_at(name if name != "error" else frame["error"]["data"]["reason"]):
            faults = published().faults(name, thinned(frame))
            assert not faults, (
                f"{name} is not as docs/reference/asyncapi.json has it:\n" + "\n".join(faults) + f"\n{frame}"
            )

    def _judge_error(self, message: dict[str, Any]) -> None:
        self._judge("error", message)
        error, contract = message["error"], published()
        row = contract.rows[error["data"]["reason"]]
        assert error["code"] == row["code"], message
        assert error["data"]["retry"] in (row["retry"], row.get("retry_too")), message
        request = self._asked.pop(message["id"], None) if message["id"] is not None else None
        method = request.get("method") if isinstance(request, dict) else None
        allowed = contract.before_any_method | contract.reasons.get(method if isinstance(method, str) else "", set())
        assert row["reason"] in allowed, f"{method} does not list {row['reason']}"
        if method in contract.methods and row["reason"] in ("invalid_request", "method_not_found", "parse_error"):
            assert contract.faults(f"{method}.request", request), f"the contract permits {request}"


def is_looked_at(name: str) -> bool:
    """Whether it is this frame's turn."""
    _seen[name] += 1
    return _seen[name] <= LOOKED_AT or _seen[name] % THEN_EACH == 0


def thinned(value: Any) -> Any:
    """The same with fewer items in its long lists."""
    if isinstance(value, dict):
        return {name: thinned(part) for name, part in value.items()}
    if isinstance(value, list):
        kept = value if len(value) <= LONG_LIST else value[:LONG_LIST] + value[LONG_LIST::THEN_EACH]
        return [thinned(part) for part in kept]
    return value


def noting(frames: Path) -> dict[str, str]:
    """What another process has to have in its environment to note its frames in this file, as ``walletd pay`` does."""
    return {"PYTHONPATH": str(Path(__file__).parent / "at_start"), "TEST_FRAMES": str(frames)}


def judge_noted(frames: Path) -> int:
    """Judge what other processes noted: connection, direction and frame on each line; how many there were."""
    witnesses: dict[str, Witness] = {}
    recorded = [json.loads(line) for line in frames.read_text().splitlines()]
    for connection, direction, frame in recorded:
        witness = witnesses.setdefault(connection, Witness())
        witness.sent(frame) if direction == "sent" else witness.received(frame)
    return len(recorded)
