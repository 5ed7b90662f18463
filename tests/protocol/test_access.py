"""Who may do what: every method under every scope, declared row by row; a method without a row fails."""

from typing import Any

import pytest

from tests.protocol.words import EXAMPLES, POSTING, error_of, grant, request, session
from walletd.protocol.methods import METHODS
from walletd.sessions.access import (
    DEFINE,
    KEYS,
    METRICS,
    OPERATE,
    Grant,
    Need,
    Right,
    TokenRegister,
    is_within,
    token_hash,
)
from walletd.sessions.session import Call
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.scopes import includes

SCOPES = (
    "metrics",
    "view:bob",  # another wallet than the one asked about
    "view:shop:1",
    "view:shop:*",
    "view:*",
    "spend:shop:1",
    "spend:shop:*",
    "spend:*",
    "open:shop:*",
    "freeze:shop:*",
    "mint",
    "define",
    "operate",
    "admin",
)

# The requests of EXAMPLES are about the wallet shop:1; those of wallet.list about the prefix "shop:".
#                        metrics        view:shop:*    spend:shop:*   freeze:shop:*  operate
#                        |    view:bob  |    view:*    |    spend:*   |    mint      |    admin
#                        |    |    view:shop:1    spend:shop:1   open:shop:*    define    |
PERMITTED: dict[str, str] = {
    "session.ping":       "yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes",
    "rpc.discover":       "yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes",
    "asset.define":       "no   no   no   no   no   no   no   no   no   no   no   yes  yes  yes",
    "asset.list":         "yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes",
    "wallet.open":        "no   no   no   no   no   no   no   no   yes  no   no   no   yes  yes",
    "wallet.update":      "no   no   no   no   no   no   no   no   no   no   no   no   yes  yes",
    "wallet.freeze":      "no   no   no   no   no   no   no   no   no   yes  no   no   yes  yes",
    "wallet.unfreeze":    "no   no   no   no   no   no   no   no   no   yes  no   no   yes  yes",
    "wallet.close":       "no   no   no   no   no   no   no   no   no   no   no   no   yes  yes",
    "wallet.get":         "no   no   yes  yes  yes  yes  yes  yes  no   no   no   no   yes  yes",
    "wallet.list":        "no   no   no   yes  yes  no   yes  yes  no   no   no   no   yes  yes",
    "transfer.post":      "no   no   no   no   no   yes  yes  yes  no   no   no   no   yes  yes",
    "transfer.refund":    "no   no   no   no   no   yes  yes  yes  no   no   no   no   yes  yes",
    "transfer.get":       "yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes",  # of what it sees
    "hold.place":         "no   no   no   no   no   yes  yes  yes  no   no   no   no   yes  yes",
    "hold.capture":       "no   no   no   no   no   yes  yes  yes  no   no   no   no   yes  yes",
    "hold.extend":        "no   no   no   no   no   yes  yes  yes  no   no   no   no   yes  yes",
    "hold.adjust":        "no   no   no   no   no   yes  yes  yes  no   no   no   no   yes  yes",
    "hold.void":          "no   no   no   no   no   yes  yes  yes  no   no   no   no   yes  yes",
    "hold.get":           "no   no   yes  yes  yes  yes  yes  yes  no   no   no   no   yes  yes",
    "hold.list":          "no   no   yes  yes  yes  yes  yes  yes  no   no   no   no   yes  yes",
    "batch.execute":      "no   no   no   no   no   yes  yes  yes  no   no   no   no   yes  yes",
    "balance.get":        "no   no   yes  yes  yes  yes  yes  yes  no   no   no   no   yes  yes",
    "statement.get":      "no   no   yes  yes  yes  yes  yes  yes  no   no   no   no   yes  yes",
    "entry.get":          "yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes",  # of what it sees
    "entry.list":         "no   no   no   no   no   no   no   no   no   no   no   no   yes  yes",
    "stream.subscribe":   "no   no   yes  yes  yes  yes  yes  yes  no   no   no   no   yes  yes",
    "stream.unsubscribe": "yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes",
    "client.create":      "no   no   no   no   no   no   no   no   no   no   no   no   no   yes",
    "client.update":      "no   no   no   no   no   yes  yes  yes  no   no   no   no   yes  yes",  # its keys
    "client.list":        "yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes  yes",  # itself and its keys
    "client.rotate":      "no   no   no   no   no   yes  yes  yes  no   no   no   no   yes  yes",  # its keys
    "client.revoke":      "no   no   no   no   no   yes  yes  yes  no   no   no   no   yes  yes",  # its keys
    "daemon.status":      "yes  no   no   no   no   no   no   no   no   no   no   no   yes  yes",
    "daemon.audit":       "no   no   no   no   no   no   no   no   no   no   no   no   yes  yes",
    "daemon.compact":     "no   no   no   no   no   no   no   no   no   no   no   no   no   yes",
    "journal.read":       "no   no   no   no   no   no   no   no   no   no   no   no   no   yes",
    "daemon.log_level":   "no   no   no   no   no   no   no   no   no   no   no   no   no   yes",
    "daemon.drain":       "no   no   no   no   no   no   no   no   no   no   no   no   no   yes",
    "daemon.report":      "no   no   no   no   no   no   no   no   no   no   no   no   no   yes",
}  # fmt: skip
ANSWERED_BY_THE_SESSION = {"session.authenticate"}


def unconditional(method: str) -> dict[str, Any]:
    """The example without its conditions, each of which needs ``view`` by itself."""
    return {name: value for name, value in EXAMPLES[method].items() if name not in ("if_version", "if_balance")}


def is_permitted(method: str, params: Any, *scopes: str) -> bool:
    """Whether a session with these scopes lets the request through; else it must say forbidden."""
    reply = session(*scopes).receive(request(method, params))
    if isinstance(reply, Call):
        return True
    assert error_of(reply).reason is Reason.FORBIDDEN
    return False


def test_every_method_has_its_row() -> None:
    assert set(PERMITTED) | ANSWERED_BY_THE_SESSION == set(METHODS)


@pytest.mark.parametrize("method", PERMITTED)
def test_each_scope_permits_a_method_or_forbids_it_as_its_row_says(method: str) -> None:
    permitted = ["yes" if is_permitted(method, unconditional(method), scope) else "no" for scope in SCOPES]
    assert dict(zip(SCOPES, permitted, strict=True)) == dict(zip(SCOPES, PERMITTED[method].split(), strict=True))


@pytest.mark.parametrize("method", PERMITTED)
def test_a_token_without_scopes_may_what_a_token_for_another_wallet_may(method: str) -> None:
    asked = session("metrics")
    asked.grant = Grant(grant().principal, ())
    expected = PERMITTED[method].split()[SCOPES.index("view:bob")]
    assert isinstance(asked.receive(request(method, EXAMPLES[method])), Call) == (expected == "yes")


@pytest.mark.parametrize("method", PERMITTED)
def test_what_admin_may_not_nobody_may(method: str) -> None:
    assert PERMITTED[method].endswith("yes")


# --- requests about several wallets ---------------------------------------------------------------------------------

TWO_PAYERS = [POSTING, POSTING | {"from": "bob", "to": "shop:1"}]
FROM_A_SYSTEM_WALLET = [POSTING | {"from": "@external", "to": "shop:1"}]

KEY: dict[str, Any] = {"command_id": "c1", "client": "me/x", "token_sha256": "0" * 64}
ROTATION: dict[str, Any] = {"command_id": "c1", "token_sha256": "0" * 64}

REQUESTS: list[tuple[str, str, dict[str, Any], tuple[str, ...], bool]] = [
    ("paying needs no right to the payee", "transfer.post", {"postings": [POSTING]}, ("spend:shop:1",), True),
    ("a right to the payee is not enough", "transfer.post", {"postings": [POSTING]}, ("spend:bob",), False),
    ("seeing the payer is not enough", "transfer.post", {"postings": [POSTING]}, ("view:*",), False),
    ("every payer needs the right", "transfer.post", {"postings": TWO_PAYERS}, ("spend:shop:1",), False),
    ("two scopes add up", "transfer.post", {"postings": TWO_PAYERS}, ("spend:shop:1", "spend:bob"), True),
    (
        "a prefix of shops is not the outside",
        "transfer.post",
        {"postings": FROM_A_SYSTEM_WALLET},
        ("spend:shop:*",),
        False,
    ),
    (
        "who may see a version may demand it",
        "transfer.post",
        {"postings": [POSTING], "if_version": {"bob": 1}},
        ("spend:shop:1", "view:bob"),
        True,
    ),
    (
        "a version of a wallet unseen",
        "transfer.post",
        {"postings": [POSTING], "if_version": {"bob": 1}},
        ("spend:shop:1",),
        False,
    ),
    (
        "a batch needs what each of its commands needs",
        "batch.execute",
        {
            "command_id": "c1",
            "commands": [
                {"method": "transfer.post", "command_id": "c2", "postings": [POSTING]},
                {"method": "wallet.freeze", "command_id": "c3", "wallet": "shop:1", "why": "w"},
            ],
        },
        ("spend:*",),
        False,
    ),
    (
        "a balance of a wallet unseen",
        "transfer.post",
        {"postings": [POSTING], "if_balance": [{"wallet": "bob", "asset": "EUR", "gte": "1"}]},
        ("spend:shop:1",),
        False,
    ),
    (
        "a dry run needs the same right",
        "transfer.post",
        {"postings": [POSTING], "dry_run": True},
        ("view:shop:1",),
        False,
    ),
    ("all customers are not the outside", "transfer.post", {"postings": FROM_A_SYSTEM_WALLET}, ("spend:*",), False),
    ("who mints brings money in", "transfer.post", {"postings": FROM_A_SYSTEM_WALLET}, ("mint",), True),
    ("who names the outside spends from it", "transfer.post", {"postings": FROM_A_SYSTEM_WALLET}, ("spend:@*",), True),
    ("who mints takes from no customer", "transfer.post", {"postings": [POSTING]}, ("mint",), False),
    (
        "a hold on the outside is money of the outside",
        "hold.place",
        {"command_id": "c1", "wallet": "@external", "asset": "EUR", "amount": "1"},
        ("spend:*",),
        False,
    ),
    ("a sign-up opens users", "wallet.open", {"command_id": "c1", "wallet": "user-1"}, ("open:user-*",), True),
    ("and nothing else", "wallet.open", {"command_id": "c1", "wallet": "shop-1"}, ("open:user-*",), False),
    ("nor a system wallet", "wallet.open", {"command_id": "c1", "wallet": "@user-1"}, ("open:*",), False),
    ("nor sets limits", "wallet.update", {"command_id": "c1", "wallet": "user-1"}, ("open:*",), False),
    (
        "a support desk freezes no system wallet",
        "wallet.freeze",
        {"command_id": "c1", "wallet": "@fees", "why": "w"},
        ("freeze:*",),
        False,
    ),
    ("nor closes a wallet", "wallet.close", {"command_id": "c1", "wallet": "user-1"}, ("freeze:*",), False),
    ("all of the prefix", "wallet.list", {"prefix": "shop:"}, ("view:shop:*",), True),
    ("a part of the prefix", "wallet.list", {"prefix": "shop:1"}, ("view:shop:*",), True),
    ("more than the prefix", "wallet.list", {"prefix": "shop"}, ("view:shop:*",), False),
    ("everything", "wallet.list", {}, ("view:shop:*",), False),
    ("everything, seen by all", "wallet.list", {}, ("view:*",), True),
    ("a wallet's own name is not a prefix", "wallet.list", {"prefix": "shop:1"}, ("view:shop:1",), False),
    ("several wallets, one unseen", "stream.subscribe", {"wallets": ["shop:1", "bob"]}, ("view:shop:*",), False),
    (
        "several wallets, all seen",
        "stream.subscribe",
        {"wallets": ["shop:1", "bob"]},
        ("view:shop:*", "view:bob"),
        True,
    ),
    ("a prefix that is seen", "stream.subscribe", {"prefix": "shop:"}, ("view:shop:*",), True),
    ("a prefix of a wallet that is seen", "stream.subscribe", {"prefix": "shop:1"}, ("view:shop:1",), False),
    (
        "a key for what one may spend",
        "client.create",
        KEY | {"scopes": ["view:shop:1"]},
        ("spend:shop:*",),
        True,
    ),
    ("a key for a prefix", "client.create", KEY | {"scopes": ["view:shop:*"]}, ("spend:shop:*",), True),
    ("a key for a wider prefix", "client.create", KEY | {"scopes": ["view:shop*"]}, ("spend:shop:*",), False),
    ("a key for what one only sees", "client.create", KEY | {"scopes": ["view:shop:1"]}, ("view:shop:1",), False),
    ("a key for everything", "client.create", KEY | {"scopes": ["view:*"]}, ("operate",), True),
    ("a key that spends", "client.create", KEY | {"scopes": ["spend:shop:1"]}, ("spend:shop:1", "operate"), False),
    (
        "a key for two, one another's",
        "client.create",
        KEY | {"scopes": ["view:a", "view:b"]},
        ("spend:a",),
        False,
    ),
    ("a client like oneself", "client.create", KEY | {"client": "x", "scopes": ["view:a"]}, ("operate",), False),
    ("an admin makes anything", "client.create", KEY | {"client": "x", "scopes": ["admin"]}, ("admin",), True),
    ("another client's tokens", "client.rotate", {**ROTATION, "client": "shop"}, ("operate",), False),
    ("another client's end", "client.revoke", {"command_id": "c1", "client": "shop"}, ("operate",), False),
    ("one's own tokens", "client.rotate", {**ROTATION, "client": "a-client"}, ("metrics",), True),
    ("one's own scopes", "client.update", {"command_id": "c1", "client": "a-client"}, ("metrics",), True),
    ("one's own end", "client.revoke", {"command_id": "c1", "client": "a-client"}, ("metrics",), True),
    (
        "one's own end, if a wallet unseen is at a version",
        "client.revoke",
        {"command_id": "c1", "client": "a-client", "if_version": {"bob": 1}},
        ("metrics",),
        False,
    ),
    ("another client's scopes", "client.update", {"command_id": "c1", "client": "shop"}, ("operate",), False),
    ("an operator opens wallets", "wallet.open", {"command_id": "c1", "wallet": "shop"}, ("operate",), True),
    ("but not the system's", "wallet.open", {"command_id": "c1", "wallet": "@shop"}, ("operate",), False),
    ("nor closes the outside", "wallet.close", {"command_id": "c1", "wallet": "@external"}, ("operate",), False),
    (
        "nor freezes it in a batch",
        "batch.execute",
        {"command_id": "c1", "commands": [{"method": "wallet.freeze", "command_id": "c2", "wallet": "@x", "why": "w"}]},
        ("operate",),
        False,
    ),
    ("as an admin does", "wallet.close", {"command_id": "c1", "wallet": "@external"}, ("admin",), True),
    (
        "an operator sweeps to the system",
        "wallet.close",
        {"command_id": "c1", "wallet": "shop", "sweep_to": "@fees"},
        ("operate",),
        True,
    ),
    (
        "a capture goes to anybody",
        "hold.capture",
        {"command_id": "c1", "wallet": "shop:1", "hold": "h1", "parts": [{"to": "bob", "amount": "1"}]},
        ("spend:shop:1",),
        True,
    ),
    (
        "who gets it does not capture",
        "hold.capture",
        {"command_id": "c1", "wallet": "shop:1", "hold": "h1", "parts": [{"to": "bob", "amount": "1"}]},
        ("spend:bob",),
        False,
    ),
    (
        "who got it gives it back",
        "transfer.refund",
        {"command_id": "c1", "transfer": "t1", "postings": [POSTING | {"from": "bob", "to": "shop:1"}]},
        ("spend:bob",),
        True,
    ),
    (
        "who paid does not take it back",
        "transfer.refund",
        {"command_id": "c1", "transfer": "t1", "postings": [POSTING | {"from": "bob", "to": "shop:1"}]},
        ("spend:shop:1",),
        False,
    ),
    ("the whole journal", "stream.subscribe", {"all": True}, ("view:*", "spend:*"), False),
    ("the whole journal, for the operator", "stream.subscribe", {"all": True}, ("operate",), True),
]


@pytest.mark.parametrize(
    ("method", "params", "scopes", "permitted"), [row[1:] for row in REQUESTS], ids=[f"{r[1]} {r[0]}" for r in REQUESTS]
)
def test_a_request_about_several_wallets_needs_the_right_to_each(
    method: str, params: dict[str, Any], scopes: tuple[str, ...], permitted: bool
) -> None:
    command_id = {"command_id": "c1"} if method == "transfer.post" else {}
    assert is_permitted(method, params | command_id, *scopes) == permitted


# --- scopes and needs ------------------------------------------------------------------------------------------------

NEEDS: list[tuple[str, Need, bool]] = [
    ("view:shop:*", Need.view("shop:"), True),
    ("view:shop:*", Need.view("shop:1"), True),
    ("view:shop:*", Need.view("shop"), False),
    ("view:shop:*", Need.view("shops"), False),
    ("view:shop:*", Need.view("Shop:1"), False),
    ("view:shop:*", Need.view("@shop:1"), False),
    ("view:shop:*", Need.view_prefix("shop:"), True),
    ("view:shop:*", Need.view_prefix("shop:1:"), True),
    ("view:shop:*", Need.view_prefix("shop"), False),
    ("view:shop:*", Need.view_prefix(""), False),
    ("view:shop", Need.view("shop"), True),
    ("view:shop", Need.view("shop:1"), False),
    ("view:shop", Need.view_prefix("shop"), False),
    ("view:shop*", Need.view("shop"), True),
    ("view:shop*", Need.view("shops:1"), True),
    ("view:*", Need.view("@external"), True),
    ("view:*", Need.view_prefix(""), True),
    ("view:@*", Need.view("@external"), True),
    ("view:@*", Need.view("external"), False),
    ("view:", Need.view(""), False),
    ("view:", Need.view_prefix(""), False),
    ("view", Need.view("shop"), False),
    ("view:a*b*", Need.view("a*b1"), True),
    ("view:a*b*", Need.view("axb"), False),
    ("spend:shop", Need.view("shop"), True),
    ("spend:shop", Need.spend("shop"), True),
    ("view:shop", Need.spend("shop"), False),
    ("spend:*", Need.spend("@external"), False),
    ("spend:*", Need.view("@external"), True),
    ("spend:@external", Need.spend("@external"), True),
    ("spend:@external", Need.spend("@fees"), False),
    ("mint", Need.spend("@external"), True),
    ("mint", Need.spend("@fees"), True),
    ("mint", Need.view("@fees"), True),
    ("mint", Need.view_prefix("@"), True),
    ("mint", Need.view_prefix(""), False),
    ("mint", Need.spend("shop"), False),
    ("mint", Need.view("shop"), False),
    ("mint", KEYS, False),
    ("mint:*", Need.spend("@external"), False),
    ("open:shop-*", Need.open("shop-1"), True),
    ("open:shop-*", Need.open("shop"), False),
    ("open:shop", Need.open("shop"), True),
    ("open:*", Need.open("shop"), True),
    ("open:*", Need.freeze("shop"), False),
    ("open:*", Need.view("shop"), False),
    ("open:*", OPERATE, False),
    ("freeze:shop-*", Need.freeze("shop-1"), True),
    ("freeze:*", Need.open("shop"), False),
    ("freeze:*", Need.view("shop"), False),
    ("define", DEFINE, True),
    ("metrics", Need.change("a-client"), True),
    ("operate", Need.change("another"), False),
    ("admin", Need.change("another"), True),
    ("view:*", Need.change("another/key"), False),
    ("spend:a", Need.change("another/key"), True),
    ("define", OPERATE, False),
    ("operate", DEFINE, True),
    ("operate", Need.open("shop"), True),
    ("operate", Need.freeze("shop"), True),
    ("spend:*", Need.open("shop"), False),
    ("spend:*", DEFINE, False),
    ("spend:*", OPERATE, False),
    ("spend:*", Need(Right.ADMIN), False),
    ("view:*", OPERATE, False),
    ("metrics", Need.view("metrics"), False),
    ("operate", Need.spend("@external"), True),
    ("operate", Need(Right.ADMIN), False),
    ("operate:*", OPERATE, False),
    ("view:shop-*", Need.view("shop-"), True),
    ("view:shop-*", Need.view("shop-1"), True),
    ("view:shop-*", Need.view("shop-1-"), True),
    ("view:shop-*", Need.view("shop"), False),
    ("view:shop-*", Need.view("shop2"), False),
    ("view:shop-*", Need.view("shop.-1"), False),
    ("view:shop-*", Need.view("@shop-1"), False),
    ("view:shop-*", Need.view("xshop-1"), False),
    ("spend:shop-1", Need.spend("shop-10"), False),
    ("spend:shop-1", Need.spend("shop-"), False),
    ("spend:shop-1*", Need.spend("shop-10"), True),
    ("spend:shop-*", Need.view("shop2"), False),
    ("spend:@*", Need.spend("@external"), True),
    ("spend:@*", Need.spend("external"), False),
    ("metrics", METRICS, True),
    ("operate", METRICS, True),
    ("spend:*", METRICS, False),
    ("view:metrics", METRICS, False),
    ("metrics", KEYS, False),
    ("view:*", KEYS, False),
    ("spend:shop", KEYS, True),
    ("operate", KEYS, True),
    ("spend:", KEYS, False),
    ("admin", Need(Right.ADMIN), True),
    ("admin:*", Need(Right.ADMIN), False),
    ("Admin", Need(Right.ADMIN), False),
    (" admin", Need(Right.ADMIN), False),
    ("", Need.view(""), False),
    ("*", Need.view("shop"), False),
    ("*:*", Need.view("shop"), False),
]


@pytest.mark.parametrize(("scope", "need", "covered"), NEEDS)
def test_a_scope_covers_a_need_or_does_not(scope: str, need: Need, covered: bool) -> None:
    assert grant(scope).permits(need) == covered


def test_every_right_is_asked_for_in_the_table() -> None:
    assert {need.right for _, need, _ in NEEDS} | {Right.NOTHING} == set(Right)


# --- tokens ----------------------------------------------------------------------------------------------------------


def test_a_token_that_was_admitted_has_its_grant_and_no_other_has() -> None:
    register = TokenRegister()
    register.admit("secret", grant("view:shop"))
    assert register.grant_of("secret") == Grant(grant().principal, ("view:shop",), None, token_hash("secret"))
    for other in ("", "Secret", "secret ", "secret\n", "secre", "secret\x00"):
        assert register.grant_of(other) is None


def test_a_register_keeps_no_token() -> None:
    register = TokenRegister()
    register.admit("secret", grant("admin"))
    assert "secret" not in repr((register.clients.records, register.clients.tokens))


WIDER: list[tuple[str, str, bool]] = [
    ("spend:shop-*", "spend:shop-1", True),
    ("spend:shop-*", "spend:shop-1*", True),
    ("spend:shop-*", "view:shop-*", True),
    ("spend:shop-*", "spend:shop*", False),
    ("spend:shop-1", "spend:shop-1", True),
    ("spend:shop-1", "view:shop-1", True),
    ("spend:shop-1", "view:shop-1*", False),
    ("spend:shop-1", "spend:shop-10", False),
    ("view:shop-*", "spend:shop-1", False),
    ("view:*", "view:@external", True),
    ("spend:*", "spend:@external", False),
    ("spend:*", "spend:@*", False),
    ("spend:*", "view:@*", True),
    ("spend:@*", "spend:@fees", True),
    ("spend:*", "mint", False),
    ("mint", "mint", True),
    ("mint", "spend:@external", False),
    ("open:user-*", "open:user-1", True),
    ("open:user-*", "freeze:user-1", False),
    ("operate", "spend:*", True),
    ("operate", "mint", True),
    ("operate", "admin", False),
    ("admin", "admin", True),
    ("metrics", "operate", False),
    ("spend:*", "operate", False),
]


@pytest.mark.parametrize(("scope", "other", "wider"), WIDER)
def test_a_scope_includes_another_if_it_permits_all_that_the_other_does(scope: str, other: str, wider: bool) -> None:
    assert includes((scope,), other) == wider
    if wider:
        for _, need, covered in NEEDS:
            if grant(other).permits(need) and covered:
                assert grant(scope).permits(need), need


@pytest.mark.parametrize(
    ("address", "networks", "within"),
    [
        ("10.1.2.3", ("10.1.0.0/16",), True),
        ("10.2.2.3", ("10.1.0.0/16",), False),
        ("10.1.2.3", ("10.1.2.3",), True),
        ("::ffff:10.1.2.3", ("10.1.0.0/16",), True),
        ("2001:db8::7", ("10.1.0.0/16", "2001:db8::/32"), True),
        ("fe80::1%eth0", ("fe80::/10",), True),
        ("unix", ("127.0.0.0/8",), True),
        ("unix", ("10.1.0.0/16",), False),
        ("gone", ("0.0.0.0/0",), False),
    ],
)
def test_an_address_is_within_a_network_or_not(address: str, networks: tuple[str, ...], within: bool) -> None:
    assert is_within(address, networks) == within
