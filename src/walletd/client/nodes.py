"""The addresses of a ledger's nodes and the one to try next, sans I/O.

    nodes = Nodes(addresses_in("ws://a:7878,ws://b:7878"))
    nodes.url                   # the one in use, or the next to try
    nodes.not_leading(leader)   # the daemon there said that another node leads
    nodes.go_on()               # to the leader if its address is one of ours, else to the next in turn

A single address is a daemon's, and the client stays with it, whatever it says.  The token goes only to addresses that
the caller named: a leader's address that is not among them is not followed.
"""

import re
from collections.abc import Iterable

from walletd.client.errors import NotAnAddress

_BETWEEN = re.compile(r"\s*,\s*(?=[a-z]+:)")
"""A comma before a scheme: the path of a unix socket may have commas."""


def addresses_in(url: str | Iterable[str]) -> tuple[str, ...]:
    """One address, several with commas between them, or any iterable of addresses.

    Raises NotAnAddress for none, and where only some are behind TLS: the token would cross the network in plain text as
    soon as the first of them does not answer.
    """
    given = _BETWEEN.split(url.strip()) if isinstance(url, str) else url
    addresses = tuple(dict.fromkeys(given))
    if not addresses:
        raise NotAnAddress("no address was given; write it like ws://127.0.0.1:7878 or unix:/path/of/a/socket")
    if len({address.startswith("wss:") for address in addresses}) > 1:
        raise NotAnAddress(f"either all addresses are wss:// or none: {', '.join(addresses)}")
    return addresses


class Nodes:
    """The nodes that a client knows."""

    def __init__(self, addresses: Iterable[str]) -> None:
        self.addresses = tuple(addresses)
        self.is_astray = False
        """True if the daemon at ``url`` has said that it does not lead."""
        self._at = 0
        self._leader: int | None = None
        self._refusing: set[int] = set()

    def __len__(self) -> int:
        return len(self.addresses)

    @property
    def url(self) -> str:
        """The address in use, or the next to try."""
        return self.addresses[self._at]

    @property
    def are_several(self) -> bool:
        """True if there is another address to try."""
        return len(self.addresses) > 1

    def not_leading(self, leader: object = None) -> None:
        """Note that the present daemon does not lead, and the address of the one that does, if it is known."""
        if self.are_several:
            self.is_astray = True
            self._leader = self._named(leader)

    def go_on(self) -> None:
        """Choose the address for the next attempt."""
        following = (self._at + 1) % len(self.addresses)
        self._at, self._leader = following if self._leader is None else self._leader, None
        self.is_astray = False

    def greeted(self) -> None:
        """Note that the present daemon serves this client."""
        self._refusing.clear()

    def refused(self) -> bool:
        """Note that the present daemon refuses this client for good.  True if every node has, with no greeting since:
        one that follows may not have heard of a client that the leader knows.
        """
        self._refusing.add(self._at)
        return len(self._refusing) == len(self.addresses)

    def _named(self, leader: object) -> int | None:
        for index, address in enumerate(self.addresses):
            if isinstance(leader, str) and address.rstrip("/") == leader.rstrip("/") and index != self._at:
                return index
        return None
