"""An exchange: a request and its fate, over any number of connections.

Here is decided whether a caller may trust an error: was the command decided, may it have been applied, is another
attempt worthwhile.
"""

from collections.abc import Callable
from typing import Any, Generic

import msgspec

from walletd.client.errors import ClientError, NotReachable, OutcomeUnknown, Refused, RequestFailed
from walletd.client.requests import Answer, Request
from walletd.vocabulary.reasons import Outcome, Reason, Retry

BUSY = {Reason.DRAINING, Reason.OVERLOADED, Reason.RATE_LIMITED, Reason.UNAVAILABLE, Reason.QUOTA_EXCEEDED}
"""Answers that mean "not now": nothing was decided, and the same request is welcome later."""

_encode = msgspec.json.Encoder().encode


class Exchange(Generic[Answer]):
    """A request and its fate."""

    __slots__ = (
        "error",
        "failures",
        "frame",
        "id",
        "in_doubt",
        "is_abandoned",
        "is_in_flight",
        "is_over",
        "last_failure",
        "request",
        "result",
        "settle",
    )

    def __init__(self, exchange_id: int, request: Request[Answer], settle: Callable[["Exchange[Any]"], None]) -> None:
        self.id = exchange_id
        self.request = request
        self.settle = settle
        self.frame = _encode({"jsonrpc": "2.0", "id": exchange_id, "method": request.method, "params": request.params})
        self.is_in_flight = False
        self.in_doubt = False
        """True if it was sent once and neither decided nor declined: it may have been applied."""
        self.is_abandoned = False
        self.is_over = False
        self.failures = 0
        self.last_failure: RequestFailed | None = None
        self.result: Answer | None = None
        self.error: Exception | None = None

    def outcome(self) -> Answer:
        """The result.  Raises the error that the exchange failed with."""
        assert self.is_over
        if self.error is not None:
            raise self.error
        assert self.result is not None
        return self.result

    def overdue(self, seconds: float) -> ClientError:
        """The error for a caller that stops waiting now."""
        if self.request.changes and (self.in_doubt or self.is_in_flight):
            return OutcomeUnknown(self.request.command_id or "", self.request.method)
        if self.last_failure is not None:
            return self.last_failure
        return NotReachable(f"{self.request.method} was not answered within {seconds:g} s; nothing was applied")


def decides(failure: RequestFailed) -> bool:
    """True if the answer settles the command's outcome, however often it was sent before."""
    if isinstance(failure.reason, Reason) and failure.reason.is_malformed:
        return failure.reason is not Reason.INTERNAL_ERROR
    return isinstance(failure, Refused)


def is_passing(failure: RequestFailed) -> bool:
    """True if the same request may succeed soon: the daemon was busy, or does not know the outcome."""
    if failure.reason in BUSY:
        return True
    return (
        failure.command_id is not None and failure.outcome is Outcome.UNKNOWN and failure.retry is Retry.SAME_COMMAND_ID
    )


def too_large(exchange: Exchange[Any], limit: int) -> RequestFailed:
    """The failure of a request that was never sent, because the daemon would close the connection over it."""
    size = len(exchange.frame)
    return RequestFailed(
        Reason.INVALID_REQUEST,
        f"the request has {size} bytes and the daemon accepts at most {limit}; it was not sent",
        outcome=Outcome.NOT_APPLIED,
        retry=Retry.NEVER,
        facts={"bytes": size, "limit": limit},
        command_id=exchange.request.command_id,
    )
