"""Every reason why a request can fail: one closed enum, declared in order of precedence.

When several reasons hold at once, the answer names the one declared first, so that every client, replay and
audit sees the same.  A reason has a JSON-RPC code, a retry class and one line of meaning; the reference page
is made from this table.

Codes: -32768..-32000 are JSON-RPC's own; 1xxx the session and the daemon's state; 2xxx reads and streams;
3xxx refusals of a command, which are journaled and answered the same for ever.
"""

import enum
from typing import Self


class Retry(enum.Enum):
    """What a client may do with a request that failed."""

    NEVER = "never"
    SAME_COMMAND_ID = "same_command_id"
    NEW_COMMAND_ID = "new_command_id"


class Outcome(enum.Enum):
    """What became of the command.  Only ``unknown`` calls for asking again with the same command id."""

    APPLIED = "applied"
    NOT_APPLIED = "not_applied"
    UNKNOWN = "unknown"


class Reason(enum.Enum):
    """The stable word for a failure, in order of precedence."""

    code: int
    retry: Retry
    meaning: str

    def __new__(cls, word: str, code: int, retry: Retry, meaning: str) -> Self:
        """One row of the table; the word alone is the value, in messages as in the journal."""
        reason = object.__new__(cls)
        reason._value_ = word
        reason.code = code
        reason.retry = retry
        reason.meaning = meaning
        return reason

    # Malformed requests.  Nothing was looked up, nothing was decided, no command id was used.
    PARSE_ERROR = "parse_error", -32700, Retry.NEVER, "The frame is not a JSON document."
    INVALID_REQUEST = "invalid_request", -32600, Retry.NEVER, "The document is not a request of this protocol."
    METHOD_NOT_FOUND = "method_not_found", -32601, Retry.NEVER, "There is no method of this name."
    INVALID_PARAMS = "invalid_params", -32602, Retry.NEVER, "A parameter is missing, unknown or malformed."
    INTERNAL_ERROR = "internal_error", -32603, Retry.SAME_COMMAND_ID, "The daemon met a fault of its own."

    # The session and the state of the daemon.  What fails here never reached a decision.
    AUTHENTICATION_REQUIRED = (
        "authentication_required",
        1001,
        Retry.SAME_COMMAND_ID,
        "The session has not authenticated; call session.authenticate first.",
    )
    AUTHENTICATION_FAILED = "authentication_failed", 1002, Retry.NEVER, "The token is unknown, expired or revoked."
    FORBIDDEN = "forbidden", 1003, Retry.NEVER, "The token's scopes do not permit this request."
    DRAINING = "draining", 1004, Retry.SAME_COMMAND_ID, "The daemon is about to stop and takes no new requests."
    OVERLOADED = "overloaded", 1005, Retry.SAME_COMMAND_ID, "A bounded queue is full; come back after retry_after_ms."
    RATE_LIMITED = "rate_limited", 1006, Retry.SAME_COMMAND_ID, "The session or its principal sends too fast."
    UNAVAILABLE = (
        "unavailable",
        1007,
        Retry.SAME_COMMAND_ID,
        "The journal takes no writes at present, or what is to be read finds no space in the read tables.",
    )
    WALLET_QUARANTINED = (
        "wallet_quarantined",
        1008,
        Retry.SAME_COMMAND_ID,
        "The wallet's state broke an invariant; an operator must look before it moves again.",
    )

    # Reads and streams.
    ENTRY_NOT_FOUND = "entry_not_found", 2001, Retry.NEVER, "The journal has no entry of this sequence or command id."
    TRANSFER_NOT_FOUND = "transfer_not_found", 2002, Retry.NEVER, "The entry named posted no transfer."
    UNKNOWN_WALLET = "unknown_wallet", 2003, Retry.NEVER, "There is no wallet of this name to read."
    SUBSCRIPTION_NOT_FOUND = "subscription_not_found", 2004, Retry.NEVER, "The session has no such subscription."
    TOO_MANY_SUBSCRIPTIONS = "too_many_subscriptions", 2005, Retry.NEVER, "The session has as many as it may have."
    SNAPSHOT_TOO_LARGE = (
        "snapshot_too_large",
        2006,
        Retry.NEVER,
        "More wallets or balances than one snapshot holds; page through wallet.list and subscribe after its sequence.",
    )
    EPOCH_CHANGED = (
        "epoch_changed",
        2007,
        Retry.NEVER,
        "The cursor belongs to a history that was replaced by a restore.",
    )
    FUTURE_CURSOR = "future_cursor", 2008, Retry.NEVER, "The cursor lies beyond the journal's head."
    CURSOR_EXPIRED = "cursor_expired", 2009, Retry.NEVER, "The journal no longer holds what the cursor asks for."
    INVALID_CURSOR = "invalid_cursor", 2010, Retry.NEVER, "The page cursor belongs to another question or epoch."
    HOLD_NOT_FOUND = "hold_not_found", 2011, Retry.NEVER, "There is no hold of this id to read."
    FUTURE_MOMENT = "future_moment", 2012, Retry.NEVER, "The sequence or the time asked for has not come yet."

    # Refusals of a command: decided, journaled and answered the same for ever.
    COMMAND_ID_REUSED = (
        "command_id_reused",
        3001,
        Retry.NEW_COMMAND_ID,
        "This command id already stands for another command; the first field that differs is named. Where only ends or "
        "conditions differ, `retry` is `never`: repeat it as it was sent at first.",
    )
    COMMAND_EXPIRED = (
        "command_expired",
        3002,
        Retry.NEW_COMMAND_ID,
        "The command was decided after the time for which it was valid.",
    )
    ASSET_ALREADY_DEFINED = "asset_already_defined", 3010, Retry.NEVER, "The asset exists; its scale never changes."
    ASSET_NOT_FOUND = "asset_not_found", 3011, Retry.NEW_COMMAND_ID, "No asset of this code is defined."
    WALLET_ALREADY_EXISTS = "wallet_already_exists", 3020, Retry.NEVER, "A wallet of this name is or was open."
    WALLET_NOT_FOUND = "wallet_not_found", 3021, Retry.NEW_COMMAND_ID, "No wallet of this name was opened."
    SELF_TRANSFER = "self_transfer", 3022, Retry.NEVER, "A posting moves money from a wallet to itself."
    ORIGINAL_NOT_FOUND = (
        "original_not_found",
        3023,
        Retry.NEW_COMMAND_ID,
        "There is no transfer or capture of this id that could be refunded.",
    )
    BEYOND_OWN_ACCESS = (
        "beyond_own_access",
        3024,
        Retry.NEVER,
        "Nobody can let in another client with more than what is his own to give.",
    )
    CLIENT_ALREADY_EXISTS = "client_already_exists", 3025, Retry.NEVER, "A client of this name is or was let in."
    CLIENT_NOT_FOUND = "client_not_found", 3026, Retry.NEVER, "There is no client of this name that is yours to change."
    KEPT_IN_FILE = (
        "kept_in_file",
        3027,
        Retry.NEVER,
        "The operator's token is the one in its file: replace the file and start the daemon again.",
    )
    VERSION_MISMATCH = "version_mismatch", 3030, Retry.NEW_COMMAND_ID, "The wallet is not at the version demanded."
    BALANCE_MISMATCH = "balance_mismatch", 3031, Retry.NEW_COMMAND_ID, "A balance is not where the command demands it."
    REFUND_EXCEEDS_ORIGINAL = (
        "refund_exceeds_original",
        3035,
        Retry.NEW_COMMAND_ID,
        "More would go back than the original moved along this way, less what was refunded of it before.",
    )
    WALLET_CLOSED = "wallet_closed", 3040, Retry.NEVER, "The wallet was closed."
    WALLET_FROZEN = "wallet_frozen", 3041, Retry.NEW_COMMAND_ID, "A freeze stops what the command would do."
    WALLET_NOT_FROZEN = "wallet_not_frozen", 3042, Retry.NEVER, "The wallet has no freeze that could be ended."
    HOLD_NOT_OPEN = (
        "hold_not_open",
        3043,
        Retry.NEVER,
        "The wallet has no open hold of this id: it is captured, voided or expired, or was never placed.",
    )
    MOMENT_PASSED = "moment_passed", 3044, Retry.NEW_COMMAND_ID, "An end was named that lies in the past."
    TOO_MANY_HOLDS = "too_many_holds", 3045, Retry.NEW_COMMAND_ID, "The wallet has as many open holds as it may have."
    HOLDS_OPEN = "holds_open", 3046, Retry.NEW_COMMAND_ID, "A wallet with open holds cannot be closed."
    CAPTURE_EXCEEDS_HOLD = (
        "capture_exceeds_hold",
        3047,
        Retry.NEW_COMMAND_ID,
        "The parts of the capture are more than the hold still reserves.",
    )
    WALLET_NOT_EMPTY = (
        "wallet_not_empty",
        3048,
        Retry.NEW_COMMAND_ID,
        "A wallet that owes or has something cannot be closed without a sweep, and one that owes not at all.",
    )
    LIMITS_NOT_MET = "limits_not_met", 3049, Retry.NEW_COMMAND_ID, "The wallet is not within the limits demanded."
    INSUFFICIENT_FUNDS = (
        "insufficient_funds",
        3050,
        Retry.NEW_COMMAND_ID,
        "The wallet has less available than the command takes from it.",
    )
    VELOCITY_EXCEEDED = (
        "velocity_exceeded",
        3051,
        Retry.NEW_COMMAND_ID,
        "More would go out than one of the wallet's velocity windows lets out.",
    )
    ABOVE_MAXIMUM = "above_maximum", 3052, Retry.NEW_COMMAND_ID, "The wallet would have more than its maximum."
    CLIENT_REVOKED = "client_revoked", 3060, Retry.NEVER, "The client was revoked, which is for ever."
    TOKEN_IN_USE = "token_in_use", 3061, Retry.NEW_COMMAND_ID, "The token is known already; make a fresh one."
    TOO_MANY_TOKENS = (
        "too_many_tokens",
        3062,
        Retry.NEW_COMMAND_ID,
        "The client has as many tokens in force as it may have; let the overlap of one end first.",
    )
    TOO_MANY_CLIENTS = "too_many_clients", 3063, Retry.NEVER, "There are as many clients or viewing keys as may be."
    LAST_ADMIN = (
        "last_admin",
        3064,
        Retry.NEW_COMMAND_ID,
        "No client with the scope admin and a token without expiry would be left.",
    )
    ENTRY_TOO_LARGE = (
        "entry_too_large",
        3070,
        Retry.NEW_COMMAND_ID,
        "The command would record more than one entry of the journal holds; send it in parts.",
    )

    @property
    def is_refusal(self) -> bool:
        """Whether it is decided on the books, and so is journaled and answered the same for ever."""
        return self.code > 3001

    @property
    def is_malformed(self) -> bool:
        """Whether it is one of JSON-RPC's own codes."""
        return self.code < 0


assert all(reason.meaning.endswith(".") for reason in Reason), "every reason has one line of meaning"
assert len({reason.code for reason in Reason}) == len(Reason), "every reason has a code of its own"
assert [r.code for r in Reason if r.code > 0] == sorted(r.code for r in Reason if r.code > 0), "codes follow precedence"
