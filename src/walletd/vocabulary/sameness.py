"""Comparison of a repeated command with the one that was decided: field by field, with the fields that do not count.

>>> first_difference(PostTransfer(..., reference="a"), PostTransfer(..., reference="b"))
'reference'

Of a refused command only the digest is kept: equal exactly if there is no first difference.
"""

import hashlib
import re
from typing import Any

import msgspec

from walletd.vocabulary.claims import ids_of, kind_of
from walletd.vocabulary.commands import AnyCommand, ExecuteBatch, ExpireHold, RefusedCommand

_encode = msgspec.json.Encoder(order="deterministic").encode

ABSOLUTE = {
    "valid_for_seconds": "valid_until",
    "expires_in_seconds": "expires_at",
    "until_in_seconds": "until",
    "overlap_for_seconds": "overlap_until",
}
"""The fields that count seconds, each with the field that names the same time; a command has one of both."""

VALIDITY = frozenset({"valid_until", "valid_for_seconds"})
"""The end of a command's validity, which is no part of what it asks for."""

CIRCUMSTANCES = frozenset({"if_version", "if_balance", *ABSOLUTE, *ABSOLUTE.values()})
"""The fields that a program finds out or computes each time it sends a command: if nothing else differs, the command
asks for the same thing, and another command id would apply it twice.
"""


def first_difference(one: AnyCommand, other: AnyCommand) -> str | None:
    """The first field in which two commands differ, ``method`` included; None if they ask for the same.

    The validity does not count, nor that of a command in a batch.  The ``CIRCUMSTANCES`` are compared only if
    everything else is the same.
    """
    if type(one) is not type(other):
        return "method"
    if one == other:  # Looking up the names of fields takes a hundred times as long.
        return None
    return _difference(_without(one, CIRCUMSTANCES), _without(other, CIRCUMSTANCES)) or _difference(
        _without(one, VALIDITY), _without(other, VALIDITY)
    )


def kept_of(command: AnyCommand) -> RefusedCommand:
    """What an entry keeps of the command if it is refused."""
    return RefusedCommand(
        command_id=command.command_id,
        kind=kind_of(command),
        sha256=digest_of(command),
        commands=tuple(ids_of(command)[1:]),
    )


def digest_of(command: AnyCommand) -> str:
    """The SHA-256, in hexadecimal, of what the command asks for: its JSON with sorted names, without defaults and
    without the fields of ``VALIDITY``.
    """
    if isinstance(command, ExecuteBatch):
        lasting = tuple(_lasting(inner) for inner in command.commands)
        command = msgspec.structs.replace(command, commands=lasting)
    return hashlib.sha256(_encode(_lasting(command))).hexdigest()


def _lasting(command: Any) -> Any:
    """The command without the end of its validity; an expiry without the number of holds, which is chosen later."""
    if isinstance(command, ExpireHold) and command.most is not None:
        command = msgspec.structs.replace(command, most=None)
    if command.valid_until is None and command.valid_for_seconds is None:
        return command
    return msgspec.structs.replace(command, valid_until=None, valid_for_seconds=None)


def is_circumstance(path: str) -> bool:
    """True if a field that ``first_difference`` named is one of the ``CIRCUMSTANCES``, so that all else is the same."""
    return any(re.split(r"[\[.]", part, maxsplit=1)[0] in CIRCUMSTANCES for part in path.split("."))


def _without(command: AnyCommand, fields: frozenset[str]) -> AnyCommand:
    """The command, and the commands in it, with these fields reset."""
    defaults = {
        field.name: field.default_factory() if callable(field.default_factory) else field.default
        for field in msgspec.structs.fields(command)
        if field.name in fields
    }
    if isinstance(command, ExecuteBatch):
        defaults["commands"] = tuple(_without(inner, fields) for inner in command.commands)
    return msgspec.structs.replace(command, **defaults)


def _difference(one: AnyCommand, other: AnyCommand) -> str | None:
    for field in msgspec.structs.fields(one):
        if getattr(one, field.name) != getattr(other, field.name):
            return _first_inner_difference(field.encode_name, getattr(one, field.name), getattr(other, field.name))
    return None


def _first_inner_difference(path: str, one: Any, other: Any) -> str:
    if isinstance(one, tuple) and isinstance(other, tuple) and len(one) == len(other):
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            if left != right:
                return _first_inner_difference(f"{path}[{index}]", left, right)
    if isinstance(one, msgspec.Struct) and type(one) is type(other):
        for field in msgspec.structs.fields(one):
            left, right = getattr(one, field.name), getattr(other, field.name)
            if left != right:
                return _first_inner_difference(f"{path}.{field.encode_name}", left, right)
    return path
