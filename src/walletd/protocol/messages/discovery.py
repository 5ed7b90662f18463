"""The message that describes all messages: the answer to ``rpc.discover``."""

from typing import Any, Literal

import msgspec

from walletd.protocol.messages.base import Result


class Contract(Result, frozen=True, kw_only=True):
    """An AsyncAPI 3.1 document: this protocol in machine-readable form."""

    asyncapi: Literal["3.1.0"]
    info: dict[str, Any]
    default_content_type: str = msgspec.field(name="defaultContentType")
    servers: dict[str, Any]
    channels: dict[str, Any]
    operations: dict[str, Any]
    components: dict[str, Any]
    errors: list[dict[str, Any]] = msgspec.field(name="x-errors")
    errors_before_any_method: list[str] = msgspec.field(name="x-errors-before-any-method")
    close_codes: list[dict[str, Any]] = msgspec.field(name="x-close-codes")
    over_http: dict[str, Any] = msgspec.field(name="x-http")
    limits: list[dict[str, Any]] = msgspec.field(name="x-limits")
