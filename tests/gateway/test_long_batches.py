"""A long batch gives the loop back again and again, and yet it is one command: in its order, whole or not at all."""

import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

import pytest
import trio

from tests.gateway.sessions import Client, Desk, furnish, open_desk, payment
from walletd.journal.memory.store import MemoryJournalStore
from walletd.runtime import slices
from walletd.sessions.access import Grant
from walletd.vocabulary.identifiers import Principal

COMMANDS = 400
MALLORY = Grant(Principal("mallory"), ("spend:mallory", "view:mallory"))
MOST_CALLS = 9_000
"""Of functions, in one step of a task.  A batch of 400 in one piece takes several times as many."""


def batch(name: str, **more: Any) -> tuple[str, dict[str, Any]]:
    commands = [{"method": "transfer.post", **payment(f"{name}-{at}", "bob", 1, "mallory")} for at in range(COMMANDS)]
    return "batch.execute", {"command_id": name, "commands": commands, **more}


async def prepared(desk: Desk, amount: int = 1_000) -> tuple[Client, Client]:
    admin = desk.client()
    await furnish(admin, "mallory", "bob", "alice")
    await admin.call("transfer.post", **payment("fund-alice", "alice", 1_000))
    if amount:
        await admin.call("transfer.post", **payment("fund-mallory", "mallory", amount))
    return admin, desk.client(MALLORY)


async def posted(admin: Client, wallet: str) -> int:
    balances = (await admin.call("balance.get", wallet=wallet))["balances"]
    return sum(int(balance["posted"]) for balance in balances)


class LongestStep(trio.abc.Instrument):
    """Counts the calls of Python's functions in each step of a task."""

    def __init__(self) -> None:
        self.most = self._count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._count = 0
        sys.setprofile(self._called)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        sys.setprofile(None)
        self.most = max(self.most, self._count)

    def _called(self, frame: FrameType, event: str, argument: object) -> None:
        self._count += event == "call"


KINDS: dict[str, dict[str, Any]] = {
    "dry run": {"dry_run": True},
    "dry run, each by itself": {"dry_run": True, "atomic": False},
    "refused": {},
}


async def longest_step(tmp_path: Path, kind: str) -> int:
    """The most calls in one step while an empty wallet's batch is handled."""
    async with open_desk(tmp_path, MemoryJournalStore()) as desk:
        _, mallory = await prepared(desk, amount=0)
        (warm,) = mallory.ask(batch("warm", **KINDS[kind]))
        await mallory.reply(warm)
        longest, arrived = LongestStep(), trio.Event()
        with patch.object(mallory, "send", lambda payload: arrived.set()):  # What the client does is not counted.
            mallory.ask(batch("b", **KINDS[kind]))
            trio.lowlevel.add_instrument(longest)
            try:
                await arrived.wait()
            finally:
                trio.lowlevel.remove_instrument(longest)
    return longest.most


@pytest.mark.interpreted
@pytest.mark.parametrize("kind", KINDS)
async def test_no_step_of_the_loop_takes_a_long_batch_at_once(tmp_path: Path, kind: str) -> None:
    most = await longest_step(tmp_path, kind)
    print(f"{most} calls at most")
    assert most <= MOST_CALLS


@pytest.mark.interpreted
async def test_without_slices_it_does(tmp_path: Path) -> None:
    with patch.object(slices, "SLICE_BYTES", 1 << 30):
        most = await longest_step(tmp_path, "dry run, each by itself")
    print(f"{most} calls at most")
    assert most > 2 * MOST_CALLS


async def test_others_are_answered_in_between(tmp_path: Path) -> None:
    async with open_desk(tmp_path, MemoryJournalStore()) as desk:
        admin, mallory = await prepared(desk)
        (asked,) = mallory.ask(batch("b"))
        for number in range(3):
            await admin.call("transfer.post", **payment(f"between-{number}", "bob", 1, "alice"))
        assert asked not in mallory.replies
        assert len((await mallory.reply(asked))["result"]["outcomes"]) == COMMANDS
        assert await posted(admin, "bob") == COMMANDS + 3
        assert (await admin.call("daemon.audit"))["violations"] == []


async def test_what_the_session_sends_behind_it_is_done_behind_it(tmp_path: Path) -> None:
    async with open_desk(tmp_path, MemoryJournalStore()) as desk:
        _, mallory = await prepared(desk)
        ids = mallory.ask(
            batch("b"),
            ("transfer.post", payment("behind", "bob", 1, "mallory")),
            batch("c", atomic=False),
            ("balance.get", {"wallet": "mallory"}),
        )
        first, behind, second, read = [reply["result"] for reply in await mallory.all_replies(ids)]
        assert first["sequence"] < behind["sequence"] < second["sequence"] <= read["sequence"]
        assert read["balances"][0]["posted"] == str(1_000 - 2 * COMMANDS - 1)


async def test_a_repetition_that_comes_meanwhile_has_the_answer_of_the_one_that_is_applied(tmp_path: Path) -> None:
    async with open_desk(tmp_path, MemoryJournalStore()) as desk:
        admin, mallory = await prepared(desk)
        again = desk.client(MALLORY)
        (one,), (other,) = mallory.ask(batch("b")), again.ask(batch("b"))
        results = [(await mallory.reply(one))["result"], (await again.reply(other))["result"]]
        assert results[0]["sequence"] == results[1]["sequence"]
        assert Counter(result.get("replayed", False) for result in results) == {False: 1, True: 1}
        assert await posted(admin, "bob") == COMMANDS


async def test_of_a_session_that_is_gone_before_it_is_read_nothing_is_left(tmp_path: Path) -> None:
    async with open_desk(tmp_path, MemoryJournalStore()) as desk:
        admin, mallory = await prepared(desk)
        mallory.ask(batch("b"))
        await trio.lowlevel.checkpoint()
        mallory.vanish()
        again = desk.client(MALLORY)
        (asked,) = again.ask(batch("b"))
        assert "replayed" not in (await again.reply(asked))["result"]
        assert await posted(admin, "bob") == COMMANDS


async def test_a_client_that_is_revoked_meanwhile_moves_nothing(tmp_path: Path) -> None:
    async with open_desk(tmp_path, MemoryJournalStore()) as desk:
        admin, mallory = await prepared(desk)
        (asked,) = mallory.ask(batch("b"))
        await trio.lowlevel.checkpoint()
        mallory.endpoint.end(4401, "revoked")
        assert (await mallory.reply(asked))["error"]["data"]["reason"] == "authentication_failed"
        assert await posted(admin, "bob") == 0


async def test_a_dry_run_shows_one_moment_whatever_is_paid_between_its_slices(tmp_path: Path) -> None:
    async with open_desk(tmp_path, MemoryJournalStore()) as desk:
        admin, mallory = await prepared(desk, amount=COMMANDS)
        (asked,) = mallory.ask(batch("b", dry_run=True))
        while not mallory.endpoint.session.in_flight:
            await trio.lowlevel.checkpoint()
        for _ in range(4):  # Until it has its turn.
            await trio.lowlevel.checkpoint()
        paid = 0
        while asked not in mallory.replies:
            await admin.call("transfer.post", **payment(f"away-{paid}", "alice", 1, "mallory"))
            paid += 1
        assert paid
        result = mallory.replies[asked]["result"]
        assert {b["wallet"]: b["posted"] for b in result["balances"]} == {"mallory": "0"}
        assert await posted(admin, "bob") == 0
        assert await posted(admin, "mallory") == COMMANDS - paid


async def test_a_dry_run_whose_sender_has_left_is_not_finished(tmp_path: Path) -> None:
    async with open_desk(tmp_path, MemoryJournalStore()) as desk:
        admin, mallory = await prepared(desk)
        mallory.ask(batch("b", dry_run=True))
        while not mallory.endpoint.session.in_flight:
            await trio.lowlevel.checkpoint()
        mallory.vanish()
        await trio.testing.wait_all_tasks_blocked()
        assert desk.core.wallets.counters.shed
        assert (await admin.call("daemon.audit"))["violations"] == []
        assert mallory.endpoint.session.in_flight == 0


async def test_the_daemon_ends_in_the_middle_of_one(tmp_path: Path) -> None:
    journal = MemoryJournalStore()
    with trio.fail_after(60):
        async with open_desk(tmp_path, journal) as desk:
            _, mallory = await prepared(desk)
            mallory.ask(batch("b"), batch("d", dry_run=True))
            for _ in range(3):
                await trio.lowlevel.checkpoint()
    async with open_desk(tmp_path, journal) as desk:
        assert await posted(desk.client(), "bob") == 0
