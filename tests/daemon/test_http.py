"""``POST /v1/rpc`` of a real daemon: money, repetitions, refusals and tokens, as over the websocket."""

import hashlib
import http.client
import json
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.contract.witness import published
from tests.daemon.process import Daemon, furnish


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("http") / "data") as daemon:
        with daemon.client() as client:
            furnish(client, "alice", "bob", amount=100_000)
        yield daemon


def post(
    daemon: Daemon, method: str, token: str | None = None, **params: Any
) -> tuple[int, Any, http.client.HTTPMessage]:
    host, _, port = daemon.url.removeprefix("ws://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    connection.request("POST", "/v1/rpc", body, {"Authorization": f"Bearer {token or daemon.token}"})
    response = connection.getresponse()
    answer = json.loads(response.read())
    kind = "error" if "error" in answer else f"{method}.reply"
    assert not published().faults(kind, answer), answer
    connection.close()
    return response.status, answer, response.headers


def pay(daemon: Daemon, command_id: str, amount: str = "1") -> tuple[int, Any, http.client.HTTPMessage]:
    posting = {"from": "alice", "to": "bob", "asset": "EUR", "amount": amount}
    return post(daemon, "transfer.post", command_id=command_id, postings=[posting])


def test_a_payment_is_made_once_however_often_it_is_sent(daemon: Daemon) -> None:
    first, again = pay(daemon, "once", "250"), pay(daemon, "once", "250")
    assert (first[0], again[0]) == (200, 200)
    assert again[1]["result"]["replayed"]
    assert {**again[1]["result"], "replayed": None} == {**first[1]["result"], "replayed": None}
    status, answer, _ = pay(daemon, "once", "251")
    assert (status, answer["error"]["data"]["reason"]) == (422, "command_id_reused")


def test_a_refusal_has_its_reason_and_its_facts(daemon: Daemon) -> None:
    status, answer, _ = pay(daemon, "too much", "999999")
    assert (status, answer["error"]["data"]["reason"]) == (400, "invalid_params")
    status, answer, _ = pay(daemon, "too-much", "999999")
    assert (status, answer["error"]["data"]["reason"]) == (422, "insufficient_funds")
    assert answer["error"]["data"]["scale"] == 2


def test_a_token_that_is_not_in_force_and_a_scope_that_does_not_suffice_are_refused(daemon: Daemon) -> None:
    status, answer, headers = post(daemon, "session.ping", token="walletd_no")
    assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer["error"]["data"]["reason"] == "authentication_failed"
    with daemon.client() as client:
        token = "walletd_" + "v" * 43
        digest = hashlib.sha256(token.encode()).hexdigest()
        client.call("client.create", command_id="viewer", client="viewer", scopes=["view:alice"], token_sha256=digest)
    assert post(daemon, "balance.get", token=token, wallet="alice")[0] == 200
    status, answer, _ = post(daemon, "balance.get", token=token, wallet="bob")
    assert (status, answer["error"]["data"]["reason"]) == (403, "forbidden")


def test_a_request_without_a_token_is_told_where_it_belongs(daemon: Daemon) -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"session.ping"}'
    request = urllib.request.Request(daemon.url.replace("ws:", "http:") + "/v1/rpc", body)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=30)
    assert refused.value.code == 401
    error = json.loads(refused.value.read())["error"]
    assert error["data"]["reason"] == "authentication_required"
    assert "Authorization: Bearer TOKEN" in error["message"]


def test_streams_are_only_on_the_websocket(daemon: Daemon) -> None:
    status, answer, _ = post(daemon, "stream.subscribe", wallets=["alice"])
    assert (status, answer["error"]["data"]["reason"]) == (404, "method_not_found")
    assert "websocket" in answer["error"]["message"]


def test_many_at_once_are_each_answered(daemon: Daemon) -> None:
    with ThreadPoolExecutor(16) as many:
        statuses = list(many.map(lambda number: pay(daemon, f"many-{number}")[0], range(64)))
    assert statuses == [200] * 64


def test_a_second_request_behind_the_first_is_not_answered(daemon: Daemon) -> None:
    host, _, port = daemon.url.removeprefix("ws://").partition(":")
    posting = {"from": "alice", "to": "bob", "asset": "EUR", "amount": "1"}
    sent = b""
    for command_id in ("first", "smuggled"):
        params = {"command_id": command_id, "postings": [posting]}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "transfer.post", "params": params}).encode()
        head = f"POST /v1/rpc HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {daemon.token}\r\n"
        sent += f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    with socket.create_connection((host, int(port)), timeout=30) as peer:
        peer.sendall(sent)
        answered = b"".join(iter(lambda: peer.recv(65536), b""))
    assert answered.count(b"HTTP/1.1 200 OK") == 1
    status, answer, _ = post(daemon, "entry.get", command_id="smuggled")
    assert (status, answer["error"]["data"]["reason"]) == (422, "entry_not_found")


def test_the_answers_are_counted_by_status(daemon: Daemon) -> None:
    before = answered(daemon)
    pay(daemon, "counted")
    pay(daemon, "too-much", "999999")
    after = answered(daemon)
    assert {status: after[status] - before[status] for status in ("200", "422", "401", "none")} == {
        **{"200": 1, "422": 1},
        **{"401": 0, "none": 0},
    }


def answered(daemon: Daemon) -> dict[str, float]:
    with urllib.request.urlopen(f"{daemon.admin_url}/metrics", timeout=30) as page:
        found = re.findall(r'^walletd_http_requests_total{status="(\w+)"} (\S+)$', page.read().decode(), re.MULTILINE)
    return {status: float(count) for status, count in found}
