"""Bad input over a real connection: its own clear error, nothing changed, the connection still usable."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from tests.daemon.process import Client, Daemon, furnish, transfer


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("bad") / "data") as daemon:
        yield daemon


@pytest.fixture(scope="module")
def client(daemon: Daemon) -> Iterator[Client]:
    with daemon.client() as client:
        furnish(client, "alice", "bob", amount=1000)
        yield client


def head(client: Client) -> int:
    return int(client.call("daemon.status")["head"])


def post(**changes: Any) -> dict[str, Any]:
    params = transfer("bad", "alice", "bob", 1)
    params["postings"][0].update(changes)
    return params


MALFORMED_FRAMES = [
    ("{", -32700, "parse_error"),
    ("", -32700, "parse_error"),
    ("\u0000", -32700, "parse_error"),
    ("[" * 5000, -32700, "parse_error"),
    ("NaN", -32700, "parse_error"),
    ("[]", -32600, "invalid_request"),
    ("null", -32600, "invalid_request"),
    ('{"jsonrpc":"2.0","method":"session.ping"}', -32600, "invalid_request"),
    ('{"jsonrpc":"1.0","id":1,"method":"session.ping"}', -32600, "invalid_request"),
    ('{"jsonrpc":"2.0","id":1.5,"method":"session.ping"}', -32600, "invalid_request"),
    ('{"jsonrpc":"2.0","id":null,"method":"session.ping"}', -32600, "invalid_request"),
    ('{"jsonrpc":"2.0","id":1,"method":"session.ping","x":1}', -32600, "invalid_request"),
    ('{"jsonrpc":"2.0","id":1,"method":7}', -32600, "invalid_request"),
    ('{"jsonrpc":"2.0","id":1,"method":"money.print"}', -32601, "method_not_found"),
    ('{"jsonrpc":"2.0","id":1,"method":"session.ping","params":[]}', -32602, "invalid_params"),
]


@pytest.mark.parametrize(("frame", "code", "reason"), MALFORMED_FRAMES)
def test_a_malformed_frame_is_named_and_harms_nothing(client: Client, frame: str, code: int, reason: str) -> None:
    before = head(client)
    error = client.raw(frame)["error"]
    assert (error["code"], error["data"]["reason"]) == (code, reason)
    assert error["data"]["outcome"] == "not_applied"
    assert error["message"]
    assert head(client) == before


MALFORMED_PARAMS = [
    ("missing field", {"command_id": "bad"}, "postings"),
    ("extra field", {**post(), "fee": "1"}, "fee"),
    ("extra field inside", post(memo="x"), "postings[0].memo"),
    ("no postings", {"command_id": "bad", "postings": []}, "postings"),
    ("amount in exponent form", post(amount="1e3"), "postings[0].amount"),
    ("negative amount", post(amount="-1"), "postings[0].amount"),
    ("amount with a point", post(amount="1.5"), "postings[0].amount"),
    ("empty amount", post(amount=""), "postings[0].amount"),
    ("zero", post(amount="0"), "postings[0].amount"),
    ("10^36", post(amount=str(10**36)), "postings[0].amount"),
    ("a number for an amount", post(amount=5), "postings[0].amount"),
    ("a final newline", post(amount="5\n"), "postings[0].amount"),
    ("other digits", post(amount="٥"), "postings[0].amount"),
    ("a wallet with a space", post(to="bo b"), "postings[0].to"),
    ("a lower-case asset", post(asset="eur"), "postings[0].asset"),
    ("an empty command id", {**post(), "command_id": ""}, "command_id"),
    ("a long command id", {**post(), "command_id": "x" * 65}, "command_id"),
]


@pytest.mark.parametrize(
    ("params", "field"), [row[1:] for row in MALFORMED_PARAMS], ids=[r[0] for r in MALFORMED_PARAMS]
)
def test_malformed_params_name_the_field_and_use_no_command_id(
    client: Client, params: dict[str, Any], field: str
) -> None:
    before = head(client)
    error = client.refused("transfer.post", **params)
    assert error["code"] == -32602
    assert error["data"]["field"] == field
    assert field.rpartition(".")[2] in error["message"]
    assert head(client) == before


NUMBERS = count()

REFUSALS = [
    ("unknown asset", post(asset="XAU"), "asset_not_found", {"asset": "XAU"}),
    ("unknown payer", post(**{"from": "nobody"}), "wallet_not_found", {"wallet": "nobody"}),
    ("unknown payee", post(to="nobody"), "wallet_not_found", {"wallet": "nobody"}),
    ("self-transfer", post(to="alice"), "self_transfer", {"wallet": "alice"}),
    ("lack of funds", post(amount=str(10**36 - 1)), "insufficient_funds", {"available": "1000"}),
]


@pytest.mark.parametrize(("params", "reason", "facts"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
def test_a_refusal_moves_nothing_and_is_remembered(
    client: Client, params: dict[str, Any], reason: str, facts: dict[str, Any]
) -> None:
    params = {**params, "command_id": f"refused-{next(NUMBERS)}"}
    balances = client.call("wallet.get", wallet="alice")["balances"]
    error = client.refused("transfer.post", **params)
    assert error["data"]["reason"] == reason
    assert facts.items() <= error["data"].items()
    assert client.call("wallet.get", wallet="alice")["balances"] == balances
    assert client.refused("transfer.post", **params)["data"]["replayed"] is True


def test_a_command_id_with_other_content_is_refused_and_the_first_stands(client: Client) -> None:
    first = client.call("transfer.post", **transfer("twice", "alice", "bob", 1))
    error = client.refused("transfer.post", **transfer("twice", "alice", "bob", 2))
    assert error["data"]["reason"] == "command_id_reused"
    assert error["data"]["field"] == "postings[0].amount"
    assert error["data"]["sequence"] == first["sequence"]
    assert client.refused("wallet.open", command_id="twice", wallet="new")["data"]["field"] == "method"


def test_an_oversize_message_closes_with_1009_and_a_binary_one_with_1003(daemon: Daemon, client: Client) -> None:
    limit = client.hello["limits"]["max_frame_bytes"]
    for message, code in (("x" * (limit + 1), 1009), (b"{}", 1003)):
        with daemon.client() as other:
            other.websocket.send(message)
            assert other.close_code() == code
    assert client.call("session.ping")
