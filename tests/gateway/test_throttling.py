"""Shedding at the endpoint and on the server: what is refused is not applied, and who is closed was warned."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked
from websockets.frames import Opcode

from tests.gateway.sessions import ADMIN, Client, Desk, furnish, open_desk, payment
from tests.gateway.wires import Host, frame, opened, policy, request, text
from walletd.gateway.network.bounds import Bounds, Deadlines
from walletd.gateway.network.places import Caps
from walletd.gateway.network.server import GatewayServer
from walletd.gateway.websocket.frames import FrameProtocol
from walletd.journal.memory.store import MemoryJournalStore
from walletd.protocol.close_codes import CloseCode
from walletd.sessions.rates import RateBook, Rates


@pytest.fixture
def journal() -> MemoryJournalStore:
    return MemoryJournalStore()


def throttled(desk: Desk, rates: Rates, grant: object = ADMIN) -> tuple[Client, RateBook]:
    """A client that has just connected, at these rates."""
    book = RateBook(rates)
    client = desk.client(grant)  # type: ignore[arg-type]
    client.endpoint.session.throttle = book.throttle(desk.services.budgets.account)
    return client, book


async def test_what_comes_too_fast_is_refused_not_applied_and_applied_when_it_comes_again(
    tmp_path: Path, journal: MemoryJournalStore
) -> None:
    async with open_desk(tmp_path, journal) as desk:
        await furnish(desk.client(), "alice")
        client, book = throttled(desk, Rates(5, 1))
        ids = client.ask(*(("transfer.post", payment(f"p{number}")) for number in range(12)))
        replies = [await client.reply(request_id) for request_id in ids]
        data = [reply.get("error", {}).get("data") for reply in replies]
        assert data[:5] == [None] * 5
        for refused in data[5:]:
            assert (refused["reason"], refused["outcome"]) == ("rate_limited", "not_applied")
            assert refused["retry"] == "same_command_id"
            assert 0 < refused["retry_after_ms"] <= 1400
        assert book.limited == 7
        honest = desk.client()
        (balance,) = (await honest.call("balance.get", wallet="alice"))["balances"]
        assert balance["posted"] == "5", "nothing that was shed was applied"
        for number in range(12):
            applied = await honest.call("transfer.post", **payment(f"p{number}"))
            assert applied.get("replayed", False) is (number < 5)


async def test_a_flood_is_warned_and_then_closed_with_4529(tmp_path: Path, journal: MemoryJournalStore) -> None:
    async with open_desk(tmp_path, journal) as desk:
        client, book = throttled(desk, Rates(10, 1))
        client.ask(*([("session.ping", {})] * 19))
        assert client.closed_with is None
        assert not [push for push in client.pushed if push["method"] == "warning"]
        client.ask(*([("session.ping", {})] * 5))
        (warning,) = [push["params"] for push in client.pushed if push["method"] == "warning"]
        assert (warning["reason"], warning["close_code"]) == ("rate_limited", CloseCode.RATE)
        assert warning["retry_after_ms"] > 0
        assert client.closed_with is None
        client.ask(*([("session.ping", {})] * 10))
        assert client.closed_with is not None
        assert client.closed_with[0] == CloseCode.RATE
        assert book.warned == 1


async def test_malformed_frames_cost_as_much_as_others(tmp_path: Path, journal: MemoryJournalStore) -> None:
    async with open_desk(tmp_path, journal) as desk:
        client, book = throttled(desk, Rates(10, 3), None)
        for number in range(10):
            client.replies.clear()
            client.endpoint.received([b"no json"])
            expected = "parse_error" if number < 3 else "rate_limited"
            assert client.replies[None]["error"]["data"]["reason"] == expected  # type: ignore[index]
        assert book.limited == 7
        assert client.closed_with is not None


async def test_the_bytes_of_unanswered_requests_are_bounded(tmp_path: Path, journal: MemoryJournalStore) -> None:
    async with open_desk(tmp_path, journal) as desk:
        await furnish(desk.client(), "alice")
        client = desk.client()
        session = client.endpoint.session
        session.limits = type(session.limits)(256 * 1024, 4096, 100, max_in_flight_bytes=2000)
        long = {"metadata": {"note": "x" * 500}}
        ids = client.ask(*(("transfer.post", {**payment(f"p{number}"), **long}) for number in range(10)))
        replies = [await client.reply(request_id) for request_id in ids]
        shed = [reply["error"]["data"]["reason"] for reply in replies if "error" in reply]
        assert shed == ["overloaded"] * (10 - 2)
        assert desk.services.counters.shed["the session's window of unanswered requests"] == 8
        assert (session.in_flight, session.in_flight_bytes) == (0, 0)
        huge = {
            **payment("huge"),
            "metadata": {"note": "y" * 500, "more": "z" * 500, "most": "w" * 500, "a": "b" * 500},
        }
        assert "result" in await client.reply(client.ask(("transfer.post", huge))[0]), "one alone is always taken"


async def test_all_peers_together_may_make_the_server_keep_only_so_much(autojump_clock: MockClock) -> None:
    host = Host()
    bounds = Bounds(in_all=1_000_000)
    caps = Caps(100, 100, 100)
    server = GatewayServer(
        "127.0.0.1", 0, policy(max_message_bytes=1024 * 1024), Deadlines(), bounds, caps, host.open_endpoint
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve)
        peers = []
        for size in (10, 300_000, 400_000, 600_000, 20):
            peer, ours = memory_stream_pair()
            nursery.start_soon(server.serve_stream, ours)
            await peer.send_all(request() + text(b"x" * 1_000_000)[: size + 14])
            peers.append(peer)
        await wait_all_tasks_blocked()
        assert sum(connection.held_bytes for connection in server._connections) > 1_000_000
        await trio.sleep(2)
        assert server.traffic.cut_off == 1, "the one that held most was enough"
        assert len(server) == 4
        assert server.traffic.held_bytes <= 1_400_000
        await trio.sleep(2)
        assert 700_000 <= server.traffic.held_bytes <= 750_000
        nursery.cancel_scope.cancel()


async def test_what_a_connection_keeps_is_counted_in_every_stage() -> None:
    unopened = FrameProtocol(policy())
    unopened.receive(request()[:50])
    assert unopened.held_bytes == 50
    frames = opened()
    assert frames.held_bytes == 0
    whole, part = text(b"x" * 200), frame(Opcode.CONT, b"y" * 200, fin=False)
    frames.receive(whole[:100])
    assert frames.held_bytes == 100
    frames.receive(whole[100:])
    assert frames.held_bytes == 0
    frames.receive(frame(Opcode.TEXT, b"y" * 300, fin=False))
    assert frames.held_bytes == 300
    frames.receive(part[:100])
    assert frames.held_bytes == 300 + 100
    frames.receive(part[100:])
    assert frames.held_bytes == 500
    frames.receive(frame(Opcode.CONT, b"z"))
    assert frames.held_bytes == 0
    frames.send_text(b"answer")
    assert frames.held_bytes == 8
