"""A client of several nodes: it finds the one that leads, and what was in flight is repeated there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.client.fake_daemon import FakeDaemon, FakeLink, applied, hello
from walletd.client import (
    AuthenticationFailed,
    Client,
    NotAnAddress,
    NotReachable,
    OutcomeUnknown,
    RequestFailed,
    connect,
    connect_asyncio,
    connect_sync,
)
from walletd.client.blocking_client import completed, connect_blocking
from walletd.client.nodes import Nodes, addresses_in
from walletd.client.reconnection import Backoff, Lost

Connect = Callable[..., AbstractAsyncContextManager[Client]]

HOSTS = ("a", "b", "c")
URLS = [f"ws://{host}:1" for host in HOSTS]


class Cluster:
    """Three fake daemons, a, b and c; the first leads and the others do not listen."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.daemons = {host: FakeDaemon(nursery) for host in HOSTS}
        for daemon in self.daemons.values():
            daemon.is_down = True
        self.dialled: list[str] = []
        self.lead("a")

    def __getitem__(self, host: str) -> FakeDaemon:
        return self.daemons[host]

    def lead(self, host: str) -> None:
        """This node leads: it listens, and applies every command."""
        self[host].is_down = False
        self[host].hello = hello()
        self[host].answers["transfer.post"] = lambda link, request: link.reply(request, applied(7))

    def follow(self, host: str) -> None:
        """This node listens, and says that it follows."""
        self[host].is_down = False
        self[host].hello = hello(lifecycle="following")

    async def dial(self, host: str, port: int) -> trio.abc.Stream:
        """Connect to the node of this name."""
        self.dialled.append(host)
        return await self[host].dial(host, port)


@pytest.fixture
async def cluster(nursery: trio.Nursery) -> Cluster:
    return Cluster(nursery)


@pytest.fixture
def connecting(cluster: Cluster) -> Connect:
    """``connect`` to the three."""

    def to_the_nodes(url: Any = URLS, **options: Any) -> AbstractAsyncContextManager[Client]:
        return connect(url, token="secret", dial=cluster.dial, **options)

    return to_the_nodes


@pytest.fixture
async def client(connecting: Connect) -> AsyncIterator[Client]:
    async with connecting() as client:
        yield client


# --- addresses -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "addresses"),
    [
        ("ws://a", ("ws://a",)),
        ("ws://a,ws://b:7878", ("ws://a", "ws://b:7878")),
        ("wss://a/x , wss://b", ("wss://a/x", "wss://b")),
        ("unix:/run/a,b/walletd.sock", ("unix:/run/a,b/walletd.sock",)),
        ("unix:/run/a,b,ws://b", ("unix:/run/a,b", "ws://b")),
        (["ws://a", "ws://b", "ws://a"], ("ws://a", "ws://b")),
    ],
)
def test_several_addresses_are_a_list_or_a_string_with_commas(given: Any, addresses: tuple[str, ...]) -> None:
    assert addresses_in(given) == addresses


@pytest.mark.parametrize("given", [[], ["wss://a", "ws://b"], "ws://a,wss://b"])
def test_no_address_and_tls_at_only_some_of_them_are_mistakes(given: Any) -> None:
    with pytest.raises(NotAnAddress):
        addresses_in(given)


def test_the_next_address_is_the_leaders_if_it_is_known_and_ours() -> None:
    nodes = Nodes(URLS)
    for leader, following in [(URLS[2] + "/", 2), (None, 0), ("ws://evil", 1), (URLS[1], 2), (7, 0)]:
        nodes.not_leading(leader)
        assert nodes.is_astray
        nodes.go_on()
        assert (nodes.url, nodes.is_astray) == (URLS[following], False)


def test_the_only_address_is_never_left() -> None:
    nodes = Nodes(["ws://a"])
    nodes.not_leading("ws://b")
    nodes.go_on()
    assert (nodes.url, nodes.is_astray) == ("ws://a", False)


def test_between_nodes_the_delays_grow_with_the_rounds_up_to_a_second() -> None:
    backoff = Backoff(lambda: 1.0, Nodes(URLS))
    delays = [backoff.after(Lost(1012)) for _ in range(18)]
    assert delays == [0.1] * 3 + [0.2] * 3 + [0.4] * 3 + [0.8] * 3 + [1.0] * 6


def test_a_refusal_is_final_once_every_node_has_refused() -> None:
    backoff = Backoff(lambda: 0.0, Nodes(URLS))
    refused = Lost(4401, "unknown token")
    assert [type(backoff.after(lost)) for lost in (refused, Lost(), refused, refused, refused)] == [
        float,
        float,
        float,
        float,
        AuthenticationFailed,
    ]


# --- the first connection ------------------------------------------------------------------------------------------


async def test_the_first_connection_is_to_the_node_that_leads(
    cluster: Cluster, connecting: Connect, autojump_clock: MockClock
) -> None:
    cluster["a"].is_down = True
    cluster.follow("b")
    cluster.lead("c")
    async with connecting(",".join(URLS)) as client:
        await client.pay("alice", "bob", 5, "EUR")
    assert cluster.dialled == ["a", "b", "c"]
    assert trio.current_time() < 1
    assert not cluster["b"].requests


async def test_the_first_connection_waits_for_a_leader_until_the_deadline(
    cluster: Cluster, connecting: Connect, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    cluster.follow("a")
    cluster.follow("c")

    async def take_over() -> None:
        await trio.sleep(12)
        cluster.lead("c")

    nursery.start_soon(take_over)
    async with connecting() as client:
        assert client.hello.lifecycle.value == "serving"
        assert trio.current_time() < 16
    cluster.follow("c")
    began = trio.current_time()
    with pytest.raises(NotReachable, match=r"no node served within 5 s: .*ws://a:1 follows another node.*ws://b:1: no"):
        async with connecting(deadline_seconds=5):
            pass
    assert trio.current_time() - began == pytest.approx(5)


async def test_a_node_that_hangs_leaves_time_for_the_others(
    cluster: Cluster, connecting: Connect, autojump_clock: MockClock
) -> None:
    cluster["a"].swallows = True
    cluster["a"].is_down = False
    cluster["b"].is_down, cluster["b"].hello = False, None
    cluster.lead("c")
    async with connecting() as client:
        await client.pay("alice", "bob", 5, "EUR")
    assert trio.current_time() < 10


async def test_a_token_that_one_node_does_not_know_yet_is_taken_to_the_next(
    cluster: Cluster, connecting: Connect, autojump_clock: MockClock
) -> None:
    cluster["a"].http_status = 401
    cluster.lead("b")
    async with connecting() as client:
        await client.pay("alice", "bob", 5, "EUR")
    cluster["b"].http_status = 401
    cluster.lead("c")
    cluster["c"].close_at_once = (4401, "unknown token")
    with pytest.raises(AuthenticationFailed):
        async with connecting():
            pass
    cluster["c"].is_down = True
    with pytest.raises(AuthenticationFailed, match="not you"):  # At the deadline: what one of them said.
        async with connecting():
            pass


async def test_a_hello_that_names_the_leader_saves_the_way_round(
    cluster: Cluster, connecting: Connect, autojump_clock: MockClock
) -> None:
    node = {"ledger": "main", "role": "follower", "term": 2, "leader": URLS[2]}
    cluster.follow("a")
    cluster["a"].hello = hello(lifecycle="following", node=node)
    cluster.lead("c")
    async with connecting():
        assert cluster.dialled == ["a", "c"]


# --- another node leads --------------------------------------------------------------------------------------------


def die(cluster: Cluster) -> Callable[[FakeLink, dict[str, Any]], None]:
    """The leader takes the command, and is killed before it answers; b leads."""

    def answer(link: FakeLink, request: dict[str, Any]) -> None:
        cluster["a"].is_down = True
        cluster.lead("b")
        link.drop()

    return answer


def step_down(cluster: Cluster) -> Callable[[FakeLink, dict[str, Any]], None]:
    """The leader says that it follows now."""

    def answer(link: FakeLink, request: dict[str, Any]) -> None:
        cluster.follow("a")
        cluster.lead("b")
        link.send({"method": "lifecycle", "params": {"lifecycle": "following"}})

    return answer


def name_the_leader(cluster: Cluster) -> Callable[[FakeLink, dict[str, Any]], None]:
    """The node does not lead any more, and its refusal names the one that does."""

    def answer(link: FakeLink, request: dict[str, Any]) -> None:
        cluster.follow("a")
        cluster.lead("b")
        link.fail(request, 1007, "unavailable", leader=URLS[1], retry_after_ms=20_000)

    return answer


def refuse_and_close(cluster: Cluster) -> Callable[[FakeLink, dict[str, Any]], None]:
    """The node is stopped: what it is sent is refused, and the session closed."""

    def answer(link: FakeLink, request: dict[str, Any]) -> None:
        cluster["a"].is_down = True
        cluster.lead("b")
        link.fail(request, 1004, "draining", retry_after_ms=20_000)
        link.close(1012, "restart")

    return answer


def hang(cluster: Cluster) -> Callable[[FakeLink, dict[str, Any]], None]:
    """The node stops without a word, as after SIGSTOP."""

    def answer(link: FakeLink, request: dict[str, Any]) -> None:
        cluster["a"].swallows = True
        cluster.lead("b")
        link.fall_silent()

    return answer


@pytest.mark.parametrize(
    ("end", "seconds"), [(die, 1), (step_down, 1), (name_the_leader, 1), (refuse_and_close, 1), (hang, 7)]
)
async def test_what_was_in_flight_is_repeated_at_the_next_leader_and_the_caller_hears_nothing(
    cluster: Cluster,
    client: Client,
    autojump_clock: MockClock,
    end: Callable[[Cluster], Callable[[FakeLink, dict[str, Any]], None]],
    seconds: float,
) -> None:
    cluster["a"].answers["transfer.post"] = end(cluster)
    began = trio.current_time()
    assert (await client.pay("alice", "bob", 5, "EUR")).sequence == 7
    assert trio.current_time() - began <= seconds
    assert cluster["a"].requests == cluster["b"].requests
    assert len(cluster["b"].requests) == 1


async def test_what_a_node_answers_after_it_has_stepped_down_does_not_count(
    cluster: Cluster, client: Client, autojump_clock: MockClock
) -> None:
    def step_down_and_answer(link: FakeLink, request: dict[str, Any]) -> None:
        step_down(cluster)(link, request)
        link.reply(request, {"at": "the follower"})

    cluster["a"].answers["balance.get"] = step_down_and_answer
    cluster["b"].answers["balance.get"] = lambda link, request: link.reply(request, {"at": "the leader"})
    assert await client.call("balance.get", wallet="alice") == {"at": "the leader"}


async def test_without_asking_a_busy_daemon_again_the_leader_is_still_followed(
    cluster: Cluster, connecting: Connect, autojump_clock: MockClock
) -> None:
    cluster["a"].answers["transfer.post"] = name_the_leader(cluster)
    async with connecting(retry_busy=False) as client:
        await client.pay("alice", "bob", 5, "EUR")
        cluster["b"].answers["transfer.post"] = lambda link, request: link.fail(request, 1007, "unavailable")
        with pytest.raises(RequestFailed):
            await client.pay("alice", "bob", 5, "EUR")
    assert cluster.dialled == ["a", "b"]


async def test_a_leader_that_is_only_busy_is_not_left(
    cluster: Cluster, client: Client, autojump_clock: MockClock
) -> None:
    def busy_at_first(link: FakeLink, request: dict[str, Any]) -> None:
        if len(cluster["a"].requests) == 1:
            link.fail(request, 1007, "unavailable", retry_after_ms=1000)
        else:
            link.reply(request, applied(7))

    cluster["a"].answers["transfer.post"] = busy_at_first
    await client.pay("alice", "bob", 5, "EUR")
    assert cluster.dialled == ["a"]
    assert trio.current_time() >= 1


async def test_the_outcome_is_unknown_only_once_the_deadline_is_over(
    cluster: Cluster, client: Client, autojump_clock: MockClock
) -> None:
    cluster["a"].answers["transfer.post"] = die(cluster)
    cluster["b"].swallows = True
    began = trio.current_time()
    with pytest.raises(OutcomeUnknown):
        await client.pay("alice", "bob", 5, "EUR")
    assert trio.current_time() - began == pytest.approx(30)


async def test_without_a_leader_nothing_was_applied_of_what_was_never_sent(
    cluster: Cluster, client: Client, autojump_clock: MockClock
) -> None:
    cluster.follow("a")
    cluster.follow("b")
    cluster["a"].links[0].drop()
    await trio.testing.wait_all_tasks_blocked()
    with pytest.raises(NotReachable, match="nothing was applied"):
        await client.pay("alice", "bob", 5, "EUR")
    assert 30 <= len(cluster.dialled) <= 400


async def test_a_client_of_one_address_stays_with_a_node_that_follows(
    cluster: Cluster, connecting: Connect, autojump_clock: MockClock
) -> None:
    cluster.follow("b")
    cluster["b"].answers["session.ping"] = lambda link, request: link.reply(request, {})
    async with connecting("ws://b:1") as client:
        await client.call("session.ping")
    assert cluster.dialled == ["b"]


# --- the other faces, over real sockets ----------------------------------------------------------------------------


@pytest.fixture
async def real(cluster: Cluster) -> list[str]:
    """The addresses of a leader that dies with the first command, a node that follows, and the next leader."""

    def answer(link: FakeLink, request: dict[str, Any]) -> None:
        cluster["a"].hello = hello(lifecycle="following")
        cluster.lead("c")
        link.drop()

    cluster["a"].answers["transfer.post"] = answer
    cluster.follow("b")
    cluster.follow("c")
    return [await cluster[host].listen() for host in HOSTS]


async def test_the_asyncio_client_does_the_same(cluster: Cluster, real: list[str]) -> None:
    async def main() -> int | None:
        async with connect_asyncio(real, token="secret") as client:
            return (await client.pay("alice", "bob", 5, "EUR")).sequence

    assert await trio.to_thread.run_sync(asyncio.run, main()) == 7
    assert cluster["a"].requests == cluster["c"].requests


async def test_the_asyncio_client_says_why_no_node_serves(cluster: Cluster, real: list[str]) -> None:
    async def main() -> None:
        async with connect_asyncio(real[1:], deadline_seconds=0.3):
            pass

    with pytest.raises(NotReachable, match=r"no node served within 0\.3 s"):
        await trio.to_thread.run_sync(asyncio.run, main())


async def test_the_synchronous_client_does_the_same(cluster: Cluster, real: list[str]) -> None:
    def use() -> int | None:
        with connect_sync(",".join(real), token="secret") as client:
            return client.pay("alice", "bob", 5, "EUR").sequence

    assert await trio.to_thread.run_sync(use) == 7
    assert cluster["a"].requests == cluster["c"].requests


async def test_the_blocking_client_does_the_same(cluster: Cluster, real: list[str]) -> None:
    def use() -> int | None:
        with connect_blocking(",".join(real), token="secret") as client:
            return completed(client.pay("alice", "bob", 5, "EUR")).sequence

    assert await trio.to_thread.run_sync(use) == 7
    assert cluster["a"].requests == cluster["c"].requests


async def test_the_blocking_client_says_why_no_node_serves(cluster: Cluster, real: list[str]) -> None:
    def use() -> None:
        with connect_blocking(real[1:], deadline_seconds=0.3):
            pass

    with pytest.raises(NotReachable, match=r"no node served within 0\.3 s"):
        await trio.to_thread.run_sync(use)
