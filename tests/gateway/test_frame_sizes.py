"""Every message about entries fits into what websocket clients take where nothing else is set."""

from pathlib import Path
from typing import Any

import pytest

from tests.gateway.sessions import Client, open_desk
from walletd.gateway.methods import commands
from walletd.journal.memory.store import MemoryJournalStore
from walletd.ledger import entry_size
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.sizes import ENVELOPE_BYTES, MAX_ENTRY_BYTES, MAX_FRAME_BYTES

pytestmark = pytest.mark.interpreted  # They make the compiled modules' bounds small.

WHY = "\u0001" * 128


def measured(client: Client) -> list[int]:
    """The sizes of all that is sent to this client from now on."""
    sizes: list[int] = []
    send = client.send

    def measure(payload: bytes) -> None:
        sizes.append(len(payload))
        send(payload)

    client.send = measure  # type: ignore[method-assign]
    return sizes


async def refused_payments(client: Client, number: int, name: str) -> dict[str, Any]:
    """A batch of so many payments, each for itself, to a wallet that is frozen for a reason that takes 768 bytes."""
    commands = [
        {
            "method": "transfer.post",
            "command_id": f"{name}.{count}",
            "postings": [{"from": "alice", "to": "bob", "asset": "EUR", "amount": "1"}],
        }
        for count in range(number)
    ]
    answer: dict[str, Any] = await client.call("batch.execute", command_id=name, commands=commands, atomic=False)
    return answer


async def test_a_batch_with_as_many_refusals_as_an_entry_holds_is_answered_listed_and_streamed_in_one_message_each(
    tmp_path: Path,
) -> None:
    async with open_desk(tmp_path, MemoryJournalStore()) as desk:
        client, watcher = desk.client(), desk.client()
        await client.call("asset.define", command_id="e", asset="EUR", scale=2)
        for wallet in ("alice", "bob"):
            await client.call("wallet.open", command_id=wallet, wallet=wallet)
        await client.call(
            "transfer.post",
            command_id="f",
            postings=[{"from": "@external", "to": "alice", "asset": "EUR", "amount": "5"}],
        )
        await client.call("wallet.freeze", command_id="z", wallet="bob", why=WHY)
        await watcher.call("stream.subscribe", all=True)
        sizes, pushed = measured(client), measured(watcher)
        answer = await refused_payments(client, 560, "b")
        again = await refused_payments(client, 560, "b")
        assert len(answer["outcomes"]) == len(again["outcomes"]) == 560
        assert again["replayed"]
        assert {outcome["error"]["data"]["why"] for outcome in answer["outcomes"]} == {WHY}
        entry = await client.call("entry.get", sequence=answer["sequence"])
        assert len(entry["entry"]["effects"]["outcomes"]) == 560
        await client.call("entry.list", after=0, limit=1000)
        assert max(sizes) > MAX_ENTRY_BYTES * 3 // 4
        assert max(sizes) <= MAX_FRAME_BYTES
        assert 0 < max(pushed) <= MAX_ENTRY_BYTES + ENVELOPE_BYTES


async def test_a_batch_has_whole_sentences_where_they_fit_and_one_line_for_each_reason_where_they_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_desk(tmp_path, MemoryJournalStore()) as desk:
        client = desk.client()
        await client.call("asset.define", command_id="e", asset="EUR", scale=2)
        for wallet in ("alice", "bob"):
            await client.call("wallet.open", command_id=wallet, wallet=wallet)
        await client.call("wallet.freeze", command_id="z", wallet="bob", why=WHY)
        answer = await refused_payments(client, 3, "b")
        assert all(WHY in outcome["error"]["message"] for outcome in answer["outcomes"])
        monkeypatch.setattr(commands, "MAX_FRAME_BYTES", 5_000)
        brief = await refused_payments(client, 3, "c")
        assert {outcome["error"]["message"] for outcome in brief["outcomes"]} == {Reason.WALLET_FROZEN.meaning}
        assert {outcome["error"]["data"]["why"] for outcome in brief["outcomes"]} == {WHY}


async def test_a_page_of_entries_ends_before_a_message_is_full_and_a_larger_entry_is_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_desk(tmp_path, MemoryJournalStore()) as desk:
        client = desk.client()
        for wallet in range(40):
            metadata = {f"{key:02}": "m" * 500 for key in range(16)}
            await client.call("wallet.open", command_id=f"o{wallet}", wallet=f"w{wallet}", metadata=metadata)

        async def freeze_all(name: str) -> None:
            commands = [
                {"method": "wallet.freeze", "command_id": f"{name}.{wallet}", "wallet": f"w{wallet}", "why": "x"}
                for wallet in range(40)
            ]
            for copy in range(4):
                renamed = [{**one, "command_id": f"{one['command_id']}.{copy}"} for one in commands]
                await client.call("batch.execute", command_id=f"{name}{copy}", commands=renamed)

        await freeze_all("small")
        with monkeypatch.context() as unbounded:
            unbounded.setattr(entry_size, "MAX_ENTRY_BYTES", 10**9)
            openings = [
                {"method": "wallet.open", "command_id": f"p{n}", "wallet": f"p{n}", "metadata": {"a": "x" * 500}}
                for n in range(1000)
            ]
            large = await client.call("batch.execute", command_id="large", commands=openings)
        await freeze_all("more")
        sizes = measured(client)
        seen: list[int] = []
        while page := (await client.call("entry.list", after=len(seen), limit=1000))["entries"]:
            got = [view["entry"]["sequence"] for view in page]
            assert sizes[-1] <= MAX_FRAME_BYTES or got == [large["sequence"]]
            seen += got
        assert seen == list(range(1, len(seen) + 1))
        assert max(sizes) > MAX_FRAME_BYTES
        assert len(sizes) >= 6
