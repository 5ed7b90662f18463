"""Clients as they are shown: without the hashes of their tokens, and only those that a grant may know."""

from datetime import datetime
from heapq import nsmallest
from itertools import takewhile

from walletd.ledger.client_book import ClientBook, live_tokens
from walletd.protocol.messages import ClientView, TokenView
from walletd.protocol.messages.clients import ClientPage, ListClients
from walletd.protocol.pages import PageRoom
from walletd.sessions.access import Grant
from walletd.vocabulary.entries import ClientRecord
from walletd.vocabulary.scopes import ADMIN

SHOWN_OF_A_HASH = 12
"""The number of hexadecimal digits that tell a token from the client's others."""


def client_view(record: ClientRecord, now: datetime) -> ClientView:
    """The client without its tokens' hashes, and with those tokens that are valid at this time."""
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
        addresses=record.addresses,
        budget=record.budget,
    )


def client_page(clients: ClientBook, grant: Grant, asked: ListClients, now: datetime) -> ClientPage:
    """The clients that this grant may see.  O(log clients + limit) for an admin, else O(its keys)."""
    after = asked.after or ""
    if grant.permits(ADMIN):
        found = clients.names_after(after, asked.limit + 1)
    else:
        names = {*clients.keys.get(grant.principal, ()), grant.principal} & clients.records.keys()
        found = nsmallest(asked.limit + 1, (name for name in names if name > after))
    views = [client_view(clients.records[name], now) for name in found[: asked.limit]]
    page = tuple(takewhile(PageRoom().takes, views))
    return ClientPage(clients=page, next=page[-1].client if len(found) > len(page) else None)
