"""The synchronous client, over real sockets, against a fake daemon that runs beside it."""

import threading
from typing import Any

import pytest
import trio

from tests.client.fake_daemon import FakeDaemon, FakeLink, applied
from tests.client.test_streams import serve_journal
from walletd.client import NotAnAddress, NotReachable, OutcomeUnknown, SyncClient, connect, connect_sync


def drop_first(link: FakeLink, request: dict[str, Any]) -> None:
    """The first connection breaks before the answer."""
    if len(link.daemon.links) == 1:
        link.drop()
    else:
        link.reply(request, applied(3))


async def test_a_command_survives_a_lost_connection_over_real_sockets(daemon: FakeDaemon) -> None:
    daemon.answers["transfer.post"] = drop_first
    async with connect(await daemon.listen(), token="secret") as client:
        assert (await client.pay("alice", "bob", 5, "EUR")).sequence == 3
    assert daemon.requests[0] == daemon.requests[1]


async def test_the_synchronous_client_does_the_same(daemon: FakeDaemon) -> None:
    daemon.answers["transfer.post"] = drop_first
    url = await daemon.listen()

    def use() -> None:
        with connect_sync(url, token="secret") as client:
            assert client.hello.instance == "fake"
            assert client.pay("alice", "bob", 5, "EUR", command_id="c1").command_id == "c1"
        with pytest.raises(NotReachable, match="closed"):
            client.ping()

    await trio.to_thread.run_sync(use)
    assert daemon.links[0].authorization == "Bearer secret"
    assert daemon.requests[0] == daemon.requests[1]


async def test_a_command_outlives_a_connection_that_dies_unnoticed(daemon: FakeDaemon) -> None:
    def silent_first(link: FakeLink, request: dict[str, Any]) -> None:
        if len(link.daemon.links) == 1:
            link.fall_silent()
        else:
            link.reply(request, applied(3))

    daemon.answers["transfer.post"] = silent_first
    url = await daemon.listen()

    def use() -> int | None:
        with connect_sync(url, token="secret", deadline_seconds=6) as client:
            return client.pay("alice", "bob", 5, "EUR").sequence

    assert await trio.to_thread.run_sync(use) == 3
    assert daemon.requests[0] == daemon.requests[1]


async def test_many_threads_share_one_connection(daemon: FakeDaemon) -> None:
    daemon.answers["wallet.open"] = lambda link, request: link.reply(request, applied(request["id"]))
    url = await daemon.listen()

    def open_some(client: SyncClient) -> None:
        for _ in range(20):
            client.open_wallet("w")

    def use() -> None:
        with connect_sync(url) as client:
            threads = [threading.Thread(target=open_some, args=(client,)) for _ in range(5)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    await trio.to_thread.run_sync(use)
    assert len(daemon.links) == 1
    assert len({request["params"]["command_id"] for request in daemon.requests}) == 100


async def test_a_stream_is_a_plain_iterator(daemon: FakeDaemon) -> None:
    serve_journal(daemon, head=5, break_after=3)
    url = await daemon.listen()

    def use() -> None:
        seen = []
        with connect_sync(url) as client, client.subscribe(all=True, after=0) as stream:
            for event in stream:
                seen.append(event.sequence)
                assert stream.cursor.sequence == event.sequence
                if event.sequence == 5:
                    stream.close()
        assert seen == [1, 2, 3, 4, 5]

    await trio.to_thread.run_sync(use)


async def test_closing_tells_those_who_wait(daemon: FakeDaemon) -> None:
    url = await daemon.listen()
    ends: list[Exception] = []

    def pay(client: SyncClient) -> None:
        try:
            client.pay("alice", "bob", 5, "EUR")
        except Exception as error:
            ends.append(error)

    def use() -> None:
        with connect_sync(url) as client:
            waiting = threading.Thread(target=pay, args=(client,))
            waiting.start()
            trio.from_thread.run(daemon.received, 1)
        waiting.join()

    await trio.to_thread.run_sync(use)
    assert [type(end) for end in ends] == [OutcomeUnknown]


async def test_a_daemon_that_is_not_there_is_said_at_once() -> None:
    def use() -> None:
        refused = r"ws://127\.0\.0\.1:1: Connection refused; is it running"
        with pytest.raises(NotReachable, match=refused), connect_sync("ws://127.0.0.1:1"):
            pass
        with pytest.raises(NotAnAddress, match="is not a websocket address"), connect_sync("http://127.0.0.1"):
            pass

    await trio.to_thread.run_sync(use)
