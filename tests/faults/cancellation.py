"""Cancelled at step n, for every n: at every step of every task, what was answered holds and no task is left.

    steps = steps_of(script)                           # how many steps it takes if it is not cancelled
    wrong = cancelled_at(script, n)                    # nothing, or a sentence
    python -m tests.faults.cancellation SCRIPT PART PARTS [BUG]      # one JSON object: steps, violations

A script is a number, from which all follows.  Two of three run in the simulation, with a quick disk or with one that is
full now and then; the third runs the core over SQLite's real threads.
"""

import json
import logging
import os
import random
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import trio

from tests.faults.recording import memory_folder
from tests.simulation.plan import Plan, draw
from tests.simulation.world import Failed, simulate
from tests.wallets.conftest import CLIENT, Outcomes, define, open_core, opening, transfer
from walletd.journal.failures import JournalFull
from walletd.journal.sqlite.connection import SqliteConnection
from walletd.journal.sqlite.opening import open_journal
from walletd.journal.watchdog import Watchdog
from walletd.vocabulary.commands import AnyCommand
from walletd.vocabulary.entries import decode_entry
from walletd.vocabulary.sameness import kept_of
from walletd.wallets.submission import Answer, Submission

PATIENCE_SECONDS = 30.0
MOST_STEPS = 600
"""Of a script that takes more, so many are spread over all of it."""


def steps_of(script: int) -> int:
    """How many steps the tasks of this script take."""
    if _is_real(script):
        return _run_real(script, 0)[1]
    return simulate(script, _plan(script)).storm_steps


def places_of(script: int) -> list[int]:
    """The steps to cancel it at: all of them, or of a long one some all over it."""
    steps = steps_of(script)
    return (
        list(range(1, steps + 1))
        if steps <= MOST_STEPS
        else sorted(random.Random(script).sample(range(1, steps), MOST_STEPS))
    )


def cancelled_at(script: int, step: int) -> str:
    """What is wrong when the daemon is cancelled at this step; nothing, where nothing is."""
    if _is_real(script):
        return _run_real(script, step)[0]
    try:
        simulate(script, _plan(script), cancel_at=step)
    except Failed as failed:
        return str(failed)
    return ""


def _is_real(script: int) -> bool:
    return script % 3 == 2


def _plan(script: int) -> Plan:
    plan = draw(random.Random(script))
    return plan._replace(
        clients=1 + script % 2,
        commands=5,
        wallets=4,
        crash_every=0,
        silent=0.0,
        stop_every=0.0,
        unknown=0.0,
        clock_jumps=False,
        full_every=2.0 if script % 3 == 1 else 0.0,
    )


# --- over the real store ---------------------------------------------------------------------------------------------


class _Steps(trio.abc.Instrument):
    """Counts the steps of all tasks, and cancels at one of them."""

    def __init__(self, cancel_at: int, scope: trio.CancelScope) -> None:
        self.count = 0
        self.is_counting = True
        self._cancel_at = cancel_at
        self._scope = scope

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += self.is_counting
        if self.is_counting and self.count == self._cancel_at:
            self._scope.cancel()


def _commands(script: int) -> list[AnyCommand]:
    chance = random.Random(script)
    wallets = ["alice", "bob", "carol"]
    commands: list[AnyCommand] = [define(), *(opening(name) for name in wallets)]
    commands += [transfer(f"fund-{name}", ("@external", name, 100)) for name in wallets]
    for number in range(12):
        payer, payee = chance.sample(wallets, 2)
        commands.append(transfer(f"t{number}", (payer, payee, chance.randint(1, 120))))
    return commands


def _run_real(script: int, step: int) -> tuple[str, int]:
    """One run that is cancelled at this step, 0 for never, and one after it: what is wrong, and the steps taken."""
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        scope = trio.CancelScope()
        steps = _Steps(step, scope)
        told: dict[str, Any] = {}
        before = set(threading.enumerate())
        try:
            trio.run(_live, Path(folder), script, scope, steps, told, instruments=[steps])
            left = [thread for thread in set(threading.enumerate()) - before if not thread.name.startswith("Trio")]
            for thread in left:
                thread.join(PATIENCE_SECONDS / 10)
                if thread.is_alive():
                    return f"thread {thread.name} is left", steps.count
            trio.run(_look, Path(folder), script, told)
        except (Exception, AssertionError) as wrong:
            return f"script {script}, cancelled at step {step}: {wrong!r}", steps.count
    return "", steps.count


async def _live(folder: Path, script: int, scope: trio.CancelScope, steps: _Steps, told: dict[str, Any]) -> None:
    with trio.fail_after(PATIENCE_SECONDS):
        with scope:
            async with (
                open_journal(folder, ballast_bytes=0, space_floor_bytes=0, checkpoint_bytes=20_000, die=_die) as store,
                open_core(folder, store) as core,
            ):
                for number, command in enumerate(_commands(script)):
                    outcomes = Outcomes()

                    def take(outcome: Any, command: AnyCommand = command, outcomes: Outcomes = outcomes) -> None:
                        told[command.command_id] = outcome
                        outcomes.take(outcome)

                    core.wallets.decisions.submit(Submission(command, CLIENT, take))
                    if number < 8 or number % 3 == 0:
                        await outcomes.arrived.wait()
                while len(told) < len(_commands(script)):
                    await trio.sleep(0.001)
        steps.is_counting = False


async def _look(folder: Path, script: int, told: dict[str, Any]) -> None:
    """The journal holds what was told, byte for byte; what is sent again gets its answer; the books add up."""
    with trio.fail_after(PATIENCE_SECONDS):
        async with (
            open_journal(folder, ballast_bytes=0, space_floor_bytes=0) as store,
            open_core(folder, store) as core,
        ):
            for command in _commands(script):
                outcomes = Outcomes()
                core.wallets.decisions.submit(Submission(command, CLIENT, outcomes.take))
                await outcomes.arrived.wait()
                (again,) = outcomes
                assert isinstance(again, Answer), again
                earlier = told.get(command.command_id)
                if isinstance(earlier, Answer):
                    assert again.replayed, f"{command.command_id} was told, and is new"
                    assert again.durable.record == earlier.durable.record
                elif earlier is not None:
                    assert not again.replayed, f"{command.command_id} was said not to be there, and is"
                stored = decode_entry(await store.read_entry(again.durable.entry.sequence) or b"")
                assert stored.command in (command, kept_of(command))
            await core.wallets.visibility.until_projected(core.writer.head)
            assert (await core.audits.report()).violations == ()


def _die(reason: str) -> Any:
    raise AssertionError(f"the process ended itself: {reason}")


# --- planted bugs ----------------------------------------------------------------------------------------------------


async def _commits_unshielded(self: Any, call: Any, *arguments: object) -> None:
    try:
        await call(*arguments)
    except JournalFull:
        raise
    except BaseException as failure:
        self.end(repr(failure))


async def _commits_given_up(self: Any, call: Any, *arguments: object) -> None:
    try:
        await call(*arguments)
    except trio.Cancelled as cancelled:
        raise JournalFull("it was cancelled, so it was not written, was it") from cancelled


async def _closes_unshielded(self: Any) -> None:
    if not self._closed:
        self._closed = True
        await self.rows("SELECT 1")
        await self._hop(self._connection.close)


BUGS: dict[str, tuple[Any, str, Callable[..., Any], int]] = {
    "a commit is not shielded": (Watchdog, "call", _commits_unshielded, 0),
    "a cancelled commit counts as undone": (Watchdog, "call", _commits_given_up, 0),
    "closing is not shielded": (SqliteConnection, "aclose", _closes_unshielded, 2),
}
"""The owner, the name and what stands there instead; and the script that must show it."""


def main(script: int, part: int, parts: int, bug: str = "") -> None:
    """Every so many-th step of the script; with a bug only until it shows."""
    logging.disable(logging.CRITICAL)
    places = places_of(script)[part::parts]
    if bug:
        owner, name, planted, _ = BUGS[bug]
        patch.object(owner, name, planted).start()
    violations: list[str] = []
    for place in places:
        if wrong := cancelled_at(script, place):
            violations.append(wrong)
            if bug:
                break
    print(json.dumps({"steps": len(places), "violations": violations}), flush=True)
    os._exit(0)  # A thread that is left would keep the process.


if __name__ == "__main__":
    script, part, parts, *bug = sys.argv[1:]
    main(int(script), int(part), int(parts), *bug)
