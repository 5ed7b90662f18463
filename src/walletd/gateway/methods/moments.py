"""Times at the edge: a command names a time or counts the seconds to it, never both."""

from typing import Any, get_args

import msgspec

from walletd.protocol.errors import InvalidParams
from walletd.vocabulary.commands import AnyCommand, ExecuteBatch, ExtendHold
from walletd.vocabulary.sameness import ABSOLUTE


def check_moments(command: Any) -> None:
    """Raises InvalidParams if the command, or one in a batch, gives a time twice, or no new expiry at all."""
    _check(command, "")
    if isinstance(command, ExecuteBatch):
        for index, inner in enumerate(command.commands):
            _check(inner, f"commands[{index}].")


def _check(command: Any, place: str) -> None:
    for counted, named, unsaid in _PAIRS[type(command)]:
        if getattr(command, counted) is not None and getattr(command, named) is not unsaid:
            raise InvalidParams(
                place + counted, f"'{place}{counted}' and '{place}{named}' both set the time: give only one of them"
            )
    if isinstance(command, ExtendHold) and command.expires_at is msgspec.UNSET and command.expires_in_seconds is None:
        raise InvalidParams(
            f"{place}expires_at",
            f"'{place}expires_at' is missing: give a time with an offset, null for none, or 'expires_in_seconds'",
        )


def _pairs_of(kind: Any) -> tuple[tuple[str, str, Any], ...]:
    """Its fields that count seconds, each with the field that names the time, and that field's value if it is left
    out.
    """
    defaults = {field.name: field.default for field in msgspec.structs.fields(kind)}
    return tuple((counted, named, defaults[named]) for counted, named in ABSOLUTE.items() if counted in defaults)


_PAIRS = {kind: _pairs_of(kind) for kind in get_args(AnyCommand)}
