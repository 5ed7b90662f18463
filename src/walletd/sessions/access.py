"""Access: the clients by their tokens, and the rights that their scopes give.

    grant = register.grant_of(token)           # None for a token that is not valid
    grant.permits(Need.spend("shop:1"))

A token is an opaque random string of 256 bits; only its SHA-256 is stored, and tokens are looked up by it.  The time of
a look-up reveals at most something about hashes, from which no token can be found.
"""

import hashlib
import ipaddress
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import msgspec

from walletd.ledger.client_book import ClientBook
from walletd.vocabulary.entries import ClientRecord, TokenRecord
from walletd.vocabulary.identifiers import Principal, owner_of
from walletd.vocabulary.scopes import (
    ADMIN,
    AUTHENTICATED,
    DEFINE,
    KEYS,
    METRICS,
    OPERATE,
    Need,
    Right,
    permits_everything,
    permitted,
    sees_everything,
)

__all__ = ["ADMIN", "AUTHENTICATED", "DEFINE", "KEYS", "METRICS", "OPERATE", "Grant", "Need", "Right", "TokenRegister"]

LOCAL = "unix"
"""The address of a peer over the unix socket, in words."""

_BEGINNING = datetime.fromtimestamp(0, UTC)


class Grant(msgspec.Struct, frozen=True):
    """A client and its scopes, as one of its tokens gives them to a session, and the end of their validity."""

    principal: Principal
    scopes: tuple[str, ...]
    expires_at: datetime | None = None
    token_sha256: str = ""
    is_certified: bool = False
    addresses: tuple[str, ...] = ()

    def permits(self, need: Need) -> bool:
        """True if one of the scopes covers the need; a client may change itself and, if it can have any, its keys."""
        if need.right is Right.CLIENT:
            return need.client == self.principal or self.permits(ADMIN if owner_of(need.client) is None else KEYS)
        return permitted(self.scopes, need)

    def is_valid_at(self, address: str) -> bool:
        """True if its tokens are valid at this address of a peer; the unix socket counts as this machine."""
        return not self.addresses or is_within(address, self.addresses)

    @property
    def permits_everything(self) -> bool:
        """True if it permits everything."""
        return permits_everything(self.scopes)

    @property
    def sees_everything(self) -> bool:
        """True if it shows the journal as stored, with nothing redacted."""
        return sees_everything(self.scopes)


class TokenRegister:
    """The valid tokens: those of the clients in the durable journal, by this clock."""

    def __init__(self, clients: ClientBook | None = None, clock: Callable[[], datetime] = lambda: _BEGINNING) -> None:
        self.clients = ClientBook() if clients is None else clients
        self.clock = clock

    def admit(self, token: str, grant: Grant) -> None:
        """Make a token valid without an entry, for tests."""
        record = TokenRecord(sha256=token_hash(token), created_at=_BEGINNING, expires_at=grant.expires_at)
        known = self.clients.records.get(grant.principal)
        self.clients.put(
            ClientRecord(
                client=grant.principal,
                scopes=grant.scopes,
                tokens=(*(known.tokens if known is not None else ()), record),
                created_by=grant.principal,
                created_at=_BEGINNING,
            )
        )

    def grant_of(self, token: str) -> Grant | None:
        """The grant of a valid token."""
        return self.grant_of_hash(token_hash(token))

    def grant_of_hash(self, sha256: str) -> Grant | None:
        """The grant of the token with this hash, if it is valid."""
        bearer = self.clients.bearer(sha256, self.clock())
        if bearer is None:
            return None
        record = bearer.record
        return Grant(record.client, record.scopes, bearer.expires_at, sha256, addresses=record.addresses)

    def grant_of_principal(self, principal: str) -> Grant | None:
        """The grant of a client that proved its identity without a token, by a certificate, while it has a valid
        token.
        """
        bearer = self.clients.in_person(Principal(principal), self.clock())
        if bearer is None:
            return None
        record = bearer.record
        return Grant(record.client, record.scopes, bearer.expires_at, is_certified=True, addresses=record.addresses)

    def renewed(self, grant: Grant) -> Grant | None:
        """The grant's present state; None if it is no longer valid."""
        return (
            self.grant_of_principal(grant.principal) if grant.is_certified else self.grant_of_hash(grant.token_sha256)
        )


def is_within(address: str, networks: Iterable[str]) -> bool:
    """True if one of the networks contains the peer's address; ``LOCAL`` stands for this machine."""
    try:
        found = ipaddress.ip_address("127.0.0.1" if address == LOCAL else address.partition("%")[0])
    except ValueError:
        return False
    if found.version == 6 and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in ipaddress.ip_network(network, strict=False) for network in networks)


def token_hash(token: str) -> str:
    """The stored form of a token: its SHA-256 in hexadecimal."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
