"""The places of a listener: which connections have one, and which one gives way to a newcomer.

    places = Places(Caps(connections=10_000, connections_per_address=5_000, guests=1_000, reserved=32), traffic)
    refusal = places.make_room(address)                # None: there is a place, perhaps that of an older guest
    places.enter(connection, address)                  # a guest, until it has authenticated
    full = places.admit(connection, "shop", has_reserve=False)     # None: it keeps its place until it leaves
    places.leave(connection)

A guest is a connection that has not authenticated.  Guests never take the place of a client with a token: if there are
too many, the oldest guest of the address with the most guests is dropped, as sshd's ``MaxStartups`` does.  So a
newcomer always has the time to present a token, unless clients with tokens have all the places.  The last places of all
are reserved for operators and for the unix socket, whose connections have no address.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Protocol

from walletd.gateway.network.counters import TrafficCounters
from walletd.gateway.websocket.handshake import FULL, TurnedAway

TURNED_AWAY_AT_ONCE = 64
"""Connections beyond the caps that are read, so that they can be told why they are refused."""

NO_PLACE = "connections"
"""The word for what is full, in the answer to a client that authenticates when all places are taken."""

ALL_OF_ITS_OWN = "the client's own connections"
"""The same for a client that has as many connections as its budget has."""


class Occupant(Protocol):
    """A connection, as its place sees it."""

    def abort(self) -> None:
        """Drop the connection at once."""
        ...


@dataclass(frozen=True, slots=True)
class Caps:
    """The limits on open connections: in all; from one address (for IPv6, one /64 network); of guests; and how many of
    all are reserved for operators and the unix socket.
    """

    connections: int
    connections_per_address: int
    guests: int
    reserved: int = 0

    def __post_init__(self) -> None:
        assert 0 < self.guests <= self.connections
        assert 0 <= self.reserved < self.connections


class Places:
    """The connections of one listener, by what each of them is."""

    def __init__(self, caps: Caps, traffic: TrafficCounters) -> None:
        self.caps = caps
        self.of_principal: Counter[str] = Counter()
        """The number of authenticated connections of each principal."""
        self._traffic = traffic
        self._addresses: dict[Occupant, str] = {}
        """Every connection that has a place."""
        self._per_address: Counter[str] = Counter()
        self._guests = _Guests()
        self._local_guests = _Guests()
        self._members: dict[Occupant, str] = {}
        """The principal of each connection that has authenticated."""
        self._turned_away: OrderedDict[Occupant, None] = OrderedDict()

    def make_room(self, address: str) -> TurnedAway | None:
        """See to it that a newcomer has a place, if need be at the cost of an older guest; otherwise the answer to it.

        ``address`` is empty for a connection over the unix socket.  O(1).
        """
        caps, own = self.caps, self._guests if address else self._local_guests
        if address and self._per_address[address] >= caps.connections_per_address:
            return self._drop(own.oldest_of(address))
        if len(own) >= caps.guests:
            return self._drop(own.oldest())
        if len(self._addresses) >= caps.connections:
            return self._drop(self._guests.oldest() or (None if address else own.oldest()))
        return None

    def enter(self, newcomer: Occupant, address: str) -> None:
        """The newcomer, for which there is room, is a guest."""
        self._addresses[newcomer] = address
        self._per_address[address] += 1
        (self._guests if address else self._local_guests).add(newcomer, address)
        self._traffic.guests += 1

    def turn_away(self, newcomer: Occupant) -> None:
        """The newcomer is read only to be told why it is refused; the one that takes longest for it is dropped."""
        self._turned_away[newcomer] = None
        if len(self._turned_away) > TURNED_AWAY_AT_ONCE:
            self._traffic.refused["flood"] += 1
            self._turned_away.popitem(last=False)[0].abort()

    def admit(self, occupant: Occupant, principal: str, *, has_reserve: bool, most: int = 0) -> str | None:
        """A guest has authenticated: it keeps its place from now on.  Otherwise the word for what is full.  O(1).

        ``most``: the connections that the principal may have; 0: no limit.
        """
        address = self._addresses.get(occupant)
        if address is None or occupant in self._members:
            return None
        if most and self.of_principal[principal] >= most:
            return ALL_OF_ITS_OWN
        has_reserve = has_reserve or not address
        if not has_reserve and len(self._members) >= self.caps.connections - self.caps.reserved:
            return NO_PLACE
        self._forget_guest(occupant, address)
        self._members[occupant] = principal
        self.of_principal[principal] += 1
        return None

    def leave(self, occupant: Occupant) -> None:
        """The connection is gone, or going: nothing of it is kept."""
        self._turned_away.pop(occupant, None)
        address = self._addresses.pop(occupant, None)
        if address is None:
            return
        self._per_address[address] -= 1
        if not self._per_address[address]:
            del self._per_address[address]
        principal = self._members.pop(occupant, None)
        if principal is None:
            self._forget_guest(occupant, address)
        else:
            self.of_principal[principal] -= 1
            if not self.of_principal[principal]:
                del self.of_principal[principal]

    def drop_oldest_guest(self) -> bool:
        """Drop a guest for lack of something else, such as file descriptors; returns whether there was one.  O(1)."""
        return self._drop(self._guests.oldest()) is None

    def _forget_guest(self, guest: Occupant, address: str) -> None:
        (self._guests if address else self._local_guests).discard(guest, address)
        self._traffic.guests -= 1

    def _drop(self, guest: Occupant | None) -> TurnedAway | None:
        if guest is None:
            return FULL
        self._traffic.dropped_guests += 1
        self.leave(guest)
        guest.abort()
        return None


class _Guests:
    """Guests by address, the oldest first, and the addresses by how many each has.  Every method is O(1)."""

    def __init__(self) -> None:
        self._of: dict[str, OrderedDict[Occupant, None]] = {}
        self._with: dict[int, OrderedDict[str, None]] = {}
        self._most = 0
        self._number = 0

    def __len__(self) -> int:
        return self._number

    def add(self, guest: Occupant, address: str) -> None:
        """The address has one more."""
        guests = self._of.setdefault(address, OrderedDict())
        self._count(address, len(guests), len(guests) + 1)
        guests[guest] = None
        self._number += 1

    def discard(self, guest: Occupant, address: str) -> None:
        """The address has one less."""
        guests = self._of[address]
        del guests[guest]
        self._count(address, len(guests) + 1, len(guests))
        self._number -= 1
        if not guests:
            del self._of[address]

    def oldest_of(self, address: str) -> Occupant | None:
        """The oldest guest of this address."""
        return next(iter(self._of.get(address, ())), None)

    def oldest(self) -> Occupant | None:
        """The oldest guest of an address with the most: the address that has had so many for the longest."""
        return self.oldest_of(next(iter(self._with[self._most]))) if self._number else None

    def _count(self, address: str, before: int, after: int) -> None:
        if before:
            del self._with[before][address]
            if not self._with[before]:
                del self._with[before]
        if after:
            self._with.setdefault(after, OrderedDict())[address] = None
        if after > self._most or self._most not in self._with:
            self._most = after
