"""Bugs planted into the journal, one by one, in a process of their own: the harnesses must find each of them.

python -m tests.faults.mutants BUG DIRECTORY           # like tests.journal.appending, but with the bug
"""

import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import trio

from tests.journal import appending
from walletd.journal.sqlite import charter, connection, opening


def _commits_are_not_synced(stack: ExitStack) -> None:
    """synchronous=NORMAL: SQLite syncs at checkpoints only."""
    settings = tuple(
        ("synchronous", "NORMAL", 1) if name == "synchronous" else (name, *rest) for name, *rest in charter._SETTINGS
    )
    stack.enter_context(patch.object(charter, "_SETTINGS", settings))


def _sectors_are_shared(stack: ExitStack) -> None:
    """psow=1: SQLite trusts that a power cut destroys nothing beside what is written."""
    plain = connection._uri
    stack.enter_context(patch.object(connection, "_uri", lambda path: plain(path).replace("psow=0", "psow=1")))


def _what_was_recovered_is_not_synced(stack: ExitStack) -> None:
    """No checkpoint at the start: what a killed process had written, but not synced, counts as durable."""

    async def prepare(opened: Any, recoverable_frames: int, **more: Any) -> Any:
        await charter._set(opened, "locking_mode", "EXCLUSIVE", "exclusive")
        if await charter._is_empty(opened):
            return await charter.prepare(opened, recoverable_frames, **more)
        for setting in charter._SETTINGS:
            await charter._set(opened, *setting)
        return await charter.read_charter(opened)

    stack.enter_context(patch.object(opening, "prepare", prepare))


def _the_answer_comes_first(stack: ExitStack) -> None:
    """What is appended is acknowledged before it is committed."""
    plain = appending.main
    stack.enter_context(patch.object(appending, "main", lambda directory, early: plain(directory, True)))


BUGS: dict[str, Callable[[ExitStack], None]] = {
    "commits are not synced": _commits_are_not_synced,
    "sectors are shared": _sectors_are_shared,
    "what was recovered is not synced": _what_was_recovered_is_not_synced,
    "the answer comes first": _the_answer_comes_first,
}


if __name__ == "__main__":
    with ExitStack() as planted:
        BUGS[sys.argv[1]](planted)
        trio.run(appending.main, sys.argv[2:], False)
