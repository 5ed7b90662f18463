"""Who may do what: the clients by their tokens, and what each of their scopes permits.

    grant = register.grant_of(token)           # None for a token that is not in force
    grant.permits(Need.spend("shop:1"))

A token is an opaque random string of 256 bits; only its SHA-256 is kept, and it is looked up by that.  How long a
look-up takes says something about hashes at most, from which nobody finds a token.
"""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from walletd.ledger.client_book import ClientBook
from walletd.vocabulary.entries import ClientRecord, TokenRecord
from walletd.vocabulary.identifiers import Principal
from walletd.vocabulary.scopes import (
    ADMIN,
    AUTHENTICATED,
    KEYS,
    METRICS,
    OPERATE,
    Need,
    Right,
    permits_everything,
    permitted,
    sees_everything,
)

__all__ = ["ADMIN", "AUTHENTICATED", "KEYS", "METRICS", "OPERATE", "Grant", "Need", "Right", "TokenRegister"]

_BEGINNING = datetime.fromtimestamp(0, UTC)


class Grant(msgspec.Struct, frozen=True):
    """A client and its scopes, as one of its tokens brings them to a session, and until when."""

    principal: Principal
    scopes: tuple[str, ...]
    expires_at: datetime | None = None
    token_sha256: str = ""
    is_certified: bool = False

    def permits(self, need: Need) -> bool:
        """Whether one of the scopes covers the need."""
        return permitted(self.scopes, need)

    @property
    def permits_everything(self) -> bool:
        """Whether there is nothing that it does not permit."""
        return permits_everything(self.scopes)

    @property
    def sees_everything(self) -> bool:
        """Whether it is shown the journal as it is, with nothing redacted."""
        return sees_everything(self.scopes)


class TokenRegister:
    """The tokens in force: of the clients as the durable journal has them, by this clock."""

    def __init__(self, clients: ClientBook | None = None, clock: Callable[[], datetime] = lambda: _BEGINNING) -> None:
        self.clients = ClientBook() if clients is None else clients
        self.clock = clock

    def admit(self, token: str, grant: Grant) -> None:
        """Put a token in force without an entry: the way in of tests."""
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
        """The grant of a token in force."""
        return self.grant_of_hash(token_hash(token))

    def grant_of_hash(self, sha256: str) -> Grant | None:
        """The grant of the token with this hash, if it is in force."""
        bearer = self.clients.bearer(sha256, self.clock())
        if bearer is None:
            return None
        return Grant(bearer.record.client, bearer.record.scopes, bearer.expires_at, sha256)

    def grant_of_principal(self, principal: str) -> Grant | None:
        """The grant of a client that proved who it is without a token, by a certificate; while it has one in force."""
        bearer = self.clients.in_person(Principal(principal), self.clock())
        if bearer is None:
            return None
        return Grant(bearer.record.client, bearer.record.scopes, bearer.expires_at, is_certified=True)

    def renewed(self, grant: Grant) -> Grant | None:
        """The grant as it stands now; None where it is not in force any more."""
        return (
            self.grant_of_principal(grant.principal) if grant.is_certified else self.grant_of_hash(grant.token_sha256)
        )


def token_hash(token: str) -> str:
    """What is kept of a token: its SHA-256 in hexadecimal."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
