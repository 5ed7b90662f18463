"""Places: a guest never takes the place of a client that has a token, and guests shut no client out."""

import random
from contextlib import AsyncExitStack

import pytest
import trio
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

from tests.gateway.test_server import gateway, http, serving, until
from tests.gateway.wires import Host, request
from walletd.gateway.network.counters import TrafficCounters
from walletd.gateway.network.places import ALL_OF_ITS_OWN, NO_PLACE, TURNED_AWAY_AT_ONCE, Caps, Places
from walletd.gateway.websocket.handshake import FULL

UNIX = ""


class Peer:
    """A connection that notes whether it was dropped."""

    def __init__(self, places: Places, address: str = "192.0.2.1") -> None:
        self.places = places
        self.is_dropped = False
        self.refusal = places.make_room(address)
        if self.refusal is None:
            places.enter(self, address)
        else:
            places.turn_away(self)

    def abort(self) -> None:
        """As a server's connection leaves when it is dropped."""
        self.is_dropped = True
        self.places.leave(self)

    def authenticate(self, principal: str = "shop", *, is_operator: bool = False) -> str | None:
        return self.places.admit(self, principal, has_reserve=is_operator)


def places(connections: int = 10, guests: int = 4, reserved: int = 2, of_address: int = 100) -> Places:
    return Places(Caps(connections, of_address, guests, reserved), TrafficCounters())


def test_the_oldest_guest_gives_way_to_a_newcomer() -> None:
    taken = places(guests=3)
    peers = [Peer(taken) for _ in range(5)]
    assert [peer.is_dropped for peer in peers] == [True, True, False, False, False]
    assert all(peer.refusal is None for peer in peers)
    assert (taken._traffic.guests, taken._traffic.dropped_guests) == (3, 2)


def test_a_client_with_a_token_keeps_its_place_however_many_guests_come() -> None:
    taken = places()
    member = Peer(taken)
    assert member.authenticate() is None
    for number in range(1000):
        Peer(taken, f"192.0.2.{number % 250}")
    assert not member.is_dropped
    assert taken._traffic.guests == 4


def test_three_addresses_that_flood_do_not_drop_the_guest_of_a_fourth() -> None:
    taken = places(guests=7)
    honest = Peer(taken, "198.51.100.1")
    for number in range(1000):
        Peer(taken, f"192.0.2.{number % 3}")
        assert not honest.is_dropped
    assert honest.authenticate("operator", is_operator=True) is None


def test_of_equal_addresses_the_oldest_guest_gives_way() -> None:
    taken = places(guests=3)
    peers = [Peer(taken, f"192.0.2.{number}") for number in range(5)]
    assert [peer.is_dropped for peer in peers] == [True, True, False, False, False]


def test_clients_with_tokens_leave_the_last_places_to_operators_and_the_unix_socket() -> None:
    taken = places(connections=6, guests=6, reserved=2)
    shops = [Peer(taken).authenticate() for _ in range(6)]
    assert shops == [None, None, None, None, NO_PLACE, NO_PLACE]
    assert Peer(taken).authenticate("operator", is_operator=True) is None, "a guest gave way"
    assert Peer(taken, UNIX).authenticate() is None, "the last guest gave way"
    assert Peer(taken).refusal is FULL
    assert Peer(taken, UNIX).refusal is FULL
    assert taken.of_principal == {"shop": 5, "operator": 1}


def test_guests_of_the_network_do_not_drop_those_of_the_unix_socket() -> None:
    taken = places(connections=5, guests=4)
    local = [Peer(taken, UNIX) for _ in range(2)]
    far = [Peer(taken) for _ in range(20)]
    assert not any(peer.is_dropped for peer in local)
    assert sum(not peer.is_dropped for peer in far) == 3
    more = [Peer(taken, UNIX) for _ in range(2)]
    assert not any(peer.is_dropped for peer in local + more)
    last = Peer(taken, UNIX)
    assert (local[0].is_dropped, last.is_dropped) == (True, False)


def test_an_address_at_its_cap_drops_a_guest_of_its_own_or_is_turned_away() -> None:
    taken = places(of_address=2)
    other, first, second = Peer(taken, "198.51.100.1"), Peer(taken), Peer(taken)
    third = Peer(taken)
    assert (first.is_dropped, third.refusal) == (True, None)
    assert second.authenticate() is third.authenticate() is None
    assert Peer(taken).refusal is FULL
    assert not other.is_dropped


def test_so_many_are_turned_away_at_once_and_the_oldest_of_them_goes_unheard() -> None:
    taken = places(connections=1, guests=1, reserved=0)
    assert Peer(taken).authenticate() is None
    turned_away = [Peer(taken) for _ in range(TURNED_AWAY_AT_ONCE + 10)]
    assert all(peer.refusal is FULL for peer in turned_away)
    assert [peer.is_dropped for peer in turned_away] == [True] * 10 + [False] * TURNED_AWAY_AT_ONCE
    assert taken._traffic.refused == {"flood": 10}


def test_caps_that_shrink_turn_newcomers_away_and_drop_no_client() -> None:
    taken = places()
    members = [Peer(taken) for _ in range(3)]
    assert [member.authenticate() for member in members] == [None] * 3
    taken.caps = Caps(2, 100, 2, 0)
    assert Peer(taken).refusal is FULL
    assert not any(member.is_dropped for member in members)


def test_at_every_moment_each_bound_holds_and_every_count_is_that_of_the_connections() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    taken = places(connections=20, guests=8, reserved=3, of_address=9)
    peers: list[Peer] = []
    addresses = [UNIX, *(f"192.0.2.{number}" for number in range(5))]
    for _ in range(3000):
        deed = chance.choice(("arrive", "arrive", "authenticate", "leave"))
        if deed == "arrive" or not peers:
            peers.append(Peer(taken, chance.choice(addresses)))
        elif deed == "authenticate":
            before = dict(taken._members)
            peer = chance.choice(peers)
            peer.authenticate(chance.choice("ab"), is_operator=chance.random() < 0.2)
            assert before.items() <= taken._members.items()
        else:
            taken.leave(peers.pop(chance.randrange(len(peers))))
        peers = [peer for peer in peers if not peer.is_dropped]
        assert len(taken._addresses) <= 20
        assert len(taken._guests) <= 8
        assert taken._traffic.guests == len(taken._guests) + len(taken._local_guests)
        assert len(taken._addresses) == taken._traffic.guests + len(taken._members)
        assert taken.of_principal.total() == len(taken._members)
        assert all(count <= 9 for address, count in taken._per_address.items() if address)
        assert {peer for peer in peers if peer.refusal is None} == taken._addresses.keys()


# --- with a server -------------------------------------------------------------------------------------------------


async def test_connections_that_say_nothing_do_not_keep_a_page_from_being_served() -> None:
    server = gateway(Host(), Caps(64, 64, 64))
    async with serving(server) as address, AsyncExitStack() as idle:
        name, _, port = address.rpartition(":")
        for _ in range(130):
            await idle.enter_async_context(await trio.open_tcp_stream(name, int(port)))
        await until(lambda: server.traffic.accepted == 130)
        for _ in range(10):
            assert (await http(address, b"GET /healthz HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        assert len(server) <= 64


async def test_a_dropped_guest_is_gone_and_its_stream_is_closed() -> None:
    server = gateway(Host(), Caps(10, 10, 1))
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve)
        first, ours = memory_stream_pair()
        nursery.start_soon(server.serve_stream, ours, "192.0.2.1")
        await wait_all_tasks_blocked()
        second, ours = memory_stream_pair()
        nursery.start_soon(server.serve_stream, ours, "192.0.2.1")
        await wait_all_tasks_blocked()
        assert await first.receive_some() == b""
        assert len(server) == 1
        await second.send_all(request())
        assert (await second.receive_some()).startswith(b"HTTP/1.1 101")
        nursery.cancel_scope.cancel()


async def test_a_guest_gives_way_where_file_descriptors_are_scarce(monkeypatch: pytest.MonkeyPatch) -> None:
    server = gateway(Host(), Caps(64, 64, 64))
    async with serving(server) as address, AsyncExitStack() as idle:
        name, _, port = address.rpartition(":")
        for _ in range(5):
            await idle.enter_async_context(await trio.open_tcp_stream(name, int(port)))
        await until(lambda: len(server) == 5)
        monkeypatch.setattr("walletd.gateway.network.server._limit_of_descriptors", lambda: 0)
        for _ in range(3):
            assert (await http(address, b"GET /healthz HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        assert server.traffic.accept_failures == 0


def test_a_client_has_at_most_the_connections_of_its_budget() -> None:
    taken = places(guests=3)
    peers = [Peer(taken) for _ in range(3)]
    answers = [taken.admit(peer, "shop", has_reserve=False, most=2) for peer in peers]
    assert answers == [None, None, ALL_OF_ITS_OWN]
    taken.leave(peers[0])
    assert taken.admit(peers[2], "shop", has_reserve=False, most=2) is None
