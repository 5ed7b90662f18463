"""One hand: what ruff cannot hold of a style that all packages share."""

import ast
import io
import re
import tokenize
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "src" / "walletd").rglob("*.py"))
NEXT_SENTENCE = re.compile(r"(?<=[\w`)\"'\]])(?<!e\.g)(?<!i\.e)[.?!][\"`)]? (?=[A-Z`\"(*])")
CONSTANT = re.compile(r"_?[A-Z][A-Z0-9_]*")


def compiled() -> set[Path]:
    """The modules that mypyc compiles."""
    hooks = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]
    return {path for pattern in hooks["mypyc"]["include"] for path in ROOT.glob(pattern)}


@cache
def statements() -> list[tuple[Path, ast.stmt]]:
    """The statements of every module, but not those in its classes and functions."""
    return [(module, node) for module in MODULES for node in ast.parse(module.read_text()).body]


def prose_of(text: str) -> Iterator[tuple[int, str]]:
    """The line and the words of every docstring and every comment."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Expr(value=ast.Constant(value=str(words))):
                yield node.lineno, words
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def test_two_spaces_part_sentences() -> None:
    found = [
        f"{module}:{line}: {match[0]!r}"
        for module in MODULES
        for line, words in prose_of(module.read_text())
        for match in NEXT_SENTENCE.finditer(words)
    ]
    assert found == []


def test_a_logger_is_called_log() -> None:
    for module, node in statements():
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=called)):
                is_logger = ast.unparse(called) == "logging.getLogger" and not CONSTANT.fullmatch(name)
                assert not is_logger or name == "log", f"{module}:{node.lineno}"


def test_a_constant_is_final_only_where_that_is_compiled_in() -> None:
    found = compiled()
    assert found
    for module, node in statements():
        if isinstance(node, ast.AnnAssign) and module not in found:
            assert "Final" not in ast.unparse(node.annotation), f"{module}:{node.lineno}"


def test_a_constant_is_explained_below_it() -> None:
    for module, node in statements():
        match node:
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                if CONSTANT.fullmatch(name):
                    last = module.read_text().splitlines()[(node.end_lineno or node.lineno) - 1]
                    told = re.search(r"  # (?!noqa|type:|fmt:)", last[node.end_col_offset or 0 :])
                    assert not told, f"{module}:{node.lineno}"
