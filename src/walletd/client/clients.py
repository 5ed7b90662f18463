"""Requests about clients, and their tokens.

    token = new_token()
    await client.create_client("shop", ["spend:shop-*"], token)

A token is made here and stays here: only its SHA-256 is sent and journaled.  The command can therefore be sent again,
byte for byte, until it is answered, and neither the journal nor a backup of it gives access.
"""

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from walletd.client.requests import Request, command, given, read
from walletd.client.results import Applied
from walletd.protocol.messages.clients import ClientPage

TOKEN_PREFIX = "walletd_"
"""Identifies the token to scanners for leaked secrets."""


def new_token() -> str:
    """A token that cannot be guessed: 256 random bits behind a prefix."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def token_sha256(token: str) -> str:
    """The hash of a token, which is all that the daemon receives."""
    return hashlib.sha256(token.encode()).hexdigest()


class Expiry(NamedTuple):
    """The end of something: a time, or a number of seconds after the daemon's decision; with neither, never."""

    at: datetime | None = None
    seconds: int | None = None


def create_client(
    client: str,
    scopes: Iterable[str],
    token: str,
    expiry: Expiry,
    addresses: Iterable[str] | None,
    budget: Mapping[str, int] | None,
    command_id: str | None,
) -> Request[Applied]:
    """``client.create``"""
    params = given(
        client=client,
        scopes=list(scopes),
        token_sha256=token_sha256(token),
        addresses=None if addresses is None else list(addresses),
        budget=budget,
        expires_at=aware("expires_at", expiry.at),
        expires_in_seconds=expiry.seconds,
    )
    return command("client.create", params, command_id)


def update_client(
    client: str,
    scopes: Iterable[str] | None,
    addresses: Iterable[str] | None,
    budget: Mapping[str, int] | None,
    command_id: str | None,
) -> Request[Applied]:
    """``client.update``"""
    params = given(
        client=client,
        scopes=None if scopes is None else list(scopes),
        addresses=None if addresses is None else list(addresses),
        budget=budget,
    )
    return command("client.update", params, command_id)


def rotate_client(client: str, token: str, expiry: Expiry, overlap: Expiry, command_id: str | None) -> Request[Applied]:
    """``client.rotate``"""
    params = given(
        client=client,
        token_sha256=token_sha256(token),
        expires_at=aware("expires_at", expiry.at),
        expires_in_seconds=expiry.seconds,
        overlap_until=aware("overlap_until", overlap.at),
        overlap_for_seconds=overlap.seconds,
    )
    return command("client.rotate", params, command_id)


def revoke_client(client: str, command_id: str | None) -> Request[Applied]:
    """``client.revoke``"""
    return command("client.revoke", {"client": client}, command_id)


def client_page(after: str | None, limit: int) -> Request[ClientPage]:
    """``client.list``"""
    return read("client.list", ClientPage, after=after, limit=limit)


def aware(name: str, moment: datetime | None) -> datetime | None:
    """The time.  Raises ValueError if it has no time zone."""
    if moment is not None and moment.tzinfo is None:
        raise ValueError(f"{name} needs a time zone, such as datetime.now(UTC) + timedelta(days=90)")
    return moment
