"""The blocking client, over real sockets, against a fake daemon that runs beside it."""

import socket
from collections.abc import Callable
from typing import Any

import pytest
import trio

from tests.client.fake_daemon import FakeDaemon, FakeLink, applied
from tests.client.test_sync_client import drop_first
from walletd.client import AuthenticationFailed, NotAnAddress, NotReachable, OutcomeUnknown, RequestFailed
from walletd.client.blocking_client import BlockingClient, completed, connect_blocking


async def use(url: str, act: Callable[[BlockingClient], Any], **options: Any) -> Any:
    """What the act returns, done in a thread: the fake daemon needs this one."""

    def run() -> Any:
        with connect_blocking(url, token="secret", **options) as client:
            return act(client)

    return await trio.to_thread.run_sync(run)


async def test_it_asks_and_is_answered(daemon: FakeDaemon) -> None:
    daemon.answers["transfer.post"] = lambda link, request: link.reply(request, applied(3))

    def act(client: BlockingClient) -> int | None:
        assert client.hello.instance == "fake"
        assert repr(client) == "<BlockingClient without a token, connected>"
        return completed(client.pay("alice", "bob", 5, "EUR")).sequence

    assert await use(await daemon.listen(), act) == 3
    assert daemon.links[0].authorization == "Bearer secret"


async def test_a_command_survives_a_lost_connection(daemon: FakeDaemon) -> None:
    daemon.answers["transfer.post"] = drop_first
    url = await daemon.listen()
    assert (await use(url, lambda client: completed(client.pay("alice", "bob", 5, "EUR")))).sequence == 3
    assert daemon.requests[0] == daemon.requests[1]


async def test_a_command_outlives_a_connection_that_dies_unnoticed(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("walletd.client.reconnection.MOST_PATIENCE_SECONDS", 0.1)

    def silent_first(link: FakeLink, request: dict[str, Any]) -> None:
        if len(link.daemon.links) == 1:
            link.fall_silent()
        else:
            link.reply(request, applied(3))

    daemon.answers["transfer.post"] = silent_first
    url = await daemon.listen()
    assert (await use(url, lambda client: completed(client.pay("alice", "bob", 5, "EUR")))).sequence == 3
    assert daemon.requests[0] == daemon.requests[1]


async def test_a_command_without_an_answer_may_have_been_applied(daemon: FakeDaemon) -> None:
    daemon.answers["transfer.post"] = lambda link, request: link.close(4429, "too much")
    url = await daemon.listen()

    def act(client: BlockingClient) -> None:
        with pytest.raises(OutcomeUnknown) as unknown:
            completed(client.pay("alice", "bob", 5, "EUR", command_id="c1"))
        assert unknown.value.command_id == "c1"
        with pytest.raises(NotReachable, match="too much"):
            completed(client.wallet("alice"))

    await use(url, act)


async def test_a_busy_daemon_is_asked_again(daemon: FakeDaemon) -> None:
    def busy_first(link: FakeLink, request: dict[str, Any]) -> None:
        if len(link.daemon.requests) == 1:
            link.fail(request, 1006, "overloaded", retry="same_command_id", retry_after_ms=1)
        else:
            link.reply(request, applied(3))

    daemon.answers["transfer.post"] = busy_first
    url = await daemon.listen()
    assert (await use(url, lambda client: completed(client.pay("alice", "bob", 5, "EUR")))).sequence == 3


async def test_an_error_is_raised(daemon: FakeDaemon) -> None:
    daemon.answers["wallet.get"] = lambda link, request: link.fail(request, 2001, "wallet_not_found")
    url = await daemon.listen()

    def act(client: BlockingClient) -> None:
        with pytest.raises(RequestFailed, match="wallet_not_found"):
            completed(client.wallet("alice"))

    await use(url, act)


async def test_a_token_that_is_not_accepted_any_more_ends_the_client(daemon: FakeDaemon) -> None:
    daemon.answers["wallet.get"] = lambda link, request: link.close(4401, "revoked")
    url = await daemon.listen()

    def act(client: BlockingClient) -> None:
        for _ in range(2):
            with pytest.raises(AuthenticationFailed, match="revoked"):
                completed(client.wallet("alice"))

    await use(url, act)


def test_what_cannot_be_reached_says_why() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(NotReachable, match="Connection refused; is it running"), connect_blocking(url):
            pass
        free.listen()
        quiet = pytest.raises(NotReachable, match=r"sent no hello within 0.2 s")
        with quiet, connect_blocking(url, deadline_seconds=0.2):
            pass
    with pytest.raises(NotAnAddress), connect_blocking("http://127.0.0.1:1"):
        pass
    with pytest.raises(NotReachable, match="No such file or directory"), connect_blocking("unix:/nowhere/at/all"):
        pass


def test_work_that_waits_for_an_event_loop_is_a_mistake() -> None:
    with pytest.raises(RuntimeError, match="waits for an event loop"):
        completed(trio.lowlevel.checkpoint())
