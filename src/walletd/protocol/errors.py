"""Errors as a client sees them: a code, a sentence that says what to do, and ``data`` for programs.

    failure(7, refusal.reason, refusal.facts)  ->  the bytes of a JSON-RPC error response

``error.data`` always has ``reason``, ``outcome`` and ``retry``; ``retry_after_ms`` if it helps; then the facts.  The
facts are for programs: amounts in smallest units, with the asset and its ``scale``.  The sentence is for people:
amounts in the main unit with the asset's code, as ``12.50 EUR``.
"""

import functools
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from walletd.protocol.envelope import Failure
from walletd.protocol.messages import ErrorObject
from walletd.vocabulary.commands import MAX_SECONDS
from walletd.vocabulary.entries import AssetRecord
from walletd.vocabulary.money import format_amount
from walletd.vocabulary.reasons import Outcome, Reason, Retry
from walletd.vocabulary.sameness import is_circumstance

_encode = msgspec.json.Encoder().encode

SENTENCES: dict[Reason, str] = {
    Reason.METHOD_NOT_FOUND: "there is no method {method!r}",
    Reason.FORBIDDEN: "the token does not permit {method}; it needs the scope {scope}",
    Reason.OVERLOADED: "{what} is full; try again after {retry_after_ms} ms with the same command id",
    Reason.RATE_LIMITED: "{what} sends requests too fast; try again after {retry_after_ms} ms with the same command id",
    Reason.UNAVAILABLE: "not possible now: {why}; try again after {retry_after_ms} ms",
    Reason.WALLET_QUARANTINED: (
        "wallet {wallet} is quarantined: its state violates an invariant; an operator has to investigate"
    ),
    Reason.QUOTA_EXCEEDED: (
        "the client's budget {budget} of {limit} is used up; "
        "try again after {retry_after_ms} ms with the same command id"
    ),
    Reason.ENTRY_NOT_FOUND: "there is no entry {asked}",
    Reason.TRANSFER_NOT_FOUND: "there is no transfer {transfer}",
    Reason.UNKNOWN_WALLET: "there is no wallet {wallet}",
    Reason.SUBSCRIPTION_NOT_FOUND: "this session has no subscription {subscription}",
    Reason.TOO_MANY_SUBSCRIPTIONS: "this session has reached its limit of {limit} subscriptions; end one first",
    Reason.SNAPSHOT_TOO_LARGE: (
        "the snapshot would hold more than {limit} wallets, or more than fits into one message; "
        "page through wallet.list, then subscribe after its sequence"
    ),
    Reason.EPOCH_CHANGED: (
        "the cursor belongs to epoch {cursor_epoch}, but the journal is at epoch {epoch}; start from a snapshot"
    ),
    Reason.FUTURE_CURSOR: "the cursor {cursor} lies beyond the head {head}",
    Reason.INVALID_CURSOR: (
        "{field!r} belongs to a different query, or to the history before a restore; repeat the params of the previous "
        "page, or begin without a cursor"
    ),
    Reason.FUTURE_MOMENT: "'{field}' ({asked}) lies in the future: the last entry is {head} and the time is {time}",
    Reason.NOT_REACHED: "this node stands at entry {head}, not at {at_least}; try again after {retry_after_ms} ms",
    Reason.HOLD_NOT_FOUND: "wallet {wallet} never had a hold {hold}",
    Reason.CURSOR_EXPIRED: "the journal begins at entry {oldest}; start from a snapshot",
    Reason.COMMAND_ID_REUSED: (
        "command id {command_id!r} was already used for another command (entry {sequence}): {field} differs; "
        "use a new command id"
    ),
    Reason.COMMAND_EXPIRED: "the command was valid until {valid_until}; it is now {time}",
    Reason.ASSET_ALREADY_DEFINED: "asset {asset} is already defined, with scale {scale}",
    Reason.ASSET_NOT_FOUND: "there is no asset {asset}; define it first with asset.define",
    Reason.WALLET_ALREADY_EXISTS: "wallet {wallet} already exists; it was opened at {opened_at}",
    Reason.WALLET_NOT_FOUND: "there is no wallet {wallet}; open it first with wallet.open",
    Reason.SELF_TRANSFER: "posting {posting} moves money from {wallet} to itself",
    Reason.ORIGINAL_NOT_FOUND: "there is no transfer or capture {transfer} to refund",
    Reason.BEYOND_OWN_ACCESS: "{field} goes beyond what {principal} may grant: {needs}",
    Reason.CLIENT_ALREADY_EXISTS: "client {client} already exists; it was created at {created_at}",
    Reason.CLIENT_NOT_FOUND: "there is no client {client} that you may change",
    Reason.KEPT_IN_FILE: "the token of {client} comes from its file: replace the file and restart the daemon",
    Reason.VERSION_MISMATCH: "wallet {wallet} is at version {version}, not {demanded}; read it again",
    Reason.BALANCE_MISMATCH: "condition {condition} does not hold: the {amount} balance of {wallet} is {stands}",
    Reason.REFUND_EXCEEDS_ORIGINAL: (
        "of the amount that {transfer} moved to {wallet}, {refundable} can still be refunded to {to}; the refund asks "
        "for {required}"
    ),
    Reason.WALLET_CLOSED: "wallet {wallet} is closed",
    Reason.INSUFFICIENT_FUNDS: "wallet {wallet} has {available} available and needs {required}: {short_by} short",
    Reason.WALLET_FROZEN: "wallet {wallet} is frozen ({frozen}): {why}",
    Reason.WALLET_NOT_FROZEN: "wallet {wallet} is not frozen",
    Reason.HOLD_NOT_OPEN: "wallet {wallet} has no open hold {hold}; hold.get shows its state",
    Reason.MOMENT_PASSED: "{field} ({moment}) has already passed; it is now {time}",
    Reason.TOO_MANY_HOLDS: "wallet {wallet} has reached its limit of {limit} open holds; capture or void some",
    Reason.HOLDS_OPEN: "wallet {wallet} has {holds} open holds; capture or void them before you close it",
    Reason.CAPTURE_EXCEEDS_HOLD: "hold {hold} still reserves {reserved}; the capture asks for {required}",
    Reason.WALLET_NOT_EMPTY: "wallet {wallet} still has {posted}; name a wallet in sweep_to, or settle it first",
    Reason.LIMITS_NOT_MET: "wallet {wallet} has {posted} posted, which is outside these limits",
    Reason.VELOCITY_EXCEEDED: (
        "wallet {wallet} may send {limit} within {window_seconds} s; {remaining} of that is left, "
        "and the command needs {required}"
    ),
    Reason.ABOVE_MAXIMUM: "wallet {wallet} may hold at most {maximum}; it would have {would_have}",
    Reason.CLIENT_REVOKED: "client {client} was revoked at {revoked_at}; create a new one",
    Reason.TOKEN_IN_USE: "this token already belongs to a client; make a fresh one",
    Reason.TOO_MANY_TOKENS: "client {client} has reached its limit of {limit} valid tokens",
    Reason.TOO_MANY_CLIENTS: "the limit of {limit} clients or viewing keys has been reached",
    Reason.ENTRY_TOO_LARGE: "{what}: {number}; one journal entry holds at most {limit}; split the command",
    Reason.LAST_ADMIN: (
        "without {client}, no admin with a token that does not expire would remain; create another one first"
    ),
}

GIVEN_UP = "; the id belongs to a history that a restore discarded"
"""The end of the sentence if an id belongs to entries that a restore left out."""

_REFUSED_BEFORE = (
    "command id {command_id!r} was already used for another command, which was refused (entry {sequence}); "
    "use a new command id"
)
"""The first field that differs is not known any more: the journal keeps only the digest of a refused command."""

_ASKED_FOR_AGAIN = (
    "command id {command_id!r} was already used for this command with another {field} (entry {sequence}); "
    "to get its answer, repeat it exactly as first sent: with a new command id it would be applied twice"
)

AMOUNTS = frozenset(
    {
        *("stands", "posted", "held", "floor", "available", "required", "short_by", "maximum", "would_have", "limit"),
        *("reserved", "refundable", "used", "remaining"),
    }
)
"""The facts that are amounts of ``asset`` in smallest units, if they are strings."""

_UNITS = re.compile(r"-?[0-9]+")

_HINTS = {
    "amount": (
        'a whole number of the asset\'s smallest unit from 1 to 10^36-1, as a decimal string such as "1250": '
        "no sign, point, exponent or leading zero"
    ),
    "wallet": "a wallet name: letters, digits and . _ : / - , at most 63; a leading @ makes a system wallet",
    "prefix": "the beginning of wallet names: letters, digits and . _ : / - , at most 63, optionally after an @",
    "asset": "an asset code: capital letters, digits and . _ - , at most 16, such as EUR",
    "scale": "the number of decimal places, a whole number from 0 to 30",
    "command_id": "a command id that you choose: 1 to 64 printable ASCII characters without spaces",
    "transfer": 'a transfer id such as "t123", as the daemon returned it',
    "hold": 'a hold id such as "h123", as the daemon returned it',
    "gte": "a whole number of the asset's smallest unit, as a decimal string, which may be negative",
    "credit_limit": "a whole number of the asset's smallest unit from 0 to 10^36-1, as a decimal string",
    "client": "a client's name: letters, digits and . _ : - , at most 63; a viewing key's is OWNER/WORD",
    "scopes": "admin, operate, metrics, spend:WALLET, spend:PREFIX*, view:WALLET or view:PREFIX*; at most 64 of them",
    "token_sha256": "the SHA-256 of the token: 64 hexadecimal digits, lower case",
    "token": "a token: a string of at most 256 characters",
    "id": "a whole number up to 2^53-1 or a string of at most 64 characters",
    "jsonrpc": 'the string "2.0"',
    "params": "an object",
    "valid_until": 'a time with an offset, such as "2030-01-31T12:00:00Z"',
}
_HINTS["as_of"] = _HINTS["since"] = (
    'the sequence of an entry, such as 12, or a time with an offset, such as "2030-01-31T12:00:00Z"'
)
_HINTS["counterparty"] = _HINTS["wallet"]
_HINTS["overlap_until"] = _HINTS["expires_at"] = _HINTS["until"] = _HINTS["valid_until"]
_HINTS["expires_in_seconds"] = _HINTS["until_in_seconds"] = _HINTS["valid_for_seconds"] = (
    f"a whole number of seconds from 1 to {MAX_SECONDS}, a hundred years"
)
_HINTS["overlap_for_seconds"] = _HINTS["expires_in_seconds"]
_HINTS["lte"] = _HINTS["eq"] = _HINTS["gte"]
_HINTS["seconds"] = "a window in seconds, a whole number from 1 to 31622400"
_HINTS["minimum"] = _HINTS["maximum"] = _HINTS["credit_limit"]
_HINTS["sweep_to"] = _HINTS["from"] = _HINTS["to"] = _HINTS["wallets"] = _HINTS["wallet"]


_KEY_HINTS = {"if_version": _HINTS["wallet"], "limits": _HINTS["asset"], "metadata": "a string of 1 to 40 characters"}


ALSO = {Reason.COMMAND_ID_REUSED: Retry.NEVER}
"""Reasons with an additional retry class: a reused command id whose command asks for the same thing in another way."""


class InvalidParams(Exception):
    """A parameter that its type permits but its method does not."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field
        self.sentence = sentence


def failure(
    request_id: int | str | None,
    reason: Reason,
    facts: Mapping[str, Any] = {},
    *,
    outcome: Outcome = Outcome.NOT_APPLIED,
    message: str | None = None,
) -> bytes:
    """The response that says why the request failed."""
    if reason is Reason.OVERLOADED:
        return _encode(Failure(id=request_id, error=_overloaded(tuple(facts.items()))))
    return _encode(Failure(id=request_id, error=error_object(reason, facts, outcome=outcome, message=message)))


@functools.lru_cache(maxsize=64)
def _overloaded(facts: tuple[tuple[str, Any], ...]) -> msgspec.Raw:
    """The encoded error of an overload: it is repeated thousands of times a second, and must not cost the time it
    saves.
    """
    return msgspec.Raw(_encode(error_object(Reason.OVERLOADED, dict(facts))))


def error_object(
    reason: Reason,
    facts: Mapping[str, Any],
    *,
    outcome: Outcome = Outcome.NOT_APPLIED,
    message: str | None = None,
) -> ErrorObject:
    """The error itself; in a batch it names the command's place."""
    retry = ALSO[reason] if _asks_for_the_same(reason, facts) else reason.retry
    data: dict[str, Any] = {"reason": reason.value, "outcome": outcome.value, "retry": retry.value, **facts}
    place = f"command {facts['command']} of the batch: " if "command" in facts else ""
    lost = GIVEN_UP if facts.get("given_up") else ""
    return ErrorObject(reason.code, message or place + sentence(reason, facts) + lost, data)


def with_scale(facts: Mapping[str, Any], assets: Mapping[Any, AssetRecord]) -> Mapping[str, Any]:
    """The facts with the scale of their asset, which a program needs to show the amounts."""
    known = assets.get(facts.get("asset"))
    return facts if known is None or "scale" in facts else {**facts, "scale": known.scale}


def sentence(reason: Reason, facts: Mapping[str, Any]) -> str:
    """The failure in words: with its facts if they are complete, otherwise the reason's meaning."""
    template = _ASKED_FOR_AGAIN if _asks_for_the_same(reason, facts) else SENTENCES.get(reason)
    if reason is Reason.COMMAND_ID_REUSED and "field" not in facts:
        template = _REFUSED_BEFORE
    if template is None:
        return reason.meaning
    try:
        return template.format_map({name: _word(name, fact, facts) for name, fact in facts.items()})
    except KeyError:
        return reason.meaning


def _asks_for_the_same(reason: Reason, facts: Mapping[str, Any]) -> bool:
    """True if a command id belongs to a command that wanted the same, under other conditions or with another expiry."""
    return reason is Reason.COMMAND_ID_REUSED and is_circumstance(str(facts.get("field", "")))


def _word(name: str, fact: Any, facts: Mapping[str, Any]) -> Any:
    """A fact as people read it: an amount in the main unit with the asset's code, or in named units."""
    if name not in AMOUNTS or "asset" not in facts:
        return fact
    if fact is None:
        return "unlimited"
    if not isinstance(fact, str) or not _UNITS.fullmatch(fact):
        return fact
    asset, scale = facts["asset"], facts.get("scale")
    return f"{format_amount(int(fact), scale)} {asset}" if isinstance(scale, int) else f"{fact} units of {asset}"


def explain(complaint: str, whole: str) -> tuple[str, str]:
    """The field that a decoding error is about, and a sentence about it.

    ``complaint`` is msgspec's message, such as "Expected `str`, got `int` - at `$.postings[0].amount`"; ``whole``
    names the document that was decoded.
    """
    match = _COMPLAINT.fullmatch(complaint)
    assert match is not None
    what, is_key, path = match.group("what"), match.group("key"), (match.group("path") or "").lstrip(".")
    named = _NAMED_FIELD.search(what)
    field = ".".join(part for part in (path, named.group(1) if named else "") if part)
    hint = _hint(field, what)
    if what.startswith("Object contains unknown field"):
        return field, f"{field!r} is not a field of {path or whole}; remove it"
    if what.startswith("Object missing required field"):
        return field, f"{field!r} is missing" + (f": {hint}" if hint else "")
    if is_key:
        return field, f"each name in {field!r} must be {_KEY_HINTS.get(field, 'a string')}"
    if hint:
        return field, f"{field!r} must be {hint}"
    return field, f"{field or whole}: {what[:1].lower()}{what[1:]}"


def _hint(field: str, complaint: str) -> str | None:
    """The expected value of the field, if the complaint is about its value and not about the list that contains it."""
    if complaint.startswith(("Expected `array`", "Expected `object`")):
        return _HINTS.get(field) if field in ("params", "id") else None
    return _HINTS.get(re.sub(r"\[[^\]]*\]$", "", field).rpartition(".")[2])


_COMPLAINT = re.compile(r"(?P<what>.*?)(?: - at (?P<key>`key` in )?`\$(?P<path>[^`]*)`)?", re.DOTALL)
_NAMED_FIELD = re.compile(r"field `(.*)`$", re.DOTALL)
