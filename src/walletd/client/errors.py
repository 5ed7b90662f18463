"""The errors of a call.

    try:
        await client.pay("alice", "bob", 1250, "EUR")
    except Refused as refusal:          # decided and journaled: a repetition gets the same answer
        print(refusal.reason, refusal.facts)
    except OutcomeUnknown as unknown:   # ask again with unknown.command_id, at any time
        ...

Only ``OutcomeUnknown`` leaves open whether money moved.
"""

from collections.abc import Mapping
from typing import Any

from walletd.vocabulary.reasons import Outcome, Reason, Retry

FIRST_REFUSAL_CODE = 3001


class ClientError(Exception):
    """The base class of everything that this library raises by itself."""


class NotReachable(ClientError):
    """The daemon could not be reached, or did not answer in time; no command was applied by this call."""


class NotAnAddress(NotReachable):
    """The given address is not a daemon's address; nothing was tried."""


class ClosedForGood(NotReachable):
    """The daemon closed the connection with a code that means not to reconnect."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the daemon closed the connection for good: {code} {reason}".rstrip())
        self.code = code


class AuthenticationFailed(ClientError):
    """The daemon does not accept the token, or none was given."""


class UnreadableAnswer(ClientError):
    """The daemon's answer has a form that this version of the library does not know.  A command was applied."""


class StreamBroken(ClientError):
    """Events were missing, and were missing again after the stream was resumed from its cursor."""


class OutcomeUnknown(ClientError):
    """A command was sent and its answer never came: it may or may not have been applied.

    To send it again with the same ``command_id`` and the same content is always safe, and reveals the outcome.
    """

    def __init__(self, command_id: str, method: str) -> None:
        super().__init__(
            f"{method} was sent but not answered: it may or may not have been applied; "
            f"to find out, send it again with the same command id {command_id!r}"
        )
        self.command_id = command_id
        self.method = method


class RequestFailed(ClientError):
    """The daemon answered with an error.

    ``reason`` is a Reason, or the bare word if this version of the library does not know it; ``facts`` are the rest of
    ``error.data``; ``command_id`` is set if the request was a command.
    """

    def __init__(
        self,
        reason: Reason | str,
        message: str,
        *,
        outcome: Outcome,
        retry: Retry,
        facts: Mapping[str, Any] = {},
        command_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.outcome = outcome
        self.retry = retry
        self.facts = dict(facts)
        self.command_id = command_id

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.word!r}, {self.message!r})"

    @property
    def word(self) -> str:
        """The stable word for the reason, known or not."""
        return self.reason.value if isinstance(self.reason, Reason) else self.reason

    @property
    def retry_after_seconds(self) -> float | None:
        """The delay that the daemon asks for, if it does."""
        wait = self.facts.get("retry_after_ms")
        return wait / 1000 if isinstance(wait, int | float) and wait >= 0 else None


class Refused(RequestFailed):
    """A command was decided and refused.  Sent again with the same id, it always gets the same answer.

    A dry run is refused in the same words; then ``facts`` has ``dry_run``, and nothing was journaled.
    """


def failure_of(code: int, message: str, data: Mapping[str, Any], command_id: str | None) -> RequestFailed:
    """The exception for a JSON-RPC error object."""
    facts = dict(data)
    word = facts.pop("reason", None)
    outcome, retry = facts.pop("outcome", None), facts.pop("retry", None)
    kind = Refused if code >= FIRST_REFUSAL_CODE else RequestFailed
    return kind(
        _reason(word, code),
        message,
        outcome=Outcome(outcome) if outcome in _OUTCOMES else Outcome.UNKNOWN,
        retry=Retry(retry) if retry in _RETRIES else Retry.NEVER,
        facts=facts,
        command_id=command_id,
    )


def _reason(word: object, code: int) -> Reason | str:
    if isinstance(word, str):
        return _WORDS.get(word, word)
    return _BY_CODE.get(code, f"code_{code}")


_WORDS = {reason.value: reason for reason in Reason}
_OUTCOMES = {outcome.value for outcome in Outcome}
_RETRIES = {retry.value for retry in Retry}
_BY_CODE: dict[int, Reason | str] = {reason.code: reason for reason in Reason}


def no_such_asset(asset: str) -> RequestFailed:
    """The failure of a call about an undefined asset; the daemon was not asked."""
    reason = Reason.ASSET_NOT_FOUND
    message = f"there is no asset {asset}; nothing was sent"
    return RequestFailed(reason, message, outcome=Outcome.NOT_APPLIED, retry=reason.retry, facts={"asset": asset})


def nothing_left(transfer: str) -> RequestFailed:
    """The failure of a refund of the rest, where nothing is left; nothing was sent."""
    reason = Reason.REFUND_EXCEEDS_ORIGINAL
    message = f"all of {transfer} is refunded already; nothing was sent"
    facts = {"transfer": transfer, "refundable": "0"}
    return RequestFailed(reason, message, outcome=Outcome.NOT_APPLIED, retry=Retry.NEVER, facts=facts)
