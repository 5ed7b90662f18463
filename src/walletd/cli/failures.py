"""A failure for people and scripts: one sentence that says what to do, an error object, an exit code.

People read amounts in the main unit with the code; scripts get smallest units, with the scale beside the asset.

    told(error, scales).sentence    # "wallet alice has 3.00 EUR available and needs 12.50 EUR: 9.50 EUR short ..."
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from walletd.cli.hints import hint
from walletd.cli.peers import NotTold
from walletd.client import (
    AuthenticationFailed,
    ClientError,
    NotAnAddress,
    NotReachable,
    OutcomeUnknown,
    RequestFailed,
)
from walletd.protocol.errors import AMOUNTS, error_object
from walletd.runtime.ending import (
    EXIT_AUTHENTICATION,
    EXIT_REFUSED,
    EXIT_SOFTWARE,
    EXIT_TRY_LATER,
    EXIT_UNAVAILABLE,
    EXIT_USAGE,
)
from walletd.vocabulary.reasons import Reason

NOT_PERMITTED = {Reason.AUTHENTICATION_REQUIRED, Reason.AUTHENTICATION_FAILED, Reason.FORBIDDEN}

ADVICE: dict[Reason, str] = {
    Reason.WALLET_NOT_FOUND: "open it with: walletd wallet open {wallet}",
    Reason.UNKNOWN_WALLET: "open it with: walletd wallet open {wallet}",
    Reason.ASSET_NOT_FOUND: "define it with: walletd asset define {asset}/2 (2 is the number of decimal places)",
}


class Message(NamedTuple):
    """A failure, ready to print."""

    sentence: str
    document: dict[str, Any]
    exit_code: int


def told(error: ClientError, scales: Mapping[str, int] = {}, address: str | None = None) -> Message:
    """The failure in words; with the scales of the assets, its amounts are in main units.

    With the address of a daemon that could not be reached, it says what to do.
    """
    match error:
        case RequestFailed():
            facts = scaled(error.facts, scales)
            return Message(_refusal_sentence(error, facts), _error_object(error, facts), _exit_code(error))
        case NotTold():
            return _plain("token_not_sent", str(error), EXIT_AUTHENTICATION)
        case AuthenticationFailed():
            advice = (
                "give the daemon's token with --token-file, or run this in the directory where the daemon was started"
            )
            return _plain("authentication_failed", f"{str(error).rstrip('.')}; {advice}", EXIT_AUTHENTICATION)
        case OutcomeUnknown():
            document = {"reason": "outcome_unknown", "message": str(error), "command_id": error.command_id}
            sentence = f"{error}: repeat the command with --command-id {error.command_id}"
            return Message(sentence, document, EXIT_TRY_LATER)
        case NotAnAddress():
            return _plain("not_an_address", str(error), EXIT_USAGE)
        case NotReachable():
            advice = "" if address is None else hint(error, address)
            sentence = f"{_unasked(error)}; {advice}" if advice else str(error)
            return _plain("not_reachable", sentence, EXIT_UNAVAILABLE)
        case _:
            return _plain("client_error", str(error), EXIT_SOFTWARE)


def _plain(reason: str, sentence: str, exit_code: int) -> Message:
    return Message(sentence, {"reason": reason, "message": sentence}, exit_code)


def _unasked(error: NotReachable) -> str:
    """The address that could not be reached, without the library's question."""
    return str(error).removesuffix("; is it running?")


def _exit_code(error: RequestFailed) -> int:
    if error.reason in NOT_PERMITTED:
        return EXIT_AUTHENTICATION
    if isinstance(error.reason, Reason) and error.reason.is_malformed and error.reason is not Reason.INTERNAL_ERROR:
        return EXIT_USAGE
    return EXIT_REFUSED


def scaled(facts: Mapping[str, Any], scales: Mapping[str, int]) -> Mapping[str, Any]:
    """The facts with the scale of their asset, which an earlier version of the daemon leaves out."""
    scale = scales.get(str(facts.get("asset")))
    return facts if "scale" in facts or scale is None else {**facts, "scale": scale}


def _error_object(error: RequestFailed, facts: Mapping[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = {
        "reason": error.word,
        "message": error.message,
        "outcome": error.outcome.value,
        "retry": error.retry.value,
        "facts": facts,
    }
    return document if error.command_id is None else document | {"command_id": error.command_id}


def _refusal_sentence(error: RequestFailed, facts: Mapping[str, Any]) -> str:
    said = _in_main_units(error, facts) or error.message
    said = said.partition("; nothing was sent")[0].partition("; define it")[0].partition("; open it")[0]
    advice = ADVICE.get(error.reason) if isinstance(error.reason, Reason) else None
    if advice is not None:
        with suppress(KeyError):
            said = f"{said}; {advice.format_map(facts)}"
    before = f"; answered before, by entry {facts.get('sequence')}" if facts.get("replayed") else ""
    return f"{said} ({error.word}{before})"


def _in_main_units(error: RequestFailed, facts: Mapping[str, Any]) -> str | None:
    """The refusal's own sentence; None if it has no amounts, or if some of its facts are unknown."""
    if not isinstance(error.reason, Reason) or not AMOUNTS.intersection(facts) or "scale" not in facts:
        return None
    said = error_object(error.reason, facts).message
    return None if said.endswith(error.reason.meaning) else said
