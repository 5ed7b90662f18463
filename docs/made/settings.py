"""The configuration's reference: each setting with its type, bounds and the comment from config/walletd.toml."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

import msgspec

from made.types import type_name
from walletd.settings.settings import RELOADABLE, Settings

EXAMPLE = Path(__file__).parents[2] / "config" / "walletd.toml"
ASSIGNMENT = re.compile(r"#? ?([a-z_]+) = .+")
SEPARATE_TYPES = get_type_hints(Settings, include_extras=True)


class Block(NamedTuple):
    """Some settings that are explained together."""

    explanation: str
    names: tuple[str, ...]


def blocks() -> Iterator[Block]:
    """The paragraphs of config/walletd.toml that have settings."""
    for paragraph in EXAMPLE.read_text().split("\n\n"):
        lines = paragraph.splitlines()
        names = tuple(
            found[1] for line in lines if (found := ASSIGNMENT.fullmatch(line)) and found[1] in SEPARATE_TYPES
        )
        words = [
            line.removeprefix("#").strip() for line in lines if line.startswith("#") and not ASSIGNMENT.fullmatch(line)
        ]
        if names:
            yield Block(" ".join(words).replace("[reload] ", "").replace(" [reload]", ""), names)


def configuration() -> str:
    """Every setting, block by block."""
    parts = []
    for block in blocks():
        rows = ["| setting | values | default | takes effect |", "|---|---|---|---|"]
        rows += [_row(name) for name in block.names]
        parts.append("\n".join([block.explanation, "", *rows, ""]))
    return "\n".join(parts)


def _row(name: str) -> str:
    default = msgspec.json.encode(getattr(Settings(), name), enc_hook=str).decode()
    effect = "with a reload" if name in RELOADABLE else "with a restart"
    return f"| `{name}` | {_what(SEPARATE_TYPES[name])} | `{default}` | {effect} |"


def _what(kind: Any) -> str:
    words = type_name(kind)
    for meta in getattr(kind, "__metadata__", ()):
        if meta.pattern is not None:
            words = _choice(meta.pattern)
        bounds = [f"{word} {getattr(meta, name)}" for name, word in BOUNDS.items() if getattr(meta, name) is not None]
        words += f", {' and '.join(bounds)}" if bounds else ""
    if type(None) in get_args(kind):
        inner = next(arg for arg in get_args(kind) if arg is not type(None))
        words = _what(inner)
    return words


BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def _choice(pattern: str) -> str:
    """A pattern that is a choice of words, as these words."""
    if found := re.fullmatch(r"\^\(([a-z|]+)\)\$", pattern):
        return " or ".join(f"`{word}`" for word in found[1].split("|"))
    return f"string like `{pattern.replace('|', chr(92) + '|')}`"


SECTIONS: dict[str, Callable[[], str]] = {"configuration": configuration}
