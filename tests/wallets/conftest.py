"""A core without sockets: the daemon's own parts over the real stores, or over the journal in memory."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.ledger import cases
from tests.state_file import without_page_sums
from walletd.daemon.engine import Engine
from walletd.daemon.limits import engine_limits
from walletd.journal.memory.store import MemoryJournalStore
from walletd.journal.store import JournalStore
from walletd.runtime.wall_clock import Clock, wall_clock
from walletd.sessions.budgets import USUAL, Defaults
from walletd.settings.settings import Settings
from walletd.tables.queries.wallets import open_queries
from walletd.upkeep.recovery import recover
from walletd.vocabulary.commands import AnyCommand, DefineAsset, OpenWallet, PostTransfer
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.entries import Effects, Entry, Refusal
from walletd.vocabulary.identifiers import CommandId, Principal
from walletd.wallets.submission import Answer, Foreseen, Submission

Outcome = Answer | Foreseen | Declined
CLIENT = Principal("client")


@asynccontextmanager
async def open_core(
    directory: Path, store: JournalStore, *, clock: Clock = wall_clock, budgets: Defaults = USUAL, **settings: Any
) -> AsyncIterator[Engine]:
    """The core at work over this journal, with its read tables in the directory."""
    recovered = await recover(store, directory, lambda done, whole: None)
    queries = await open_queries(recovered.tables.path, clock=clock)
    try:
        limits = engine_limits(Settings(data=directory, **settings))
        core = Engine(store, recovered, queries, await store.head(), limits, budgets=budgets, clock=clock)
        async with core.running():
            if core.writer.head == 0:
                await core.open_external()
            yield core
        await core.projector.drain()
    finally:
        with trio.CancelScope(shield=True):
            await queries.aclose()
            await recovered.tables.aclose()


@pytest.fixture
async def journal() -> MemoryJournalStore:
    """A journal in memory, which outlives the cores that a test opens over it."""
    return MemoryJournalStore()


@pytest.fixture
def no_page_sums() -> Iterator[None]:
    """In the read tables, each row has a seal instead."""
    with without_page_sums():
        yield


@pytest.fixture
async def core(tmp_path: Path, journal: MemoryJournalStore) -> AsyncIterator[Engine]:
    """A core over the journal in memory."""
    async with open_core(tmp_path, journal) as opened:
        yield opened


class Outcomes(list[Outcome]):
    """Empty until the command is answered, then its one outcome."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived = trio.Event()

    def take(self, outcome: Outcome) -> None:
        assert not self, "a command is answered once"
        self.append(outcome)
        self.arrived.set()

    @property
    def answer(self) -> Answer:
        """The answer, of a command that was decided."""
        (outcome,) = self
        assert isinstance(outcome, Answer), outcome
        return outcome

    @property
    def entry(self) -> Entry:
        """The command's entry."""
        return self.answer.durable.entry

    @property
    def effects(self) -> Effects:
        """What the command did, for it was not refused."""
        assert self.entry.effects is not None, self.entry
        return self.entry.effects

    @property
    def refusal(self) -> Refusal:
        """The refusal that is in the command's entry."""
        assert self.entry.refusal is not None, self.entry
        return self.entry.refusal

    @property
    def declined(self) -> Declined:
        """Why the command was not decided."""
        (outcome,) = self
        assert isinstance(outcome, Declined), outcome
        return outcome

    @property
    def foreseen(self) -> Foreseen:
        """What the dry run found."""
        (outcome,) = self
        assert isinstance(outcome, Foreseen), outcome
        return outcome


def submit(core: Engine, command: AnyCommand, principal: Principal = CLIENT) -> Outcomes:
    """Submit a command; its outcome is in the list when there is one."""
    outcomes = Outcomes()
    core.wallets.decisions.submit(Submission(command, principal, outcomes.take))
    return outcomes


async def answered(*submitted: Outcomes) -> None:
    """Wait until all of these are answered."""
    with trio.fail_after(60):
        for outcomes in submitted:
            await outcomes.arrived.wait()


def define(asset: str = "EUR", scale: int = 2, command_id: str | None = None) -> DefineAsset:
    return cases.define(asset, scale, command_id=command_id or f"define-{asset}")


def opening(wallet: str, command_id: str | None = None) -> OpenWallet:
    return cases.open_wallet(wallet, command_id=command_id or f"open-{wallet}")


def transfer(command_id: str, *postings: tuple[str, str, int], asset: str = "EUR", **more: Any) -> PostTransfer:
    return PostTransfer(
        command_id=CommandId(command_id),
        postings=tuple(cases.posting(source, to, asset, amount) for source, to, amount in postings),
        **more,
    )
