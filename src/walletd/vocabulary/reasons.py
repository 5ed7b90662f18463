"""Every reason why a request can fail: one closed enum, declared in order of precedence.

If several reasons hold at once, the answer names the one declared first, so that every client, replay and audit sees
the same.  A reason has a JSON-RPC code, a retry class and one line of meaning; the reference page is made from this
table.

Codes: -32768..-32000 are JSON-RPC's own; 1xxx the session and the daemon's state; 2xxx reads and streams; 3xxx refusals
of a command, which are journaled, so that a repetition gets the same answer.
"""

import enum
from typing import Self


class Retry(enum.StrEnum):
    """The way in which a client may repeat a request that failed."""

    NEVER = "never"
    SAME_COMMAND_ID = "same_command_id"
    NEW_COMMAND_ID = "new_command_id"


class Outcome(enum.StrEnum):
    """The outcome of the command.  Only ``unknown`` calls for repeating it with the same command id."""

    APPLIED = "applied"
    NOT_APPLIED = "not_applied"
    UNKNOWN = "unknown"


class Reason(enum.StrEnum):
    """The stable word for a failure, in order of precedence."""

    code: int
    retry: Retry
    meaning: str

    def __new__(cls, word: str, code: int, retry: Retry, meaning: str) -> Self:
        """One row of the table; only the word is the value, in messages and in the journal."""
        reason = str.__new__(cls, word)
        reason._value_ = word
        reason.code = code
        reason.retry = retry
        reason.meaning = meaning
        return reason

    # Malformed requests.  Nothing was looked up or decided, and no command id was used.
    PARSE_ERROR = "parse_error", -32700, Retry.NEVER, "The frame is not a JSON document."
    INVALID_REQUEST = "invalid_request", -32600, Retry.NEVER, "The document is not a request of this protocol."
    METHOD_NOT_FOUND = "method_not_found", -32601, Retry.NEVER, "There is no method with this name."
    INVALID_PARAMS = "invalid_params", -32602, Retry.NEVER, "A parameter is missing, unknown or malformed."
    INTERNAL_ERROR = "internal_error", -32603, Retry.SAME_COMMAND_ID, "Internal error in the daemon."

    # The session and the state of the daemon.  Requests that fail here never reached a decision.
    AUTHENTICATION_REQUIRED = (
        "authentication_required",
        1001,
        Retry.SAME_COMMAND_ID,
        "The session has not authenticated; call session.authenticate first.",
    )
    AUTHENTICATION_FAILED = "authentication_failed", 1002, Retry.NEVER, "The token is unknown, expired or revoked."
    FORBIDDEN = "forbidden", 1003, Retry.NEVER, "The token's scopes do not permit this request."
    DRAINING = "draining", 1004, Retry.SAME_COMMAND_ID, "The daemon is stopping and accepts no new requests."
    OVERLOADED = "overloaded", 1005, Retry.SAME_COMMAND_ID, "A bounded queue is full; try again after retry_after_ms."
    RATE_LIMITED = "rate_limited", 1006, Retry.SAME_COMMAND_ID, "The session or its principal sends requests too fast."
    UNAVAILABLE = (
        "unavailable",
        1007,
        Retry.SAME_COMMAND_ID,
        "The journal accepts no writes now, this node does not lead its ledger, or the read tables have no space for "
        "what the request needs.",
    )
    WALLET_QUARANTINED = (
        "wallet_quarantined",
        1008,
        Retry.SAME_COMMAND_ID,
        "The wallet's state violates an invariant; an operator has to investigate before it moves again.",
    )
    QUOTA_EXCEEDED = (
        "quota_exceeded",
        1009,
        Retry.SAME_COMMAND_ID,
        "The client has used up one of its budgets; try again after retry_after_ms.",
    )

    # Reads and streams.
    ENTRY_NOT_FOUND = "entry_not_found", 2001, Retry.NEVER, "The journal has no entry with this sequence or command id."
    TRANSFER_NOT_FOUND = "transfer_not_found", 2002, Retry.NEVER, "The entry does not contain a transfer."
    UNKNOWN_WALLET = "unknown_wallet", 2003, Retry.NEVER, "There is no wallet with this name to read."
    SUBSCRIPTION_NOT_FOUND = "subscription_not_found", 2004, Retry.NEVER, "The session has no such subscription."
    TOO_MANY_SUBSCRIPTIONS = (
        "too_many_subscriptions",
        2005,
        Retry.NEVER,
        "The session has reached its limit of subscriptions.",
    )
    SNAPSHOT_TOO_LARGE = (
        "snapshot_too_large",
        2006,
        Retry.NEVER,
        "The snapshot would be too large; page through wallet.list and subscribe after its sequence.",
    )
    EPOCH_CHANGED = (
        "epoch_changed",
        2007,
        Retry.NEVER,
        "The cursor belongs to a history that a restore replaced.",
    )
    FUTURE_CURSOR = "future_cursor", 2008, Retry.NEVER, "The cursor lies beyond the journal's head."
    CURSOR_EXPIRED = "cursor_expired", 2009, Retry.NEVER, "The journal no longer holds what the cursor asks for."
    INVALID_CURSOR = "invalid_cursor", 2010, Retry.NEVER, "The page cursor belongs to another query or epoch."
    HOLD_NOT_FOUND = "hold_not_found", 2011, Retry.NEVER, "There is no hold with this id to read."
    FUTURE_MOMENT = "future_moment", 2012, Retry.NEVER, "The requested sequence or time lies in the future."
    NOT_REACHED = (
        "not_reached",
        2013,
        Retry.SAME_COMMAND_ID,
        "This node has waited, and does not show the entry at_least yet; try again, or ask the node that leads.",
    )

    # Refusals of a command: decided and journaled; a repetition gets the same answer.
    COMMAND_ID_REUSED = (
        "command_id_reused",
        3001,
        Retry.NEW_COMMAND_ID,
        "This command id was already used for another command; the first differing field is named, unless that command "
        "was refused some time ago. If only expiries or conditions differ, `retry` is `never`: repeat the command "
        "exactly as first sent.",
    )
    COMMAND_EXPIRED = (
        "command_expired",
        3002,
        Retry.NEW_COMMAND_ID,
        "The command reached its decision after its validity had ended.",
    )
    ASSET_ALREADY_DEFINED = (
        "asset_already_defined",
        3010,
        Retry.NEVER,
        "The asset already exists; its scale never changes.",
    )
    ASSET_NOT_FOUND = "asset_not_found", 3011, Retry.NEW_COMMAND_ID, "No asset with this code is defined."
    WALLET_ALREADY_EXISTS = "wallet_already_exists", 3020, Retry.NEVER, "A wallet with this name is open or was closed."
    WALLET_NOT_FOUND = "wallet_not_found", 3021, Retry.NEW_COMMAND_ID, "No wallet with this name was ever opened."
    SELF_TRANSFER = "self_transfer", 3022, Retry.NEVER, "A posting moves money from a wallet to itself."
    ORIGINAL_NOT_FOUND = (
        "original_not_found",
        3023,
        Retry.NEW_COMMAND_ID,
        "There is no transfer or capture with this id to refund.",
    )
    BEYOND_OWN_ACCESS = (
        "beyond_own_access",
        3024,
        Retry.NEVER,
        "A client cannot grant more access than it has.",
    )
    CLIENT_ALREADY_EXISTS = "client_already_exists", 3025, Retry.NEVER, "A client with this name exists or was revoked."
    CLIENT_NOT_FOUND = "client_not_found", 3026, Retry.NEVER, "There is no client with this name that you may change."
    KEPT_IN_FILE = (
        "kept_in_file",
        3027,
        Retry.NEVER,
        "The operator's token comes from its file: replace the file and restart the daemon.",
    )
    VERSION_MISMATCH = "version_mismatch", 3030, Retry.NEW_COMMAND_ID, "The wallet is not at the required version."
    BALANCE_MISMATCH = (
        "balance_mismatch",
        3031,
        Retry.NEW_COMMAND_ID,
        "A balance does not meet the command's condition.",
    )
    REFUND_EXCEEDS_ORIGINAL = (
        "refund_exceeds_original",
        3035,
        Retry.NEW_COMMAND_ID,
        "The refund exceeds what the original moved between these wallets, less earlier refunds.",
    )
    WALLET_CLOSED = "wallet_closed", 3040, Retry.NEVER, "The wallet is closed."
    WALLET_FROZEN = "wallet_frozen", 3041, Retry.NEW_COMMAND_ID, "A freeze prevents what the command would do."
    WALLET_NOT_FROZEN = "wallet_not_frozen", 3042, Retry.NEVER, "The wallet has no freeze to end."
    HOLD_NOT_OPEN = (
        "hold_not_open",
        3043,
        Retry.NEVER,
        "The wallet has no open hold with this id: it was captured, voided, expired or never placed.",
    )
    MOMENT_PASSED = "moment_passed", 3044, Retry.NEW_COMMAND_ID, "The expiry or end given lies in the past."
    TOO_MANY_HOLDS = "too_many_holds", 3045, Retry.NEW_COMMAND_ID, "The wallet has reached its limit of open holds."
    HOLDS_OPEN = "holds_open", 3046, Retry.NEW_COMMAND_ID, "A wallet with open holds cannot be closed."
    CAPTURE_EXCEEDS_HOLD = (
        "capture_exceeds_hold",
        3047,
        Retry.NEW_COMMAND_ID,
        "The capture exceeds what the hold still reserves.",
    )
    WALLET_NOT_EMPTY = (
        "wallet_not_empty",
        3048,
        Retry.NEW_COMMAND_ID,
        "A wallet with a balance cannot be closed without a sweep, and one that owes money cannot be closed at all.",
    )
    LIMITS_NOT_MET = (
        "limits_not_met",
        3049,
        Retry.NEW_COMMAND_ID,
        "The wallet's balance is outside the limits to be set.",
    )
    INSUFFICIENT_FUNDS = (
        "insufficient_funds",
        3050,
        Retry.NEW_COMMAND_ID,
        "The wallet has less available than the command needs.",
    )
    VELOCITY_EXCEEDED = (
        "velocity_exceeded",
        3051,
        Retry.NEW_COMMAND_ID,
        "The command would exceed one of the wallet's velocity limits.",
    )
    ABOVE_MAXIMUM = "above_maximum", 3052, Retry.NEW_COMMAND_ID, "The wallet would have more than its maximum."
    CLIENT_REVOKED = "client_revoked", 3060, Retry.NEVER, "The client was revoked; that is permanent."
    TOKEN_IN_USE = "token_in_use", 3061, Retry.NEW_COMMAND_ID, "The token is already in use; make a fresh one."
    TOO_MANY_TOKENS = (
        "too_many_tokens",
        3062,
        Retry.NEW_COMMAND_ID,
        "The client has reached its limit of valid tokens; wait until the overlap of one ends.",
    )
    TOO_MANY_CLIENTS = "too_many_clients", 3063, Retry.NEVER, "The limit of clients or viewing keys has been reached."
    LAST_ADMIN = (
        "last_admin",
        3064,
        Retry.NEW_COMMAND_ID,
        "No client with the scope admin and a token that does not expire would remain.",
    )
    ENTRY_TOO_LARGE = (
        "entry_too_large",
        3070,
        Retry.NEW_COMMAND_ID,
        "The command would record more than one journal entry holds; split it.",
    )

    @property
    def is_refusal(self) -> bool:
        """True if it is decided on the books, and therefore journaled: a repetition gets the same answer."""
        return self.code > 3001

    @property
    def is_malformed(self) -> bool:
        """True if it is one of JSON-RPC's own codes."""
        return self.code < 0


assert all(reason.meaning.endswith(".") for reason in Reason), "every reason has one line of meaning"
assert len({reason.code for reason in Reason}) == len(Reason), "every reason has a code of its own"
assert [r.code for r in Reason if r.code > 0] == sorted(r.code for r in Reason if r.code > 0), "codes follow precedence"
