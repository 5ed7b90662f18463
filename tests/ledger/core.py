"""The core under test: the real one, or a copy of it with a planted bug.

    core = REAL
    core = planted("guards", old="left < 0", new="left <= 0")

A planted bug changes one place of a module's source text, in memory; files and imported modules stay as they are.
"""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from walletd.ledger import audit, book, outflow_folding, refunds, rules

_LEDGER = (
    "statement",
    "velocity",
    "client_book",
    "book",
    "draft",
    "guards",
    "entry_size",
    "outflow_folding",
    "transfers",
    "wallets",
    "holds",
    "refunds",
    "batches",
    "clients",
    "rules",
    "audit",
)


class Core(NamedTuple):
    """The pure core: what decides, what applies, what audits."""

    decide: Callable[..., Any]
    apply: Callable[..., None]
    books: Callable[[], Any]
    restore_book: Callable[..., Any]
    audit: Callable[[], Any]
    remember: Callable[..., None]
    fold: Callable[..., Any]


REAL = Core(
    rules.decide,
    book.apply,
    book.Books,
    book.restore_book,
    audit.Audit,
    refunds.remember_transfers,
    outflow_folding.with_folded,
)


def planted(module: str, *, old: str, new: str) -> Core:
    """The core with ``old`` replaced by ``new`` in one of its modules; ``old`` must be there exactly once."""
    names = [f"walletd.ledger.{name}" for name in _LEDGER]
    copies = patched_copies(names, f"walletd.ledger.{module}", old, new)
    kept = ("book", "rules", "audit", "refunds", "outflow_folding")
    book_copy, rules_copy, audit_copy, refunds_copy, folding_copy = (copies[f"walletd.ledger.{name}"] for name in kept)
    return Core(
        rules_copy.decide,
        book_copy.apply,
        book_copy.Books,
        book_copy.restore_book,
        audit_copy.Audit,
        refunds_copy.remember_transfers,
        folding_copy.with_folded,
    )


def patched_copies(names: list[str], patched: str, old: str, new: str) -> dict[str, ModuleType]:
    """Fresh copies of these modules, named from the lowest to the highest, which import one another."""
    copies: dict[str, ModuleType] = {}
    with _modules_kept(names):
        for name in names:
            text = _source_of(name)
            if name == patched:
                assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
                text = text.replace(old, new)
            copies[name] = sys.modules[name] = ModuleType(name)
            exec(compile(text, f"<{name}, patched>", "exec"), copies[name].__dict__)
    return copies


@contextmanager
def _modules_kept(names: list[str]) -> Iterator[None]:
    kept = {name: sys.modules[name] for name in names}
    try:
        yield
    finally:
        sys.modules.update(kept)


def _source_of(name: str) -> str:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).read_text(encoding="utf-8")
