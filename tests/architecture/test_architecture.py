"""The architecture, held by tests: layers, purity, classes of one thought, locks, and nothing private in the tree."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "walletd"
MOST_ATTRIBUTES = 15
"""Of a class that is no plain record: one that keeps more has a second thought in it."""
CROWDED = {
    "Compaction": 20,
    "GatewayServer": 19,
    "FrameProtocol": 18,
}
"""Classes that keep more today, and how many: a number here may become smaller, and no class may be added."""
PUBLIC_PLACES = ("/opt/", "/srv/", "/tmp/", "/usr/", "/var/")
"""Where the documents may well say that walletd is installed."""
SHARED_PLACES = ("/", "/home")
"""Parents of a checkout that give nothing away."""
MODULES = sorted(SOURCE.rglob("*.py"))


def tracked_text() -> Iterator[tuple[Path, str]]:
    """Every tracked text file of the checkout."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no git checkout, so no file is tracked")
    for name in listed.stdout.split("\0"):
        path = ROOT / name
        if name and path.is_file():
            try:
                yield path, path.read_text()
            except UnicodeDecodeError:
                continue


def test_imports_point_down_only() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports")]
    linted = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize("layer", ["vocabulary", "ledger", "protocol"])
def test_a_pure_layer_awaits_nothing(layer: str) -> None:
    for module in sorted((SOURCE / layer).rglob("*.py")):
        awaiting = [node for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.AsyncFunctionDef)]
        assert not awaiting, module


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(SOURCE)))
def test_a_module_is_one_thought_and_says_what_it_promises(module: Path) -> None:
    text = module.read_text()
    assert ast.get_docstring(ast.parse(text))
    assert not re.search(r"TODO|FIXME|XXX|NotImplementedError\(", text)


def kept_by(owner: ast.ClassDef) -> set[str]:
    """The attributes that a class's methods assign to ``self``."""
    return {
        node.attr
        for node in ast.walk(owner)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self"
    }


def test_a_class_keeps_few_things() -> None:
    classes = [
        node for module in MODULES for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.ClassDef)
    ]
    assert len(classes) > 200
    found = {each.name: len(kept_by(each)) for each in classes if len(kept_by(each)) > MOST_ATTRIBUTES}
    too_many = {name: number for name, number in found.items() if number > CROWDED.get(name, 0)}
    assert too_many == {}, f"which second thought is in them? None may keep more than {MOST_ATTRIBUTES} attributes"
    assert CROWDED.keys() <= found.keys(), f"take {sorted(CROWDED.keys() - found.keys())} off the list"


def test_only_the_command_line_prints() -> None:
    for module in MODULES:
        if "cli" in module.parts or module.name == "__main__.py":
            continue
        calls = (node for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.Call))
        assert not any(isinstance(call.func, ast.Name) and call.func.id == "print" for call in calls), module


def test_nothing_of_this_machine_is_in_the_tree() -> None:
    places = {str(place) for place in (ROOT, ROOT.parent, Path.home())} - set(SHARED_PLACES)
    private = sorted(place for place in places if not f"{place}/".startswith(PUBLIC_PLACES))
    for path, text in tracked_text():
        for place in private:
            assert not re.search(rf"(?<![\w.)}}*-]){re.escape(place)}/", text), path


def test_the_locks_name_no_registry_and_hold_a_hash_for_every_package() -> None:
    for name in (
        "requirements.lock",
        "requirements-build.lock",
        "requirements-dev.lock",
        "requirements-bench.lock",
        "requirements-conformance.lock",
    ):
        text = (ROOT / name).read_text()
        assert not re.search(r"://|^ *-[^-]|--(extra-)?index|--find-links", text, re.MULTILINE), name
        for package in re.split(r"^(?=\w)", text, flags=re.MULTILINE)[1:]:
            assert "==" in package, package
            assert "--hash=sha256:" in package, package


TEXT_METHODS = {"read_text", "write_text"}


def _reads_or_writes_text(call: ast.Call) -> bool:
    """Whether the call opens a file for text, in whatever encoding."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in TEXT_METHODS:
        return True
    is_builtin = isinstance(call.func, ast.Name) and name == "open"
    modes = [argument.value for argument in call.args[1:2] if isinstance(argument, ast.Constant)]
    return (is_builtin or name == "fdopen") and not (modes and "b" in str(modes[0]))


def test_no_file_is_read_or_written_in_the_encoding_of_a_locale() -> None:
    for module in MODULES:
        for call in ast.walk(ast.parse(module.read_text())):
            if isinstance(call, ast.Call) and _reads_or_writes_text(call):
                assert "encoding" in {word.arg for word in call.keywords}, f"{module}:{call.lineno}"
