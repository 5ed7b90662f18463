"""The facts of errors: what ``error.data`` may have besides its reason, outcome and retry class.

facts_of(Reason.INSUFFICIENT_FUNDS)  ->  ["wallet", "available", "required", "short_by", "asset", "scale"]
"""

from string import Formatter
from typing import Any

from walletd.protocol.errors import AMOUNTS, SENTENCES
from walletd.vocabulary.error_codes import Reason


def _fact(kind: str | list[str], meaning: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, **more, "description": meaning}


def _moment(meaning: str, *others: str) -> dict[str, Any]:
    return _fact(["string", *others] if others else "string", meaning, format="date-time")


_AMOUNT = "^-?(0|[1-9][0-9]*)$"

FACTS: dict[str, dict[str, Any]] = {
    "retry_after_ms": _fact("integer", "come back after so many milliseconds", minimum=0),
    "field": _fact("string", "the field that the error is about: postings[0].amount; empty: the whole"),
    "posting": _fact("integer", "the index of the posting that was refused"),
    "condition": _fact("integer", "the index of the condition of if_balance that does not hold"),
    "command": _fact("integer", "the index of the command of the batch that was refused"),
    "sequence": _fact("integer", "the journal entry that has the refusal, or the command id's first use"),
    "replayed": _fact("boolean", "this answer was given before, to the same command id"),
    "dry_run": _fact("boolean", "the command was only tried"),
    "method": _fact("string", "the method asked for"),
    "right": _fact("string", "what the scopes lack: view, spend, operate, metrics, admin"),
    "scope": _fact("string", "the scope that would do"),
    "what": _fact("string", "the queue that is full, who sends too fast, or what is too large"),
    "number": _fact("integer", "how much of it the command would record"),
    "why": _fact("string", "why the journal takes no writes, or why the wallet is frozen"),
    "wallet": _fact("string", "the wallet that the error is about"),
    "wallets": _fact("array", "the wallets that were quarantined", items={"type": "string"}),
    "to": _fact("string", "the wallet that the money would go to"),
    "asset": _fact("string", "the asset that the error is about"),
    "scale": _fact("integer", "the decimal places of the asset's main unit: 1250 of EUR with 2 are 12.50 EUR"),
    "hold": _fact("string", "the hold that the error is about"),
    "holds": _fact("integer", "how many holds are open"),
    "transfer": _fact("string", "the transfer that the error is about"),
    "given_up": _fact("boolean", "the id belongs to a history that a restore gave up"),
    "client": _fact("string", "the client that the error is about"),
    "principal": _fact("string", "who asked"),
    "needs": _fact("string", "what would have to be so"),
    "command_id": _fact("string", "the command id that is taken"),
    "subscription": _fact("integer", "the subscription asked for"),
    "limit": _fact(["integer", "string"], "as many or as much as there may be; of velocity: an amount"),
    "amount": _fact("string", "which amount the condition is about: posted or available"),
    "stands": _fact(["string", "null"], "what that amount is", pattern=_AMOUNT),
    "posted": _fact("string", "what the wallet has", pattern=_AMOUNT),
    "held": _fact("string", "what of it is held", pattern=_AMOUNT),
    "floor": _fact("string", "what the wallet must have at least", pattern=_AMOUNT),
    "available": _fact("string", "what can be paid", pattern=_AMOUNT),
    "required": _fact("string", "what the command takes", pattern=_AMOUNT),
    "short_by": _fact("string", "how much is missing", pattern=_AMOUNT),
    "maximum": _fact("string", "what the wallet may have at most", pattern=_AMOUNT),
    "would_have": _fact("string", "what it would have", pattern=_AMOUNT),
    "reserved": _fact("string", "what the hold still reserves", pattern=_AMOUNT),
    "refundable": _fact("string", "what can still go back", pattern=_AMOUNT),
    "window_seconds": _fact("integer", "the velocity window that is exceeded"),
    "used": _fact("string", "what went out within the window", pattern=_AMOUNT),
    "remaining": _fact("string", "what may still go out within it", pattern=_AMOUNT),
    "fits_at": _moment("from when on it would fit, if nothing else goes out; null: never", "null"),
    "version": _fact("integer", "the version that the wallet is at"),
    "demanded": _fact("integer", "the version that if_version named"),
    "frozen": _fact("string", "what the freeze stops: debits, credits or both"),
    "until": _moment("when the freeze ends; null: it does not by itself", "null"),
    "opened_at": _moment("when the wallet was opened"),
    "created_at": _moment("when the client was let in"),
    "revoked_at": _moment("when the client was revoked"),
    "valid_until": _moment("until when the command was valid"),
    "moment": _moment("the end that was named"),
    "time": _moment("the server's time"),
    "as_of": _fact(["integer", "string"], "the point of the history asked for"),
    "asked": _fact(["integer", "string", "null"], "what was asked for"),
    "head": _fact("integer", "the last durable sequence"),
    "oldest": _fact("integer", "the oldest sequence that the journal holds"),
    "cursor": _fact("integer", "the cursor's sequence"),
    "cursor_epoch": _fact("integer", "the cursor's epoch"),
    "epoch": _fact("integer", "the journal's epoch"),
}
"""The type and the meaning of each."""

UNSPOKEN: dict[Reason, tuple[str, ...]] = {
    Reason.FORBIDDEN: ("right", "wallet"),
    Reason.OVERLOADED: ("wallet", "limit"),
    Reason.UNKNOWN_WALLET: ("as_of",),
    Reason.INTERNAL_ERROR: ("wallets",),
    Reason.TRANSFER_NOT_FOUND: ("given_up",),
    Reason.HOLD_NOT_FOUND: ("given_up",),
    Reason.ORIGINAL_NOT_FOUND: ("given_up",),
    Reason.HOLD_NOT_OPEN: ("given_up",),
    Reason.WALLET_FROZEN: ("until",),
    Reason.INSUFFICIENT_FUNDS: ("posting",),
    Reason.ABOVE_MAXIMUM: ("posting",),
    Reason.CAPTURE_EXCEEDS_HOLD: ("wallet",),
    Reason.TOO_MANY_CLIENTS: ("client",),
    Reason.LIMITS_NOT_MET: ("held", "floor", "maximum"),
    Reason.VELOCITY_EXCEEDED: ("used", "fits_at"),
}
"""Facts that the reason's sentence leaves out."""

OF_AN_AMOUNT = AMOUNTS - {"limit"}
"""Facts that are amounts whatever the reason; a limit may be a number of things, too."""

assert all(FACTS[name].get("pattern") == _AMOUNT for name in OF_AN_AMOUNT), "every amount is declared as one"


def facts_of(reason: Reason) -> list[str]:
    """The facts of the reason: those that its sentence is made of, in its order, then the others."""
    words = [name for _, name, _, _ in Formatter().parse(SENTENCES.get(reason, "")) if name]
    words += UNSPOKEN.get(reason, ())
    of_asset = ("asset", "scale") if "asset" in words or not OF_AN_AMOUNT.isdisjoint(words) else ()
    return list(dict.fromkeys([*words, *of_asset]))


assert all(fact in FACTS for reason in Reason for fact in facts_of(reason)), "every fact is declared"
