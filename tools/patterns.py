"""Whether one regular expression admits everything that another one admits, for the patterns of the contract.

admits("^t[1-9](-[a-z]{8})?$", "^t[1-9]$")            # True: the mark is optional

The answer True is certain.  False may also mean that this is too hard to tell: only additions to the same pattern are
recognised, which are optional parts, further alternatives, wider classes and wider counts.
"""

from typing import NamedTuple

MANY = 1 << 30


class Part(NamedTuple):
    """One part of a sequence, with the number of times that it may occur."""

    options: frozenset["str | Sequence"]
    """Characters and classes as they are written, or the alternatives of a group."""
    least: int = 1
    most: int = 1


Sequence = tuple[Part, ...]


def admits(wider: str, narrower: str) -> bool:
    """Whether ``wider`` certainly admits every text that ``narrower`` admits."""
    one, other = _Reader(wider), _Reader(narrower)
    return _any_includes(one.alternatives(), other.alternatives())


def _any_includes(wider: "frozenset[str | Sequence]", narrower: "frozenset[str | Sequence]") -> bool:
    return all(any(_includes(one, other) for one in wider) for other in narrower)


def _includes(wider: "str | Sequence", narrower: "str | Sequence") -> bool:
    if isinstance(wider, str) and isinstance(narrower, str):
        return wider == narrower
    wider, narrower = _as_sequence(wider), _as_sequence(narrower)
    if not wider:
        return not narrower
    first, rest = wider[0], wider[1:]
    if narrower and _part_includes(first, narrower[0]) and _includes(rest, narrower[1:]):
        return True
    return first.least == 0 and _includes(rest, narrower)


def _as_sequence(option: "str | Sequence") -> Sequence:
    return (Part(frozenset([option])),) if isinstance(option, str) else option


def _part_includes(wider: Part, narrower: Part) -> bool:
    counts = wider.least <= narrower.least and narrower.most <= wider.most
    return counts and _any_includes(wider.options, narrower.options)


class _Reader:
    """Reads a pattern of literals, classes, groups, alternatives and counts."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._place = 0

    def alternatives(self) -> "frozenset[str | Sequence]":
        found: list[Sequence] = [self._sequence()]
        while self._next() == "|":
            self._place += 1
            found.append(self._sequence())
        return frozenset(found)

    def _next(self) -> str:
        return self._pattern[self._place : self._place + 1]

    def _sequence(self) -> Sequence:
        parts: list[Part] = []
        while self._next() not in ("", "|", ")"):
            options = self._options()
            parts.append(Part(options, *self._count()))
        return tuple(parts)

    def _options(self) -> "frozenset[str | Sequence]":
        first = self._next()
        if first == "(":
            self._place += 3 if self._pattern.startswith("(?:", self._place) else 1
            found = self.alternatives()
            self._place += 1
            return found
        if first == "[":
            return frozenset(self._class())
        length = 2 if first == "\\" else 1
        self._place += length
        return frozenset([self._pattern[self._place - length : self._place]])

    def _class(self) -> list[str]:
        """The ranges and characters of a class; one with ``^`` is a single word, because more ranges admit less."""
        end = self._pattern.index("]", self._place + 1)
        inside, self._place = self._pattern[self._place + 1 : end], end + 1
        if inside.startswith("^"):
            return [f"[{inside}]"]
        found = []
        while inside:
            length = 3 if len(inside) > 2 and inside[1] == "-" else 2 if inside[0] == "\\" else 1
            found.append(inside[:length])
            inside = inside[length:]
        return found

    def _count(self) -> tuple[int, int]:
        sign = self._next()
        if sign == "{":
            end = self._pattern.index("}", self._place)
            low, comma, high = self._pattern[self._place + 1 : end].partition(",")
            self._place = end + 1
            return int(low), int(high) if high else MANY if comma else int(low)
        if sign in ("?", "*", "+") and sign:
            self._place += 1
            return {"?": (0, 1), "*": (0, MANY), "+": (1, MANY)}[sign]
        return 1, 1
