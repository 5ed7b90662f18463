"""Types in the words of a reader of JSON."""

from typing import Any, get_args

import msgspec

PLAIN = {
    "str": "string",
    "int": "integer",
    "bool": "boolean",
    "float": "number",
    "datetime": "time",
    "Any": "object",
    "bytes": "bytes",
    "Path": "path",
}


def type_name(kind: Any) -> str:
    """A type as a reader of JSON knows it."""
    if hasattr(kind, "__metadata__"):
        return type_name(get_args(kind)[0])
    if getattr(kind, "__supertype__", None):
        return type_name(kind.__supertype__)
    origin = getattr(kind, "__origin__", None)
    if origin in (tuple, list):
        return f"list of {type_name(get_args(kind)[0])}"
    if origin is dict:
        return f"object of {type_name(get_args(kind)[1])}"
    if get_args(kind):
        shown = [type_name(arg) for arg in get_args(kind) if arg not in (type(None), msgspec.UnsetType)]
        return " or ".join(dict.fromkeys(shown)).replace("|", "or")
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        inner = ", ".join(f"`{field.encode_name}`" for field in msgspec.structs.fields(kind))
        return f"{kind.__name__} {{{inner}}}"
    name = getattr(kind, "__name__", repr(kind))
    if isinstance(kind, type) and hasattr(kind, "__members__"):
        return " or ".join(f"`{member.value}`" for member in kind)  # type: ignore[attr-defined]
    return PLAIN.get(name, f"`{kind!r}`" if isinstance(kind, str | int) else name)


def short_name(kind: Any) -> str:
    """The same in one or two words, for a diagram and for a list of arguments."""
    if hasattr(kind, "__metadata__"):
        return short_name(get_args(kind)[0])
    if getattr(kind, "__supertype__", None):
        return str(kind.__name__)
    origin = getattr(kind, "__origin__", None)
    if origin in (tuple, list, frozenset):
        return f"list of {short_name(get_args(kind)[0])}"
    if origin is dict:
        return f"{short_name(get_args(kind)[0])} -> {short_name(get_args(kind)[1])}"
    if get_args(kind):
        shown = dict.fromkeys(short_name(arg) for arg in get_args(kind) if arg not in (type(None), msgspec.UnsetType))
        return " or ".join(shown) if len(shown) < 4 else "any command"
    name = getattr(kind, "__name__", str(kind))
    return PLAIN.get(name, name)
