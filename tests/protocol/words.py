"""Words for the tables of the protocol: a session for the operator, frames in one line, answers taken apart."""

import json
from typing import Any, NamedTuple

import msgspec

from walletd.protocol.envelope import SessionLimits
from walletd.protocol.errors import ALSO
from walletd.sessions.access import Grant, TokenRegister
from walletd.sessions.session import Call, Reply, Session
from walletd.vocabulary.identifiers import Principal
from walletd.vocabulary.reasons import Reason

LIMITS = SessionLimits(max_frame_bytes=1_000_000, max_in_flight=3, max_subscriptions=4)

POSTING: dict[str, Any] = {"from": "shop:1", "to": "bob", "asset": "EUR", "amount": "1250"}

BALANCE: dict[str, Any] = {"wallet": "shop:1", "asset": "EUR", "amount": "posted", "gte": "1", "lte": "2", "eq": "-3"}
CONDITIONS: dict[str, Any] = {
    "if_balance": [BALANCE],
    "if_version": {"shop:1": 3},
    "valid_until": "2030-01-31T12:00:00Z",
    "valid_for_seconds": None,
    "dry_run": False,
}

# For every method, params that it takes: each of its fields is there, optional ones too, as far as they go together.
EXAMPLES: dict[str, dict[str, Any]] = {
    "session.authenticate": {"token": "secret"},
    "session.ping": {},
    "rpc.discover": {},
    "asset.define": {
        "command_id": "c1",
        "asset": "EUR",
        "scale": 2,
        "if_balance": [BALANCE],
        "if_version": {"shop:1": 3},
        "valid_until": "2030-01-31T12:00:00Z",
        "valid_for_seconds": None,
        "dry_run": True,
    },
    "asset.list": {"at_least": 3, "after": "EUR"},
    "wallet.open": {
        "command_id": "c1",
        "wallet": "shop:1",
        "metadata": {"tier": "gold"},
        "if_balance": [BALANCE],
        "if_version": {"shop:1": 0},
        "valid_until": "2030-01-31T12:00:00+01:00",
        "valid_for_seconds": None,
        "dry_run": False,
    },
    "wallet.update": {
        "command_id": "c1",
        "wallet": "shop:1",
        "metadata": {"tier": "gold"},
        "limits": {"EUR": {"credit_limit": "100", "minimum": None, "maximum": "5000"}},
        **CONDITIONS,
    },
    "wallet.freeze": {
        "command_id": "c1",
        "wallet": "shop:1",
        "frozen": "debits",
        "why": "court order",
        "until": "2030-01-31T12:00:00Z",
        "until_in_seconds": None,
        **CONDITIONS,
    },
    "wallet.unfreeze": {"command_id": "c1", "wallet": "shop:1", **CONDITIONS},
    "wallet.close": {"command_id": "c1", "wallet": "shop:1", "sweep_to": "bob", **CONDITIONS},
    "wallet.get": {"at_least": 3, "wallet": "shop:1", "after": "EUR"},
    "wallet.list": {
        "at_least": 3,
        "prefix": "shop:",
        "status": "frozen",
        "metadata": {"tier": "gold"},
        "after": "shop:1",
        "limit": 10,
    },
    "transfer.post": {
        "command_id": "c1",
        "postings": [POSTING],
        "reference": "invoice 7",
        "metadata": {"order": "7"},
        "if_balance": [BALANCE],
        "if_version": {"shop:1": 3},
        "valid_until": "2030-01-31T12:00:00Z",
        "valid_for_seconds": None,
        "dry_run": False,
    },
    "transfer.refund": {
        "command_id": "c1",
        "transfer": "t123",
        "postings": [POSTING],
        "reference": "invoice 7",
        "metadata": {"why": "broken"},
        **CONDITIONS,
    },
    "transfer.get": {"at_least": 3, "transfer": "t123"},
    "hold.place": {
        "command_id": "c1",
        "wallet": "shop:1",
        "asset": "EUR",
        "amount": "1250",
        "expires_at": "2030-01-31T12:00:00Z",
        "expires_in_seconds": None,
        "reference": "room 7",
        "metadata": {"nights": "3"},
        **CONDITIONS,
    },
    "hold.capture": {
        "command_id": "c1",
        "wallet": "shop:1",
        "hold": "h123",
        "parts": [{"to": "bob", "amount": "1250"}],
        "final": True,
        "reference": "room 7",
        "metadata": {"nights": "3"},
        **CONDITIONS,
    },
    "hold.extend": {
        "command_id": "c1",
        "wallet": "shop:1",
        "hold": "h123.4",
        "expires_at": "2030-01-31T12:00:00Z",
        "expires_in_seconds": None,
        **CONDITIONS,
    },
    "hold.adjust": {"command_id": "c1", "wallet": "shop:1", "hold": "h123", "amount": "1250", **CONDITIONS},
    "hold.void": {"command_id": "c1", "wallet": "shop:1", "hold": "h123", **CONDITIONS},
    "hold.get": {"at_least": 3, "wallet": "shop:1", "hold": "h123"},
    "hold.list": {"at_least": 3, "wallet": "shop:1", "also_closed": True, "after": "h123", "limit": 10},
    "batch.execute": {
        "command_id": "c1",
        "commands": [{"method": "transfer.post", "command_id": "c2", "postings": [POSTING]}],
        "atomic": True,
        **CONDITIONS,
    },
    "balance.get": {
        "at_least": 3,
        "wallet": "shop:1",
        "wallets": None,
        "asset": "EUR",
        "as_of": 7,
        "after": {"wallet": "shop:1", "asset": "EUR"},
    },
    "statement.get": {
        "at_least": 3,
        "wallet": "shop:1",
        "asset": "EUR",
        "counterparty": "bob",
        "kind": "capture",
        "since": 3,
        "until": "2030-01-31T12:00:00Z",
        "newest_first": True,
        "cursor": "9.7.0.abcdef",
        "limit": 1000,
    },
    "entry.get": {"at_least": 3, "sequence": 7, "command_id": "c1"},
    "entry.list": {"at_least": 3, "after": 0, "limit": 1},
    "stream.subscribe": {
        "at_least": 3,
        "wallets": ["shop:1"],
        "prefix": None,
        "all": False,
        "after": {"epoch": 1, "sequence": 7},
        "snapshot": False,
    },
    "stream.unsubscribe": {"subscription": 1},
    "client.create": {
        "command_id": "c1",
        "client": "shop",
        "scopes": ["spend:shop:*", "view:@fees", "metrics"],
        "token_sha256": "0123456789abcdef" * 4,
        "expires_at": "2030-01-31T12:00:00Z",
        "expires_in_seconds": None,
        "addresses": ["10.1.0.0/16"],
        "budget": {"journal_bytes_per_second": 65_536, "connections": 8},
        **CONDITIONS,
    },
    "client.update": {
        "command_id": "c1",
        "client": "shop/phone",
        "scopes": ["view:shop:1"],
        "addresses": ["10.1.0.0/16"],
        "budget": {"journal_bytes_per_second": 65_536, "connections": 8},
        **CONDITIONS,
    },
    "client.list": {"at_least": 3, "after": "shop/phone", "limit": 10},
    "client.rotate": {
        "command_id": "c1",
        "client": "shop/phone",
        "token_sha256": "0123456789abcdef" * 4,
        "expires_at": "2030-01-31T12:00:00Z",
        "expires_in_seconds": None,
        "overlap_until": "2030-01-30T12:00:00Z",
        "overlap_for_seconds": None,
        **CONDITIONS,
    },
    "client.revoke": {"command_id": "c1", "client": "shop/phone", **CONDITIONS},
    "daemon.status": {},
    "daemon.audit": {"after": {"sequence": 7, "asset": "EUR"}},
    "daemon.compact": {"keep_entries": 7},
    "journal.read": {"after": 7},
    "daemon.log_level": {"level": "debug", "component": "journal"},
    "daemon.drain": {},
    "daemon.report": {},
}


class Answer(NamedTuple):
    """An error as a client reads it."""

    id: int | str | None
    code: int
    message: str
    data: dict[str, Any]

    @property
    def reason(self) -> Reason:
        """The stable word."""
        return msgspec.convert(self.data["reason"], Reason)

    @property
    def field(self) -> str | None:
        """The field that the error is about."""
        field: str | None = self.data.get("field")
        return field


def grant(*scopes: str) -> Grant:
    """A client with these scopes."""
    return Grant(Principal("a-client"), scopes)


def session(*scopes: str) -> Session:
    """An authenticated session; an operator's, where no scopes are said."""
    return Session(TokenRegister(), LIMITS, grant(*(scopes or ("admin",))))


def request(method: str, params: Any, request_id: int | str = 7) -> bytes:
    """A request's frame."""
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}).encode()


def ask(asked: Session, method: str, params: Any) -> Call | Answer:
    """What the session says to a request."""
    return read(asked.receive(request(method, params)))


def read(reply: Call | Reply) -> Call | Answer:
    """The reply, taken apart if it is an error."""
    if isinstance(reply, Call):
        return reply
    return error_of(reply)


def error_of(reply: Call | Reply) -> Answer:
    """The error that this reply must be, well-formed as every error is."""
    assert isinstance(reply, Reply), reply
    assert reply.declined is not None
    answer = error_in(reply.frame)
    assert answer.reason is reply.declined.reason
    assert answer.data.items() >= json.loads(msgspec.json.encode(reply.declined.facts)).items()
    return answer


def error_in(frame: bytes) -> Answer:
    """The error in this frame, well-formed as every error is."""
    document = json.loads(frame)
    assert set(document) == {"jsonrpc", "id", "error"}, document
    assert document["jsonrpc"] == "2.0"
    assert set(document["error"]) == {"code", "message", "data"}
    answer = Answer(document["id"], **document["error"])
    assert answer.code == answer.reason.code
    classes = {answer.reason.retry, ALSO.get(answer.reason, answer.reason.retry)}
    assert answer.data["retry"] in {retry.value for retry in classes}
    assert answer.data["outcome"] == "not_applied"
    assert answer.message
    assert "{" not in answer.message
    return answer


def is_usable(asked: Session) -> bool:
    """Whether a good request still goes through."""
    call = asked.receive(request("wallet.get", {"wallet": "shop:1"}))
    if isinstance(call, Call):
        asked.answered()
    return isinstance(call, Call)
