"""The facts of errors: the fields of ``error.data`` besides its reason, outcome and retry class.

facts_of(Reason.INSUFFICIENT_FUNDS)  ->  ["wallet", "available", "required", "short_by", "asset", "scale"]
"""

from string import Formatter
from typing import Any

from walletd.protocol.errors import AMOUNTS, SENTENCES
from walletd.vocabulary.reasons import Reason


def _fact(kind: str | list[str], meaning: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, **more, "description": meaning}


def _moment(meaning: str, *others: str) -> dict[str, Any]:
    return _fact(["string", *others] if others else "string", meaning, format="date-time")


_AMOUNT = "^-?(0|[1-9][0-9]*)$"

FACTS: dict[str, dict[str, Any]] = {
    "retry_after_ms": _fact("integer", "milliseconds to wait before trying again", minimum=0),
    "field": _fact(
        "string", "the field that the error is about, such as postings[0].amount; empty: the whole document"
    ),
    "posting": _fact("integer", "index of the refused posting"),
    "condition": _fact("integer", "index of the if_balance condition that does not hold"),
    "command": _fact("integer", "index of the refused command in the batch"),
    "sequence": _fact("integer", "the journal entry with the refusal, or with the command id's first use"),
    "replayed": _fact("boolean", "true if this repeats an earlier answer to the same command id"),
    "dry_run": _fact("boolean", "true if the command was a dry run"),
    "method": _fact("string", "the requested method"),
    "right": _fact(
        "string", "the missing right: view, spend, mint, open, freeze, define, keys, operate, metrics or admin"
    ),
    "scope": _fact("string", "a scope that would suffice"),
    "what": _fact("string", "the queue that is full, the sender that is too fast, or the part that is too large"),
    "number": _fact("integer", "how many the command would record"),
    "leader": _fact("string", "the URL of the node that leads the ledger, if this one does not and knows it"),
    "at_least": _fact("integer", "the entry that the answer should show"),
    "why": _fact("string", "why it is not possible now, or why the wallet is frozen"),
    "wallet": _fact("string", "the wallet that the error is about"),
    "wallets": _fact("array", "the wallets that were quarantined", items={"type": "string"}),
    "to": _fact("string", "the wallet that would receive the money"),
    "budget": _fact("string", "the budget that is used up, by the name of its field"),
    "asset": _fact("string", "the asset that the error is about"),
    "scale": _fact("integer", "the decimal places of the asset's main unit: 1250 of EUR with 2 are 12.50 EUR"),
    "hold": _fact("string", "the hold that the error is about"),
    "holds": _fact("integer", "the number of open holds"),
    "transfer": _fact("string", "the transfer that the error is about"),
    "given_up": _fact("boolean", "true if the id belongs to a history that a restore discarded"),
    "client": _fact("string", "the client that the error is about"),
    "principal": _fact("string", "who asked"),
    "needs": _fact("string", "the condition that would have to hold"),
    "command_id": _fact("string", "the command id already in use"),
    "subscription": _fact("integer", "the requested subscription"),
    "limit": _fact(["integer", "string"], "the limit that was reached; for velocity, an amount"),
    "amount": _fact("string", "the balance that the condition is about: posted or available"),
    "stands": _fact(["string", "null"], "its current value", pattern=_AMOUNT),
    "posted": _fact("string", "the posted balance", pattern=_AMOUNT),
    "held": _fact("string", "the part of it that is held", pattern=_AMOUNT),
    "floor": _fact("string", "the lowest balance permitted", pattern=_AMOUNT),
    "available": _fact("string", "the available balance", pattern=_AMOUNT),
    "required": _fact("string", "the amount that the command needs", pattern=_AMOUNT),
    "short_by": _fact("string", "the amount that is missing", pattern=_AMOUNT),
    "maximum": _fact("string", "the highest balance permitted", pattern=_AMOUNT),
    "would_have": _fact("string", "the balance that would result", pattern=_AMOUNT),
    "reserved": _fact("string", "the amount that the hold still reserves", pattern=_AMOUNT),
    "refundable": _fact("string", "the amount that can still be refunded", pattern=_AMOUNT),
    "window_seconds": _fact("integer", "the velocity window that is exceeded"),
    "used": _fact("string", "the amount sent within the window", pattern=_AMOUNT),
    "remaining": _fact("string", "the amount that may still be sent within it", pattern=_AMOUNT),
    "fits_at": _moment("when the amount would fit if nothing else is sent; null: never", "null"),
    "version": _fact("integer", "the wallet's current version"),
    "demanded": _fact("integer", "the version that if_version required"),
    "frozen": _fact("string", "what the freeze stops: debits, credits or both"),
    "until": _moment("when the freeze ends; null: not by itself", "null"),
    "opened_at": _moment("when the wallet was opened"),
    "created_at": _moment("when the client was created"),
    "revoked_at": _moment("when the client was revoked"),
    "valid_until": _moment("until when the command was valid"),
    "moment": _moment("the expiry or end given"),
    "time": _moment("the server's time"),
    "as_of": _fact(["integer", "string"], "the requested point in history"),
    "asked": _fact(["integer", "string", "null"], "the requested value"),
    "head": _fact("integer", "the last durable sequence"),
    "oldest": _fact("integer", "the oldest sequence that the journal holds"),
    "cursor": _fact("integer", "the cursor's sequence"),
    "cursor_epoch": _fact("integer", "the cursor's epoch"),
    "epoch": _fact("integer", "the journal's epoch"),
}
"""The type and the meaning of each fact."""

UNSPOKEN: dict[Reason, tuple[str, ...]] = {
    Reason.FORBIDDEN: ("right", "wallet"),
    Reason.OVERLOADED: ("wallet", "limit"),
    Reason.UNAVAILABLE: ("leader",),
    Reason.NOT_REACHED: ("leader",),
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
"""Facts that are amounts whatever the reason; a limit may also be a number of things."""

assert all(FACTS[name].get("pattern") == _AMOUNT for name in OF_AN_AMOUNT), "every amount is declared as one"


def facts_of(reason: Reason) -> list[str]:
    """The facts of the reason: those in its sentence, in its order, then the others."""
    words = [name for _, name, _, _ in Formatter().parse(SENTENCES.get(reason, "")) if name]
    words += UNSPOKEN.get(reason, ())
    of_asset = ("asset", "scale") if "asset" in words or not OF_AN_AMOUNT.isdisjoint(words) else ()
    return list(dict.fromkeys([*words, *of_asset]))


assert all(fact in FACTS for reason in Reason for fact in facts_of(reason)), "every fact is declared"
