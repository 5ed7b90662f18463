"""Checks the examples in module docstrings against the code, without running them.

    untrue = faults_of(importlib.import_module("walletd.ledger.draft"))      # [] where every name and call is right

An example is an indented paragraph, Python or the call of a program; at the end of a docstring, where the formatter
takes the indentation away, it is what is Python and has a call in it.  Its variables have the types that follow from
it: of ``draft = Draft(books, now)`` the class, of ``head = await store.head()`` what the method returns.  A variable
that the example does not assign has the class of its name, if its package has one: ``projector`` is a ``Projector``.
Every attribute must exist, every call must bind to the signature, and what is asynchronous, and only that, is awaited.
An object of which nothing is known may have any attribute that some class has.
"""

import ast
import builtins
import importlib
import inspect
import itertools
import logging
import os
import pkgutil
import re
import sys
import textwrap
import types
import typing
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from enum import EnumMeta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import trio

import walletd

LIBRARIES = {each.__name__: each for each in (Decimal, itertools, logging, msgspec, os, sys, trio)}
"""What an example may name without an import."""
FOREIGN = (str, bytes, list, dict, set, Path, datetime, trio.Nursery, trio.abc.Stream, logging.Logger, logging.Handler)
"""Classes that an object of which nothing is known may be of, beside those of walletd."""
PROGRAM = re.compile(r"(python3?|make|walletd|sudo) ")
RESULT = re.compile(r"\s+->\s.*")
"""What a call gives, as prose."""


class Thing(NamedTuple):
    """What an expression stands for: an object itself, or an instance of a class, or nothing that is known."""

    value: Any = None
    kind: Any = None


UNKNOWN = Thing()


def modules() -> list[types.ModuleType]:
    """Every module of walletd, imported; but none that does something by that."""
    names = [info.name for info in pkgutil.walk_packages(walletd.__path__, "walletd.")]
    return [importlib.import_module(name) for name in names if not name.endswith("__main__")]


def examples(module: types.ModuleType) -> Iterator[str]:
    """The paragraphs of the module's docstring that are examples."""
    for paragraph in re.split(r"\n\s*\n", module.__doc__ or ""):
        text = textwrap.dedent(paragraph).replace(">>> ", "")
        code = "\n".join(RESULT.sub("", line) for line in text.splitlines())
        if paragraph.startswith("    ") or ("(" in code and _parsed(code) is not None):
            yield code


def faults_of(module: types.ModuleType) -> list[str]:
    """What the examples in the module's docstring say that is not so."""
    reader = Reader(module)
    for code in examples(module):
        if PROGRAM.match(code):
            reader.check_command(code)
        elif (tree := _parsed(code)) is None:
            reader.faults.append(f"this is no Python: {code}")
        else:
            reader.visit(tree)
    return reader.faults


def _parsed(code: str) -> ast.Module | None:
    try:
        return ast.parse("async def example():\n" + textwrap.indent(code, "    "))
    except SyntaxError:
        return None


@cache
def _public() -> dict[str, list[Any]]:
    """The functions and classes of walletd, by name."""
    found: dict[str, list[Any]] = defaultdict(list)
    for module in modules():
        for name, value in vars(module).items():
            if callable(value) and getattr(value, "__module__", None) == module.__name__:
                found[name].append(value)
    return found


@cache
def _attributes() -> dict[str, list[Any]]:
    """The attributes of walletd's classes and of some others, by name."""
    found: dict[str, list[Any]] = defaultdict(list)
    classes = [value for values in _public().values() for value in values if inspect.isclass(value)]
    for each in (*classes, *FOREIGN):
        for name in {*dir(each), *_assigned(each)}:
            found[name].append(inspect.getattr_static(each, name, None))
    return found


@cache
def _assigned(owner: type) -> set[str]:
    """The attributes that a class's instances have beside those of the class itself."""
    found: set[str] = set()
    for each in owner.__mro__:
        found |= inspect.get_annotations(each).keys()
        if each.__module__.startswith("walletd"):
            for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(each)))):
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                    found.add(node.attr)
    return found


def _hinted(thing: Any, name: str, owner: type | None = None) -> Thing:
    """What an annotation says, where it names one class."""
    try:
        hint = typing.get_type_hints(thing).get(name)
    except (NameError, TypeError):
        return UNKNOWN
    return Thing(kind=owner) if hint is typing.Self else _instance(hint)


def _instance(hint: Any) -> Thing:
    parts = [part for part in typing.get_args(hint) if part is not type(None)]
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return _instance(parts[0]) if len(parts) == 1 else UNKNOWN
    hint = getattr(hint, "__supertype__", hint)
    return Thing(kind=hint) if inspect.isclass(typing.get_origin(hint) or hint) else UNKNOWN


def _item(thing: Thing) -> Thing:
    """What an iterator, a list or a context manager that a generator makes hands out."""
    parts = typing.get_args(thing.kind)
    return _instance(parts[0]) if parts else UNKNOWN


class Reader(ast.NodeVisitor):
    """Reads the examples of one module, in order: what one assigns, the next may use."""

    def __init__(self, module: types.ModuleType) -> None:
        self.module = module
        self.faults: list[str] = []
        self._bound: dict[str, Thing] = {}

    def check_command(self, line: str) -> None:
        """A module that is run as a program must be there."""
        if (named := re.search(r"-m (\S+)", line)) and importlib.util.find_spec(named[1]) is None:
            self._fault(f"there is no module {named[1]}")

    # --- statements ------------------------------------------------------------------------------------------------

    def visit_Assign(self, node: ast.Assign) -> None:
        self._bind(node.targets[0], self.look(node.value))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for each in node.names:
            self._bound[each.name] = Thing(getattr(importlib.import_module(node.module or ""), each.name))

    def visit_For(self, node: ast.For) -> None:
        self._bind(node.target, _item(self.look(node.iter)))
        self._visit_all(node.body)

    def visit_AsyncFor(self, node: ast.AsyncFor) -> None:
        self.visit_For(typing.cast(ast.For, node))

    def visit_With(self, node: ast.With) -> None:
        for item in node.items:
            opened = self.look(item.context_expr)
            entered = opened if hasattr(opened.kind, "__enter__") or hasattr(opened.kind, "__aenter__") else UNKNOWN
            if item.optional_vars is not None:
                self._bind(item.optional_vars, _item(opened) if typing.get_args(opened.kind) else entered)
        self._visit_all(node.body)

    def visit_AsyncWith(self, node: ast.AsyncWith) -> None:
        self.visit_With(typing.cast(ast.With, node))

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.type is not None and node.name is not None:
            self._bound[node.name] = Thing(kind=self.look(node.type).value)
        self._visit_all(node.body)

    def visit_MatchClass(self, node: ast.MatchClass) -> None:
        self.look(node.cls)
        for pattern in (*node.patterns, *node.kwd_patterns):
            self.visit(pattern)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        if node.name is not None:
            self._bound[node.name] = UNKNOWN
        self.generic_visit(node)

    def generic_visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.expr):
            self.look(node)
        else:
            super().generic_visit(node)

    def _visit_all(self, nodes: list[ast.stmt]) -> None:
        for node in nodes:
            self.visit(node)

    def _bind(self, target: ast.expr, thing: Thing) -> None:
        for node in ast.walk(target):
            if isinstance(node, ast.Name):
                self._bound[node.id] = thing if node is target else UNKNOWN
        parts = typing.get_args(thing.kind)
        if isinstance(target, ast.Tuple) and typing.get_origin(thing.kind) is tuple and len(parts) == len(target.elts):
            for each, part in zip(target.elts, parts, strict=True):
                self._bind(each, _instance(part))

    # --- expressions -----------------------------------------------------------------------------------------------

    def look(self, node: ast.expr) -> Thing:
        """What the expression stands for; faults in it are noted."""
        match node:
            case ast.Constant(value=value):
                return UNKNOWN if value is ... else Thing(kind=type(value))
            case ast.Name(id=name):
                return self._named(name)
            case ast.Attribute(value=owner, attr=name):
                return self._attribute(self.look(owner), name)
            case ast.Await(value=ast.Call() as call):
                return self._call(call, is_awaited=True)
            case ast.Call():
                return self._call(node, is_awaited=False)
            case ast.Lambda(args=arguments, body=body):
                self._bound |= dict.fromkeys((each.arg for each in arguments.args), UNKNOWN)
                return self._call(body, is_awaited=None) if isinstance(body, ast.Call) else self.look(body)
            case ast.ListComp(generators=loops) | ast.GeneratorExp(generators=loops) | ast.DictComp(generators=loops):
                for loop in loops:
                    self._bind(loop.target, _item(self.look(loop.iter)))
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.look(child)
        return UNKNOWN

    def _named(self, name: str) -> Thing:
        if name in self._bound:
            return self._bound[name]
        for space in (vars(self.module), LIBRARIES, vars(builtins)):
            if name in space:
                return Thing(space[name])
        if name in _public():
            return Thing(_public()[name][0]) if len(_public()[name]) == 1 else UNKNOWN
        if name[0].isupper():
            self._fault(f"there is no {name}")
        class_name = name.title().replace("_", "")
        package = self.module.__name__.rpartition(".")[0]
        classes = [each for each in _public().get(class_name, ()) if each.__module__.startswith(f"{package}.")]
        classes = [each for each in [vars(self.module).get(class_name)] if inspect.isclass(each)] or classes
        return Thing(kind=classes[0]) if len(classes) == 1 else UNKNOWN

    def _attribute(self, owner: Thing, name: str) -> Thing:
        if owner == UNKNOWN:
            if name not in _attributes():
                self._fault(f"no object has {name!r}")
            return UNKNOWN
        if owner.kind is None:
            if not hasattr(owner.value, name):
                self._fault(f"{owner.value!r} has no {name!r}")
                return UNKNOWN
            member = getattr(owner.value, name)
            return Thing(kind=owner.value) if isinstance(owner.value, EnumMeta) else Thing(member)
        kind = typing.get_origin(owner.kind) or owner.kind
        member = inspect.getattr_static(kind, name, None)
        if isinstance(member, property):
            return _hinted(member.fget, "return", kind)
        if inspect.isfunction(member) or isinstance(member, classmethod | staticmethod):
            return Thing(getattr(kind, name) if not inspect.isfunction(member) else types.MethodType(member, object()))
        if not hasattr(kind, name) and name not in _assigned(kind):
            self._fault(f"{kind.__name__} has no {name!r}")
        return _hinted(kind, name)

    def _call(self, node: ast.Call, *, is_awaited: bool | None) -> Thing:
        """What a call gives; whether it has to be awaited is left open where its result is handed on."""
        called = self.look(node.func)
        for argument in (*node.args, *(word.value for word in node.keywords)):
            self.look(argument.value if isinstance(argument, ast.Starred) else argument)
        if called.kind is not None:
            return UNKNOWN
        candidates = self._candidates(node.func) if called == UNKNOWN else [called.value]
        complaints = [self._complaint(each, node, is_awaited) for each in candidates]
        if complaints and all(complaints):
            self._fault(f"{ast.unparse(node)}: {complaints[0]}")
        if inspect.isclass(called.value):
            return Thing(kind=called.value)
        function = getattr(called.value, "__func__", called.value)
        return _hinted(function, "return") if function is not None else UNKNOWN

    def _candidates(self, function: ast.expr) -> list[Any]:
        """What may be called by this name, where it is not known of which object."""
        match function:
            case ast.Name(id=name) if name not in self._bound:
                if name not in _public() and not name[0].isupper():
                    self._fault(f"there is no {name}()")
                return _public().get(name, [])
            case ast.Attribute(attr=name):
                return [
                    types.MethodType(each, object()) if inspect.isfunction(each) else each
                    for each in _attributes().get(name, [])
                ]
        return []

    def _complaint(self, function: Any, node: ast.Call, is_awaited: bool | None) -> str:
        """Why the call cannot be one of this function; empty where it can."""
        plain = inspect.unwrap(getattr(function, "__func__", function))
        if not inspect.isfunction(plain) and not inspect.isclass(plain):
            return ""
        if is_awaited is not None and inspect.isfunction(plain) and plain.__module__.startswith("walletd"):
            is_async = inspect.iscoroutinefunction(plain) or "Awaitable" in str(plain.__annotations__.get("return"))
            if is_async != is_awaited:
                return "it is awaited and not asynchronous" if is_awaited else "it is asynchronous and not awaited"
        if isinstance(plain, EnumMeta) or any(isinstance(each, ast.Starred) for each in node.args):
            return ""
        given = [each for each in node.args if not (isinstance(each, ast.Constant) and each.value is ...)]
        words = {word.arg: None for word in node.keywords if word.arg is not None}
        try:
            signature = inspect.signature(function)
            bind = signature.bind if len(given) == len(node.args) else signature.bind_partial  # ``...``: and so on
            bind(*given, **words)
        except TypeError as error:
            return str(error)
        except ValueError:
            pass  # It is made in C and says nothing of itself.
        return ""

    def _fault(self, sentence: str) -> None:
        self.faults.append(sentence)
