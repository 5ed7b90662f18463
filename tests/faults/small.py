"""A daemon whose caches and bounds are small, so that little data is larger than each of them; maybe with a bug.

    TEST_SMALL=1 TEST_BUG="..." python tests/faults/small.py serve --data FOLDER ...     # otherwise as ``walletd``

What is a setting is given as a setting.  What is a constant of a module is written into the module before it is
compiled, so that whatever is made of it, a default argument or another constant, is made of the small one.
"""

import ast
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.faults.bounds import small_constants

PROGRAM = [str(Path(__file__))]


class Shrinking(importlib.machinery.SourceFileLoader):
    """Loads a module of walletd with other numbers in the place of some of its constants; nothing of it is cached."""

    def __init__(self, name: str, path: str, numbers: Mapping[str, float]) -> None:
        super().__init__(name, path)
        self._numbers = numbers

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        tree = ast.parse(self.get_data(path))
        left = dict(self._numbers)
        for statement in tree.body:
            if isinstance(statement, ast.Assign | ast.AnnAssign):
                target = statement.target if isinstance(statement, ast.AnnAssign) else statement.targets[0]
                if isinstance(target, ast.Name) and target.id in left:
                    statement.value = ast.copy_location(ast.Constant(left.pop(target.id)), statement)
        assert not left, f"{fullname} has no {', '.join(left)}"
        return compile(tree, path, "exec", dont_inherit=True)


class Finder(importlib.machinery.PathFinder):
    """Finds the modules that are to be shrunk, before the ordinary finder does."""

    def __init__(self, numbers: Mapping[str, Mapping[str, float]]) -> None:
        self._numbers = numbers

    def find_spec(  # type: ignore[override]
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self._numbers:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or not isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            return spec  # It is compiled, and its numbers are in the machine's code.
        loader = Shrinking(fullname, spec.loader.path, self._numbers[fullname])
        return importlib.util.spec_from_file_location(
            fullname, spec.origin, loader=loader, submodule_search_locations=spec.submodule_search_locations
        )


def shrink() -> None:
    """Have every module that is imported from now on be small."""
    assert not any(name.startswith("walletd.") for name in sys.modules), "it is too late to shrink anything"
    sys.meta_path.insert(0, Finder(small_constants()))


# --- bugs ------------------------------------------------------------------------------------------------------------


def _copies_are_vacuumed() -> None:
    """A copy outgrows the cache of the one who reads before its first page says that there are sums."""
    from walletd.tables import file as table_file
    from walletd.upkeep import snapshot

    async def vacuumed(tables: Path, copy: Path, cache_kibibytes: int = table_file.COPY_CACHE_KIBIBYTES) -> None:
        copy.unlink(missing_ok=True)
        source = table_file.open_for_reading(tables, cache_kibibytes)
        source.execute("VACUUM INTO ?", (str(copy),))
        source.close()
        table_file.close_copy(copy)

    snapshot._copy = vacuumed


def _timers_see_only_what_they_read_first() -> None:
    """The page of expiries that is kept in memory is smaller than the walk over those that there are."""
    from walletd.wallets import timers

    plain = timers.Timers._read_on

    async def read_on(self: Any, after: Any) -> None:
        if after is None:
            await plain(self, after)
        self._horizon = None  # All that there are are said to be in memory.

    timers.Timers._read_on = read_on  # type: ignore[method-assign]


def _recent_events_are_all_events() -> None:
    """A stream that is behind what is in memory goes on with what is in memory."""
    from walletd.streams.publisher import Publisher

    plain = Publisher._entries_after

    async def entries_after(self: Any, position: int) -> Any:
        oldest = self._recent[0].entry.sequence if self._recent else 0
        return await plain(self, max(position, oldest - 1))

    Publisher._entries_after = entries_after  # type: ignore[method-assign]


def _expiries_have_no_bound() -> None:
    """The entry of an expiry takes in whatever expires with it."""
    from walletd.ledger import entry_size

    plain = entry_size._Share.__init__

    def unbounded(self: Any) -> None:
        plain(self)
        self.bytes = self.holds = 10**9

    entry_size._Share.__init__ = unbounded  # type: ignore[method-assign]
    entry_size.MAX_EXPIRED = 10**9  # type: ignore[misc]


BUGS: dict[str, tuple[Callable[[], None], str]] = {
    "a copy of the read tables is vacuumed": (_copies_are_vacuumed, "every compaction finishes"),
    "an entry has no bound": (_expiries_have_no_bound, "every event fits into a message"),
    "only the expiries that fit into memory are seen": (_timers_see_only_what_they_read_first, "every hold expires"),
    "a stream from 0 begins with what is in memory": (_recent_events_are_all_events, "a stream from 0 shows"),
}
"""How each is planted, and what the harness must say of it."""


def main() -> None:
    """Shrink, plant, and go on as ``walletd``."""
    if os.environ.pop("TEST_SMALL", ""):
        shrink()
    if bug := os.environ.pop("TEST_BUG", ""):
        BUGS[bug][0]()
    from walletd import __main__

    sys.exit(__main__.run(sys.argv[1:]))


if __name__ == "__main__":
    main()
