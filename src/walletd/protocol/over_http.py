"""One request over plain HTTP: its path, and the status of each answer.

status_of("rate_limited")  ->  HTTPStatus.TOO_MANY_REQUESTS
"""

from http import HTTPStatus

from walletd.vocabulary.reasons import Reason

RPC_PATH = "/v1/rpc"

STATUSES: dict[Reason, HTTPStatus] = {
    Reason.PARSE_ERROR: HTTPStatus.BAD_REQUEST,
    Reason.INVALID_REQUEST: HTTPStatus.BAD_REQUEST,
    Reason.INVALID_PARAMS: HTTPStatus.BAD_REQUEST,
    Reason.METHOD_NOT_FOUND: HTTPStatus.NOT_FOUND,
    Reason.INTERNAL_ERROR: HTTPStatus.INTERNAL_SERVER_ERROR,
    Reason.AUTHENTICATION_REQUIRED: HTTPStatus.UNAUTHORIZED,
    Reason.AUTHENTICATION_FAILED: HTTPStatus.UNAUTHORIZED,
    Reason.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Reason.DRAINING: HTTPStatus.SERVICE_UNAVAILABLE,
    Reason.OVERLOADED: HTTPStatus.SERVICE_UNAVAILABLE,
    Reason.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Reason.WALLET_QUARANTINED: HTTPStatus.SERVICE_UNAVAILABLE,
    Reason.RATE_LIMITED: HTTPStatus.TOO_MANY_REQUESTS,
    Reason.QUOTA_EXCEEDED: HTTPStatus.TOO_MANY_REQUESTS,
}
"""The status of an error, by its reason."""

REFUSED = HTTPStatus.UNPROCESSABLE_ENTITY
"""Of every other one: the request was understood, and refused."""

_BY_WORD = {reason.value: status for reason, status in STATUSES.items()}


def status_of(word: str) -> HTTPStatus:
    """The status of an error, by the word of its reason."""
    return _BY_WORD.get(word, REFUSED)


ALL_STATUSES = sorted({HTTPStatus.OK, REFUSED, *STATUSES.values()})
"""Of every answer to a request that was handed on."""
