"""What the declared types ask of a document, read from the types themselves: the tests of fields are made from it.

for place in places_of(Params, example): place.path, place.is_required, place.wrong_values
"""

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

from msgspec import inspect

ONE_OF_EACH_KIND: dict[str, Any] = {
    "null": None,
    "boolean": True,
    "whole number": 5,
    "fraction": 1.5,
    "string": "a string",
    "array": [],
    "object": {},
}


class Place(NamedTuple):
    """One field somewhere in a document: where it is, and which kinds of JSON values may stand there."""

    path: tuple[str | int, ...]
    is_required: bool
    kinds: frozenset[str]

    @property
    def name(self) -> str:
        """The place as errors name it: ``postings[0].amount``."""
        return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path).lstrip(".")

    @property
    def wrong_values(self) -> list[Any]:
        """A value of every kind that may not stand there."""
        return [value for kind, value in ONE_OF_EACH_KIND.items() if kind not in self.kinds]


def places_of(params: type, example: dict[str, Any]) -> list[Place]:
    """Every field of the params, also those inside of arrays and objects, as far as the example has them."""
    return list(_places(inspect.type_info(params), example, ()))


def objects_in(params: type, example: dict[str, Any]) -> list[tuple[str | int, ...]]:
    """Where in the example the objects with declared fields stand; the whole is one of them."""
    inner = {place.path[:-1] for place in places_of(params, example)}
    return sorted(inner | {()}, key=str)


def changed(example: dict[str, Any], path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """The example with another value at one place."""
    document = copy.deepcopy(example)
    _parent(document, path)[path[-1]] = value
    return document


def without(example: dict[str, Any], path: tuple[str | int, ...]) -> dict[str, Any]:
    """The example without one field."""
    document = copy.deepcopy(example)
    del _parent(document, path)[path[-1]]
    return document


def _parent(document: Any, path: tuple[str | int, ...]) -> Any:
    for step in path[:-1]:
        document = document[step]
    return document


def _places(declared: inspect.Type, example: Any, path: tuple[str | int, ...]) -> Iterator[Place]:
    match declared:
        case inspect.UnionType(types=types):
            for alternative in types:
                if _kinds(alternative) & {_kind_of(example)} and _is_of(alternative, example):
                    yield from _places(alternative, example, path)
        case inspect.StructType(fields=fields):
            for field in fields:
                here = (*path, field.encode_name)
                yield Place(here, field.required, _kinds(field.type))
                if field.encode_name in example:
                    yield from _places(field.type, example[field.encode_name], here)
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            for index, value in enumerate(example):
                yield from _places(item, value, (*path, index))
        case _:
            return


def _is_of(declared: inspect.Type, example: Any) -> bool:
    """Whether the example is of this alternative of a tagged union."""
    tag = declared.tag_field if isinstance(declared, inspect.StructType) else None
    return tag is None or example.get(tag) == declared.tag  # type: ignore[attr-defined]


def _kinds(declared: inspect.Type) -> frozenset[str]:
    match declared:
        case inspect.UnionType(types=types):
            return frozenset().union(*(_kinds(alternative) for alternative in types))
        case inspect.LiteralType(values=values):
            return frozenset(_kind_of(value) for value in values)
        case inspect.StrType() | inspect.DateTimeType() | inspect.EnumType():
            return frozenset({"string"})
        case inspect.IntType():
            return frozenset({"whole number"})
        case inspect.BoolType():
            return frozenset({"boolean"})
        case inspect.NoneType():
            return frozenset({"null"})
        case inspect.VarTupleType() | inspect.ListType():
            return frozenset({"array"})
        case inspect.StructType() | inspect.DictType():
            return frozenset({"object"})
        case _:
            raise AssertionError(f"say which JSON values {declared} takes")


def _kind_of(value: Any) -> str:
    (kind,) = (kind for kind, sample in ONE_OF_EACH_KIND.items() if type(sample) is type(value))
    return kind
