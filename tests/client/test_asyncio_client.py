"""The asyncio client, over real sockets, against a fake daemon that runs beside it under trio."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from tests.client.fake_daemon import FakeDaemon, FakeLink, applied, hello
from tests.client.test_streams import serve_journal
from tests.client.test_sync_client import drop_first
from walletd.client import (
    AsyncioClient,
    AuthenticationFailed,
    NotAnAddress,
    NotReachable,
    OutcomeUnknown,
    Refused,
    connect_asyncio,
)
from walletd.vocabulary.reasons import Reason


async def using(url: str, use: Callable[[AsyncioClient], Awaitable[Any]], **options: Any) -> Any:
    """Run ``use`` under asyncio, in a thread of its own."""

    async def main() -> Any:
        async with connect_asyncio(url, token="secret", **options) as client:
            return await use(client)

    return await trio.to_thread.run_sync(asyncio.run, main())


async def test_a_command_survives_a_lost_connection(daemon: FakeDaemon) -> None:
    daemon.answers["transfer.post"] = drop_first

    async def use(client: AsyncioClient) -> None:
        assert repr(client) == "<AsyncioClient without a token, connected>"
        assert (await client.pay("alice", "bob", 5, "EUR", command_id="c1")).command_id == "c1"

    await using(await daemon.listen(), use)
    assert daemon.links[0].authorization == "Bearer secret"
    assert daemon.requests[0] == daemon.requests[1]


async def test_a_command_outlives_a_connection_that_dies_unnoticed(daemon: FakeDaemon) -> None:
    def silent_first(link: FakeLink, request: dict[str, Any]) -> None:
        if len(link.daemon.links) == 1:
            link.fall_silent()
        else:
            link.reply(request, applied(3))

    daemon.answers["transfer.post"] = silent_first

    async def use(client: AsyncioClient) -> int | None:
        return (await client.pay("alice", "bob", 5, "EUR")).sequence

    assert await using(await daemon.listen(), use, deadline_seconds=6) == 3
    assert daemon.requests[0] == daemon.requests[1]


async def test_many_tasks_share_one_connection(daemon: FakeDaemon) -> None:
    daemon.answers["wallet.open"] = lambda link, request: link.reply(request, applied(request["id"]))

    async def use(client: AsyncioClient) -> None:
        await asyncio.gather(*(client.open_wallet("w") for _ in range(200)))

    await using(await daemon.listen(), use)
    assert len(daemon.links) == 1
    assert len({request["params"]["command_id"] for request in daemon.requests}) == 200


async def test_a_stream_resumes_without_a_gap(daemon: FakeDaemon) -> None:
    serve_journal(daemon, head=5, break_after=3)

    async def use(client: AsyncioClient) -> list[int]:
        seen = []
        async with client.subscribe(all=True, after=0) as stream:
            async for event in stream:
                seen.append(event.sequence)
                assert stream.cursor.sequence == event.sequence
                if event.sequence == 5:
                    stream.close()
        return seen

    assert await using(await daemon.listen(), use) == [1, 2, 3, 4, 5]


async def test_a_refusal_is_raised_with_its_reason(daemon: FakeDaemon) -> None:
    code = Reason.INSUFFICIENT_FUNDS.code
    daemon.answers["transfer.post"] = lambda link, request: link.fail(request, code, "insufficient_funds")

    async def use(client: AsyncioClient) -> None:
        with pytest.raises(Refused) as refused:
            await client.pay("alice", "bob", 5, "EUR")
        assert refused.value.reason is Reason.INSUFFICIENT_FUNDS

    await using(await daemon.listen(), use)


async def test_a_command_without_an_answer_has_an_unknown_outcome(daemon: FakeDaemon) -> None:
    async def use(client: AsyncioClient) -> None:
        with pytest.raises(OutcomeUnknown):
            await client.pay("alice", "bob", 5, "EUR")

    await using(await daemon.listen(), use, deadline_seconds=0.2)


PONG = {"time": "2030-01-31T12:00:00Z", "head": 1, "epoch": 1}


async def test_a_cancelled_call_is_not_sent_again(daemon: FakeDaemon) -> None:
    def drop_second(link: FakeLink, request: dict[str, Any]) -> None:
        if len(daemon.requests) == 3:
            link.drop()
        else:
            link.reply(request, PONG)

    daemon.answers["session.ping"] = drop_second

    async def use(client: AsyncioClient) -> None:
        paying = asyncio.create_task(client.pay("alice", "bob", 5, "EUR"))
        await asyncio.create_task(client.ping())
        paying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await paying
        await client.ping()

    await using(await daemon.listen(), use)
    assert [request["method"] for request in daemon.requests] == ["transfer.post", *["session.ping"] * 3]


async def test_closing_tells_those_who_wait(daemon: FakeDaemon) -> None:
    ends: list[BaseException] = []
    daemon.answers["session.ping"] = lambda link, request: link.reply(request, PONG)

    async def use(client: AsyncioClient) -> asyncio.Task[Any]:
        paying = asyncio.create_task(client.pay("alice", "bob", 5, "EUR"))
        await asyncio.create_task(client.ping())
        return paying

    async def main() -> None:
        async with connect_asyncio(url) as client:
            paying = await use(client)
        ends.extend(await asyncio.gather(paying, return_exceptions=True))
        assert repr(client) == "<AsyncioClient without a token, closed>"
        with pytest.raises(NotReachable, match="closed"):
            await client.ping()

    url = await daemon.listen()
    await trio.to_thread.run_sync(asyncio.run, main())
    assert [type(end) for end in ends] == [OutcomeUnknown]


async def test_a_token_that_the_header_lost_is_presented_first(daemon: FakeDaemon) -> None:
    daemon.hello = hello(auth={"required": True})
    daemon.answers["session.authenticate"] = lambda link, request: link.reply(
        request, {"principal": "operator", "scopes": []}
    )
    daemon.answers["wallet.open"] = lambda link, request: link.reply(request, applied(1))

    async def use(client: AsyncioClient) -> None:
        await client.open_wallet("alice")

    await using(await daemon.listen(), use)
    assert [request["method"] for request in daemon.requests] == ["session.authenticate", "wallet.open"]


async def test_what_cannot_be_reached_says_why(daemon: FakeDaemon) -> None:
    async def use(client: AsyncioClient) -> None:
        raise AssertionError("connected")

    with pytest.raises(NotReachable, match=r"ws://127\.0\.0\.1:1: Connection refused; is it running"):
        await using("ws://127.0.0.1:1", use)
    with pytest.raises(NotAnAddress, match="is not a websocket address"):
        await using("http://127.0.0.1", use)
    daemon.http_status = 401
    with pytest.raises(AuthenticationFailed, match="not you"):
        await using(await daemon.listen(), use)
    daemon.http_status = None
    daemon.close_at_once = (4401, "revoked")
    with pytest.raises(AuthenticationFailed, match="revoked"):
        await using(await daemon.listen(), use)
    daemon.close_at_once, daemon.hello = None, None
    with pytest.raises(NotReachable, match=r"sent no hello within 0\.2 s"):
        await using(await daemon.listen(), use, deadline_seconds=0.2)
