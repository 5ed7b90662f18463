"""An operator can always shut someone out: on a full disk, and behind full queues."""

from pathlib import Path

import pytest

from tests.wallets.conftest import CLIENT, Outcomes, answered, define, open_core, opening, submit, transfer
from walletd.daemon.engine import Engine
from walletd.journal.memory.store import MemoryJournalStore
from walletd.vocabulary.commands import AnyCommand, CreateClient, FreezeWallet, RevokeClient, RotateClient
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.identifiers import DAEMON, OPERATOR, CommandId, Principal, WalletId
from walletd.vocabulary.reasons import Reason
from walletd.wallets.decisions import Decisions

ROOT, STRANGER = Principal("root"), Principal("stranger")


def client(name: str, *scopes: str, token: str) -> CreateClient:
    return CreateClient(
        command_id=CommandId(f"create-{name}"), client=Principal(name), scopes=scopes, token_sha256=token * 64
    )


def freeze(wallet: str, command_id: str = "freeze") -> FreezeWallet:
    return FreezeWallet(command_id=CommandId(command_id), wallet=WalletId(wallet), why="fraud")


def revoke(name: str = "stranger", command_id: str = "revoke") -> RevokeClient:
    return RevokeClient(command_id=CommandId(command_id), client=Principal(name))


async def outcome(core: Engine, command: AnyCommand, by: Principal) -> Outcomes:
    outcomes = submit(core, command, by)
    await answered(outcomes)
    return outcomes


async def prepared(core: Engine) -> None:
    await answered(submit(core, define()), submit(core, opening("alice")), submit(core, opening("bob")))
    assert (await outcome(core, client(OPERATOR, "admin", token="a"), DAEMON)).effects
    assert (await outcome(core, client(ROOT, "admin", token="b"), OPERATOR)).effects
    assert (await outcome(core, client(STRANGER, "spend:alice", token="d"), OPERATOR)).effects


async def filled(core: Engine, store: MemoryJournalStore, reserve: int) -> None:
    """The disk is full, and the daemon knows it."""
    store.is_full, store.reserve = True, reserve
    lost = await outcome(core, transfer("lost", ("@external", "alice", 1)), CLIENT)
    assert lost.declined.reason is Reason.UNAVAILABLE


async def test_on_a_full_disk_an_admin_revokes_rotates_and_freezes(tmp_path: Path) -> None:
    store = MemoryJournalStore()
    async with open_core(tmp_path, store) as core:
        await prepared(core)
        await filled(core, store, reserve=3)
        vital: list[AnyCommand] = [
            revoke(),
            RotateClient(command_id=CommandId("rotate"), client=ROOT, token_sha256="c" * 64),
            freeze("alice"),
        ]
        for command in vital:
            assert (await outcome(core, command, OPERATOR)).effects
        assert (await outcome(core, transfer("t", ("@external", "alice", 1)), OPERATOR)).declined.reason is (
            Reason.UNAVAILABLE
        )
        assert (await outcome(core, freeze("bob", "more"), OPERATOR)).declined.reason is Reason.UNAVAILABLE
    async with open_core(tmp_path, MemoryJournalStore(store.disk)) as core:
        assert core.wallets.clients.records[STRANGER].revoked_at is not None
        assert (await outcome(core, transfer("t", ("alice", "bob", 1)), CLIENT)).refusal.reason is Reason.WALLET_FROZEN


async def test_the_one_who_filled_the_disk_may_not_use_the_reserve(tmp_path: Path) -> None:
    store = MemoryJournalStore()
    async with open_core(tmp_path, store) as core:
        await prepared(core)
        await filled(core, store, reserve=3)
        assert (await outcome(core, revoke("stranger/key"), STRANGER)).declined.reason is Reason.UNAVAILABLE
        assert store.reserve == 3


async def test_an_admin_gets_through_a_full_journal_queue_and_a_full_mailbox(tmp_path: Path) -> None:
    store = MemoryJournalStore()
    async with open_core(tmp_path, store, max_queued_entries=8, max_mailbox=8) as core:
        await prepared(core)
        await core.projector.reach(core.writer.durable_head)
        flood = [submit(core, transfer(f"f{n}", ("alice", "bob", 1)), CLIENT) for n in range(50)]
        waiting = [submit(core, transfer(f"w{n}", ("carol", "dave", 1)), CLIENT) for n in range(50)]
        vital = submit(core, freeze("alice"), OPERATOR), submit(core, freeze("carol", "carol"), OPERATOR)
        await answered(*flood, *waiting, *vital)
        shed = {outcomes[0].reason for outcomes in (*flood, *waiting) if isinstance(outcomes[0], Declined)}
        assert shed == {Reason.OVERLOADED}
        assert vital[0].effects
        assert vital[1].refusal.reason is Reason.WALLET_NOT_FOUND


@pytest.mark.parametrize("command", [freeze("alice"), revoke()])
async def test_what_is_vital_is_answered_again_on_a_full_disk(tmp_path: Path, command: AnyCommand) -> None:
    store = MemoryJournalStore()
    async with open_core(tmp_path, store) as core:
        await prepared(core)
        await filled(core, store, reserve=1)
        assert not (await outcome(core, command, OPERATOR)).answer.replayed
        assert (await outcome(core, command, OPERATOR)).answer.replayed
        assert store.reserve == 0


@pytest.mark.interpreted
async def test_without_a_reserve_the_one_who_filled_the_disk_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planted bug: an operator's commands are like all others."""
    monkeypatch.setattr(Decisions, "_is_vital", lambda self, submission: False)
    store = MemoryJournalStore()
    async with open_core(tmp_path, store) as core:
        await prepared(core)
        await filled(core, store, reserve=3)
        assert (await outcome(core, revoke(), ROOT)).declined.reason is Reason.UNAVAILABLE
