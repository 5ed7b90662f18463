"""Every bound and every cache is known to the row of faults that crosses them all."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.faults.bounds import CONSTANTS, SETTINGS
from walletd.settings.settings import Settings

SOURCE = Path(__file__).parents[2] / "src" / "walletd"
OUTSIDE = {"cli", "client", "logs"}
"""No part of what a daemon does with its data."""

OF_A_SETTING = re.compile(r"max_|\w*_cache_|compact_(keep|when_mebibytes)|\w+_mebibytes$")
OF_A_CONSTANT = re.compile(
    r"_?(MAX|MOST|KEPT|ALL_SHARES|SMALLEST|LEAST|PRESSED|MANY|BURST$|TURNS?_|LOG_PAGES|READ_LIMIT|SMALL_|CACHED_|"
    r"\w+_AT_ONCE|\w+_UNPRUNED|\w+_PAGES|\w+_ROWS|\w+_KIBIBYTES|\w+_CACHE|\w+_TURN|ENTRIES_PER|"
    r"(READ|WRITE|FILE|PRUNE|SYNC|PAGE|SUM)_BYTES)"
)
OF_TIME = ("_days", "_seconds")
NO_SIZE = re.compile(r"\w+_(SECONDS|MS|TICKS|CHARACTERS|TASKS|DIGITS|APSW)$|_PAGE_BYTES$|READS_AT_ONCE$")
FOR_DISPLAY = {
    "runtime.fault_reports",
    "runtime.loop_watch",
    "runtime.systemd",
    "daemon.report_sections",
    "daemon.serving",
    "daemon.listeners",
}
"""Modules whose numbers say how much is shown, how long is waited, or how many operators may look."""


def bounds_in_modules() -> Iterator[tuple[str, str]]:
    """The module and the name of every constant that is a whole number and whose name says that it is a bound."""
    for path in sorted(SOURCE.rglob("*.py")):
        module = ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
        if module.split(".")[0] in OUTSIDE or module in FOR_DISPLAY:
            continue
        for statement in ast.parse(path.read_text()).body:
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    pass
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    pass
                case _:
                    continue
            if OF_A_CONSTANT.match(name) and not NO_SIZE.fullmatch(name) and _is_number(value):
                yield module, name


def _is_number(value: ast.expr) -> bool:
    return all(
        isinstance(node, ast.Constant | ast.BinOp | ast.operator | ast.Name | ast.expr_context)
        for node in ast.walk(value)
    ) and not (isinstance(value, ast.Constant) and not isinstance(value.value, int))


def test_every_setting_that_is_a_bound_is_crossed_by_the_row_at_size() -> None:
    bounds = {name for name in Settings.__struct_fields__ if OF_A_SETTING.match(name) and not name.endswith(OF_TIME)}
    assert len(bounds) > 20
    assert bounds == set(SETTINGS), (
        f"say in tests/faults/bounds.py what crosses {sorted(bounds - set(SETTINGS))}; "
        f"{sorted(set(SETTINGS) - bounds)} is no bound any more"
    )


def test_every_constant_that_is_a_bound_is_crossed_by_the_row_at_size() -> None:
    bounds = set(bounds_in_modules())
    listed = {(module, name) for module, names in CONSTANTS.items() for name in names}
    assert len(bounds) > 50
    assert bounds == listed, (
        f"say in tests/faults/bounds.py what crosses {sorted(bounds - listed)}; "
        f"{sorted(listed - bounds)} is no bound any more"
    )
