"""Who may do what: tokens, the scopes they carry, and what each method needs.

    grant = register.grant_of(token)           # None for a token nobody issued
    grant.permits(Need.spend("shop:1"))

A token is an opaque random string; only its SHA-256 is kept.  Scopes: ``admin``, ``operate`` (all wallets),
``spend:<wallet or prefix*>``, ``view:<wallet or prefix*>``, ``metrics``.  Spending a wallet includes viewing it;
``admin`` includes ``operate``, and ``operate`` everything about wallets.
"""

import enum
import hashlib
from typing import NamedTuple, Self

import msgspec

from walletd.vocabulary.identifiers import Principal


class Right(enum.Enum):
    """What a request needs the right for."""

    NOTHING = "nothing"
    VIEW = "view"
    SPEND = "spend"
    OPERATE = "operate"
    ADMIN = "admin"


class Need(NamedTuple):
    """A right, and the wallet or prefix it is needed for (empty where it is about no one wallet)."""

    right: Right
    wallet: str = ""
    is_prefix: bool = False

    @classmethod
    def view(cls, wallet: str) -> Self:
        """To see this wallet."""
        return cls(Right.VIEW, wallet)

    @classmethod
    def view_prefix(cls, prefix: str) -> Self:
        """To see every wallet whose name starts with the prefix."""
        return cls(Right.VIEW, prefix, is_prefix=True)

    @classmethod
    def spend(cls, wallet: str) -> Self:
        """To take money out of this wallet."""
        return cls(Right.SPEND, wallet)


OPERATE = Need(Right.OPERATE)
ADMIN = Need(Right.ADMIN)
AUTHENTICATED = Need(Right.NOTHING)


class Grant(msgspec.Struct, frozen=True):
    """A principal and the scopes that its token carries."""

    principal: Principal
    scopes: tuple[str, ...]

    def permits(self, need: Need) -> bool:
        """Whether one of the scopes covers the need."""
        if need.right is Right.NOTHING or "admin" in self.scopes:
            return True
        if need.right is Right.ADMIN:
            return False
        if "operate" in self.scopes:
            return True
        return any(_covers(scope, need) for scope in self.scopes)


def _covers(scope: str, need: Need) -> bool:
    right, _, pattern = scope.partition(":")
    if not pattern or (right, need.right) not in _RIGHTS_OF_SCOPES:
        return False
    if pattern.endswith("*"):
        return need.wallet.startswith(pattern[:-1])
    return not need.is_prefix and need.wallet == pattern


_RIGHTS_OF_SCOPES = {("spend", Right.SPEND), ("spend", Right.VIEW), ("view", Right.VIEW)}


class TokenRegister:
    """The hashes of all tokens in force."""

    def __init__(self) -> None:
        self._grants: dict[bytes, Grant] = {}

    def admit(self, token: str, grant: Grant) -> None:
        """Put a token in force."""
        self._grants[token_hash(token)] = grant

    def grant_of(self, token: str) -> Grant | None:
        """The grant of a token in force.  A lookup by hash: its time says nothing about the token."""
        return self._grants.get(token_hash(token))


def token_hash(token: str) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
