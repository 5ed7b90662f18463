"""Scopes: a client's rights, in words that a token's bearer and an auditor read alike.

    permitted(("view:shop-*", "spend:shop-1"), Need.view("shop-2"))

``admin``; ``operate`` (all wallets); ``spend:``, ``view:``, ``open:`` and ``freeze:`` with a wallet or ``prefix*``;
``mint`` (money out of system wallets); ``define`` (assets); ``metrics``.  Spending a wallet includes viewing it;
``admin`` includes all the others, and ``operate`` everything about wallets.  ``*`` alone stands for the customers'
wallets: money is taken out of a system wallet with ``mint``, or with ``spend:`` and a pattern that begins with ``@``.
"""

import enum
from collections.abc import Sequence
from typing import NamedTuple, Self

from walletd.vocabulary.identifiers import is_system_wallet, owner_of


class Right(enum.Enum):
    """The kinds of rights that a request may need."""

    NOTHING = "nothing"
    METRICS = "metrics"
    VIEW = "view"
    SPEND = "spend"
    MINT = "mint"
    """To take money out of a system wallet: it is new to the customers."""
    OPEN = "open"
    FREEZE = "freeze"
    DEFINE = "define"
    CLIENT = "client"
    """To change a client: itself, a viewing key of its own, or any as an admin."""
    KEYS = "keys"
    """To have viewing keys: a client that may spend may grant others a view."""
    OPERATE = "operate"
    ADMIN = "admin"


class Need(NamedTuple):
    """A right, and the wallet or prefix that it is needed for (empty if it is not about a single wallet)."""

    right: Right
    wallet: str = ""
    is_prefix: bool = False
    client: str = ""

    @classmethod
    def change(cls, client: str) -> Self:
        """The right to change this client."""
        return cls(Right.CLIENT, client=client)

    @classmethod
    def view(cls, wallet: str) -> Self:
        """The right to view this wallet."""
        return cls(Right.VIEW, wallet)

    @classmethod
    def view_prefix(cls, prefix: str) -> Self:
        """The right to view every wallet whose name starts with the prefix."""
        return cls(Right.VIEW, prefix, is_prefix=True)

    @classmethod
    def spend(cls, wallet: str) -> Self:
        """The right to take money out of this wallet."""
        return cls(Right.MINT if is_system_wallet(wallet) else Right.SPEND, wallet)

    @classmethod
    def open(cls, wallet: str) -> Self:
        """The right to open this wallet, which is no system wallet."""
        return cls(Right.OPEN, wallet)

    @classmethod
    def freeze(cls, wallet: str) -> Self:
        """The right to freeze this wallet, which is no system wallet, and to end its freeze."""
        return cls(Right.FREEZE, wallet)

    @property
    def scope(self) -> str:
        """The smallest scope that covers it."""
        if self.right in _OF_A_WALLET:
            return f"{self.right.value}:{self.wallet}{'*' if self.is_prefix else ''}"
        if self.right is Right.CLIENT:
            return ADMIN.scope if owner_of(self.client) is None else KEYS.scope
        return "spend:WALLET" if self.right is Right.KEYS else self.right.value


OPERATE = Need(Right.OPERATE)
ADMIN = Need(Right.ADMIN)
DEFINE = Need(Right.DEFINE)
METRICS = Need(Right.METRICS)
KEYS = Need(Right.KEYS)
AUTHENTICATED = Need(Right.NOTHING)

_RIGHTS_OF_SCOPES = {
    ("spend", Right.SPEND),
    ("spend", Right.MINT),
    ("spend", Right.VIEW),
    ("spend", Right.KEYS),
    ("view", Right.VIEW),
    ("open", Right.OPEN),
    ("freeze", Right.FREEZE),
}
_OF_A_WALLET = {Right.VIEW, Right.SPEND, Right.OPEN, Right.FREEZE}


def permitted(scopes: Sequence[str], need: Need) -> bool:
    """True if one of the scopes covers the need.  O(scopes)."""
    if need.right is Right.NOTHING or permits_everything(scopes):
        return True
    if need.right is Right.ADMIN:
        return False
    if "operate" in scopes:
        return True
    if need.right in (Right.METRICS, Right.DEFINE):
        return need.right.value in scopes
    if is_system_wallet(need.wallet) and need.right in (Right.MINT, Right.VIEW) and "mint" in scopes:
        return True
    return any(_covers(scope, need) for scope in scopes)


def permits_everything(scopes: Sequence[str]) -> bool:
    """True if the scopes cover every need."""
    return "admin" in scopes


def sees_everything(scopes: Sequence[str]) -> bool:
    """True if the scopes show all wallets and the whole journal."""
    return permitted(scopes, OPERATE)


def ownership_of(scope: str) -> Need | None:
    """The right that a client must have itself to grant this scope in a viewing key; None if no key can have it."""
    right, _, pattern = scope.partition(":")
    if right != "view":
        return None
    return Need(Right.SPEND, pattern.removesuffix("*"), is_prefix=pattern.endswith("*"))


def includes(scopes: Sequence[str], scope: str) -> bool:
    """True if the scopes permit everything that this one permits.  O(scopes)."""
    if scope in scopes or permits_everything(scopes):
        return True
    if scope == "admin":
        return False
    if sees_everything(scopes):
        return True
    right, _, pattern = scope.partition(":")
    return any(_is_wider(known, right, pattern) for known in scopes)


def _is_wider(scope: str, right: str, pattern: str) -> bool:
    known, _, covering = scope.partition(":")
    if not pattern or not covering.endswith("*") or not pattern.startswith(covering[:-1]):
        return known == "spend" and right == "view" and bool(pattern) and covering == pattern
    if known == "spend" and is_system_wallet(pattern) and not is_system_wallet(covering):
        return right == "view"
    return known == right or (known == "spend" and right == "view")


def _covers(scope: str, need: Need) -> bool:
    right, _, pattern = scope.partition(":")
    if not pattern or (right, need.right) not in _RIGHTS_OF_SCOPES:
        return False
    if need.right is Right.KEYS:
        return True
    if need.right is Right.MINT and not is_system_wallet(pattern):
        return False
    if pattern.endswith("*"):
        return need.wallet.startswith(pattern[:-1])
    return not need.is_prefix and need.wallet == pattern
