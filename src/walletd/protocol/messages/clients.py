"""The messages about clients: the answer to ``client.list``."""

import msgspec

from walletd.protocol.messages.base import PageLimit, Read, Result
from walletd.vocabulary.budgets import Budget
from walletd.vocabulary.commands import Instant
from walletd.vocabulary.identifiers import (
    ClientName,
    Principal,
)


class TokenView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A valid token, by the first digits of its SHA-256."""

    token: str
    created_at: Instant
    expires_at: Instant | None = None


class ClientView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A client: its scopes, its valid tokens, its creator, and whether it was revoked."""

    client: Principal
    scopes: tuple[str, ...]
    tokens: tuple[TokenView, ...] = ()
    created_by: Principal
    created_at: Instant
    revoked_at: Instant | None = None
    addresses: tuple[str, ...] = ()
    budget: Budget | None = None
    """Its own budget; what it leaves out has the default of its scopes."""


class ListClients(Read, frozen=True, kw_only=True):
    """Clients in the order of their names: all of them for an admin, otherwise the client itself and its viewing keys.

    ``after`` is the last name of the previous page.
    """

    after: ClientName | None = None
    limit: PageLimit = 100


class ClientPage(Result, frozen=True, kw_only=True):
    """One page of clients; ``next`` is the ``after`` of the following page, absent on the last."""

    clients: tuple[ClientView, ...]
    next: Principal | None = None
