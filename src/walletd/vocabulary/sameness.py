"""Whether a command that is sent again is the one that was decided: field by field, and what does not count.

>>> first_difference(PostTransfer(..., reference="a"), PostTransfer(..., reference="b"))
'reference'
"""

import re
from typing import Any

import msgspec

from walletd.vocabulary.commands import AnyCommand, ExecuteBatch

ABSOLUTE = {
    "valid_for_seconds": "valid_until",
    "expires_in_seconds": "expires_at",
    "until_in_seconds": "until",
    "overlap_for_seconds": "overlap_until",
}
"""The fields that count seconds, each with the one that names the same moment; a command has one of both."""

VALIDITY = frozenset({"valid_until", "valid_for_seconds"})
"""Until when to decide: no part of what a command asks for."""

CIRCUMSTANCES = frozenset({"if_version", "if_balance", *ABSOLUTE, *ABSOLUTE.values()})
"""What a program finds out or computes each time that it sends a command: where nothing else differs, the same thing is
asked for again, and another command id would do it twice."""


def first_difference(one: AnyCommand, other: AnyCommand) -> str | None:
    """The name of the first field in which two commands differ, ``method`` included; None where they ask for the same.

    Until when to decide does not count, nor that of a command in a batch.  What is asked for comes first, and only
    where that is the same the ``CIRCUMSTANCES``.
    """
    if type(one) is not type(other):
        return "method"
    if one == other:  # To have the fields' names takes a hundred times as long.
        return None
    return _difference(_without(one, CIRCUMSTANCES), _without(other, CIRCUMSTANCES)) or _difference(
        _without(one, VALIDITY), _without(other, VALIDITY)
    )


def is_circumstance(path: str) -> bool:
    """Whether a field that ``first_difference`` named is one of the ``CIRCUMSTANCES``, so that all else is the same."""
    return any(re.split(r"[\[.]", part, maxsplit=1)[0] in CIRCUMSTANCES for part in path.split("."))


def _without(command: AnyCommand, fields: frozenset[str]) -> AnyCommand:
    """The command, and those in it, as if nothing had been said in these fields."""
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
