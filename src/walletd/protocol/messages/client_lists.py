"""The messages about clients: what ``client.list`` and the client commands show of one."""

from datetime import datetime
from heapq import nsmallest
from itertools import takewhile

from walletd.ledger.client_book import ClientBook, live_tokens
from walletd.protocol.messages import ClientView, PageLimit, Params, Result, TokenView
from walletd.protocol.pages import PageRoom
from walletd.sessions.access import Grant
from walletd.vocabulary.entries import ClientRecord
from walletd.vocabulary.identifiers import ClientName, Principal
from walletd.vocabulary.scopes import ADMIN

SHOWN_OF_A_HASH = 12
"""Hexadecimal digits by which a token is told from the client's others."""


class ListClients(Params, frozen=True, kw_only=True):
    """Clients in the order of their names: all of them for an admin, else the client itself and its viewing keys.

    ``after`` is the last name of the page before.
    """

    after: ClientName | None = None
    limit: PageLimit = 100


class ClientPage(Result, frozen=True, kw_only=True):
    """One page of clients; ``next`` is the ``after`` of the following page, absent on the last."""

    clients: tuple[ClientView, ...]
    next: Principal | None = None


def client_view(record: ClientRecord, now: datetime) -> ClientView:
    """The client without its tokens' hashes; of its tokens those that are in force at this moment."""
    return ClientView(
        client=record.client,
        scopes=record.scopes,
        tokens=tuple(
            TokenView(token=token.sha256[:SHOWN_OF_A_HASH], created_at=token.created_at, expires_at=token.expires_at)
            for token in live_tokens(record, now)
        ),
        created_by=record.created_by,
        created_at=record.created_at,
        revoked_at=record.revoked_at,
    )


def client_page(clients: ClientBook, grant: Grant, asked: ListClients, now: datetime) -> ClientPage:
    """What this client may know of clients.  O(log clients + limit) for an admin, else O(its keys)."""
    after = asked.after or ""
    if grant.permits(ADMIN):
        found = clients.names_after(after, asked.limit + 1)
    else:
        names = {*clients.keys.get(grant.principal, ()), grant.principal} & clients.records.keys()
        found = nsmallest(asked.limit + 1, (name for name in names if name > after))
    views = [client_view(clients.records[name], now) for name in found[: asked.limit]]
    page = tuple(takewhile(PageRoom().takes, views))
    return ClientPage(clients=page, next=page[-1].client if len(found) > len(page) else None)
