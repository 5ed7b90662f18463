"""The messages of a session: authentication and ping."""

from typing import Annotated

import msgspec

from walletd.protocol.messages.base import Params, Result
from walletd.vocabulary.commands import Instant


class Authenticate(Params, frozen=True, kw_only=True):
    """Authenticate with a token; the session has its scopes from the answer on."""

    token: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class Authenticated(Result, frozen=True, kw_only=True):
    """The session's client, its scopes, and the end of their validity."""

    principal: str
    scopes: tuple[str, ...]
    expires_at: Instant | None = None


class Pong(Result, frozen=True, kw_only=True):
    """The daemon's clock and the last durable sequence."""

    time: Instant
    head: int
