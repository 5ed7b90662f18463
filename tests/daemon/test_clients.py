"""Clients of a real daemon: by every carrier, through kill -9, and back in from outside when all doors are locked."""

import base64
import hashlib
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.daemon.process import Client, Daemon, furnish, posted, transfer
from walletd.client import AuthenticationFailed, RequestFailed, connect_sync, new_token

TOKENS = {name: f"walletd_{name}-token" for name in ("shop", "fresh", "root", "other")}


def sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def let_in(admin: Client, name: str, *scopes: str, **fields: Any) -> dict[str, Any]:
    """Create a client."""
    created = {"command_id": f"create-{name}", "client": name, "scopes": scopes}
    return admin.call("client.create", **created | {"token_sha256": sha256(TOKENS[name])} | fields)


def by_header(daemon: Daemon, token: str) -> Client:
    return daemon.client(additional_headers={"Authorization": f"Bearer {token}"})


def by_subprotocol(daemon: Daemon, token: str) -> Client:
    carried = base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
    return daemon.client(additional_headers={}, subprotocols=["walletd.v1", f"walletd.bearer.{carried}"])


def by_request(daemon: Daemon, token: str) -> Client:
    client = daemon.client(additional_headers={})
    client.call("session.authenticate", token=token)
    return client


CARRIERS = [by_header, by_subprotocol, by_request]


def status_of_handshake(daemon: Daemon, token: str) -> int:
    """The HTTP status that answers a handshake with this token."""
    try:
        with connect(daemon.url, proxy=None, additional_headers={"Authorization": f"Bearer {token}"}):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


@pytest.mark.parametrize("carrier", CARRIERS, ids=lambda carrier: carrier.__name__)
def test_a_new_clients_token_works_however_it_is_carried_until_it_is_revoked(tmp_path: Path, carrier: Any) -> None:
    with Daemon(tmp_path / "data") as daemon, daemon.client() as admin:
        assert admin.hello["auth"]["principal"] == "operator"
        assert admin.hello["auth"]["scopes"] == ["admin"]
        furnish(admin, "shop-1", "bob", amount=100)
        let_in(admin, "shop", "spend:shop-*")
        with carrier(daemon, TOKENS["shop"]) as shop:
            shop.call("stream.subscribe", prefix="shop-")
            shop.call("transfer.post", **transfer("p", "shop-1", "bob", 5))
            admin.call("client.update", command_id="one", client="shop", budget={"connections": 1})
            with daemon.client(additional_headers={}) as second:
                refused = second.refused("session.authenticate", token=TOKENS["shop"])["data"]
                assert (refused["reason"], refused["budget"], refused["limit"]) == ("quota_exceeded", "connections", 1)
                assert refused["retry_after_ms"] == 1000
            assert shop.refused("wallet.get", wallet="bob")["data"]["scope"] == "view:bob"
            admin.call("client.revoke", command_id="r", client="shop")
            assert shop.close_code() == 4401
        assert status_of_handshake(daemon, TOKENS["shop"]) == 401


def test_who_is_in_and_who_is_out_survives_kill_9_and_the_loss_of_the_read_tables(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data") as daemon:
        with daemon.client() as admin:
            furnish(admin, "shop-1", "bob", amount=100)
            let_in(admin, "shop", "spend:shop-*")
            let_in(admin, "other", "operate")
            with by_header(daemon, TOKENS["shop"]) as shop:
                key = {"client": "shop/phone", "scopes": ["view:shop-1"], "token_sha256": sha256("phone")}
                shop.call("client.create", command_id="k", **key)
                shop.call("transfer.post", **transfer("p", "shop-1", "bob", 5))
            admin.call("client.revoke", command_id="r", client="other")
        for loses_tables in (False, True):
            daemon.kill()
            if loses_tables:
                (tmp_path / "data" / "state.db").unlink()
            daemon.start()
            assert status_of_handshake(daemon, TOKENS["other"]) == 401
            with (
                by_header(daemon, TOKENS["shop"]) as shop,
                by_header(daemon, "phone") as phone,
                daemon.client() as admin,
            ):
                assert shop.call("transfer.post", **transfer("p", "shop-1", "bob", 5))["replayed"]
                assert posted(phone, "shop-1") == 95
                assert phone.refused("wallet.get", wallet="bob")["data"]["reason"] == "forbidden"
                again = let_in(admin, "shop", "spend:shop-*")
                assert again["replayed"]
        daemon.kill()
        command = [sys.executable, "-m", "walletd", "verify", str(tmp_path / "data")]
        assert subprocess.run(command, capture_output=True, text=True, check=False).returncode == 0


def test_a_revocation_that_was_answered_holds_after_kill_9(tmp_path: Path) -> None:
    """Kill -9 at once behind the answer; the seed is printed where it fails."""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    with Daemon(tmp_path / "data") as daemon:
        for turn in range(4):
            with daemon.client() as admin:
                token = f"walletd_{seed}-{turn}"
                created = {"client": f"c{turn}", "scopes": ["operate"], "token_sha256": sha256(token)}
                admin.call("client.create", command_id=f"c{turn}", **created)
                with by_header(daemon, token) as client:
                    client.call("stream.subscribe", all=True)
                    for number in range(chance.randrange(3)):
                        admin.send("wallet.open", command_id=f"w{turn}-{number}", wallet=f"w{turn}-{number}")
                    admin.call("client.revoke", command_id=f"r{turn}", client=f"c{turn}")
                    assert client.close_code() == 4401, seed
            daemon.kill()
            daemon.start()
            assert status_of_handshake(daemon, token) == 401, seed


def test_rotations_that_race_a_revocation_leave_nobody_in(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data") as daemon, daemon.client() as admin:
        let_in(admin, "shop", "spend:shop-*")
        tokens = [TOKENS["shop"], *(f"walletd_{number}" for number in range(20))]
        begin = threading.Barrier(2)

        def rotate() -> None:
            with daemon.client() as other:
                begin.wait()
                for number, token in enumerate(tokens[1:]):
                    rotation = {"client": "shop", "token_sha256": sha256(token)}
                    other.ask("client.rotate", command_id=f"rotate-{number}", **rotation)

        thread = threading.Thread(target=rotate)
        thread.start()
        begin.wait()
        admin.call("client.revoke", command_id="r", client="shop")
        thread.join()
        assert {status_of_handshake(daemon, token) for token in tokens} == {401}


def test_whoever_can_write_the_token_file_comes_back_in(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data") as daemon:
        with daemon.client() as admin:
            let_in(admin, "root", "admin")
        leaked = daemon.token
        with by_header(daemon, TOKENS["root"]) as root:
            root.call("client.revoke", command_id="r", client="operator")
            assert root.refused("client.revoke", command_id="r2", client="root")["data"]["reason"] == "last_admin"
            assert status_of_handshake(daemon, leaked) == 401
        daemon.kill()
        daemon.start()
        assert status_of_handshake(daemon, leaked) == 401, "a restart alone brings no token back"
        assert "remove the file" in daemon.log()
        daemon.kill()
        (tmp_path / "data" / "operator.token").unlink()
        daemon.start()
        assert daemon.token != leaked
        with daemon.client() as admin:
            assert admin.call("client.list")["clients"][0]["client"] == "operator"
        assert status_of_handshake(daemon, leaked) == 401


def test_the_operator_is_let_in_by_an_entry_of_its_own_once(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data") as daemon:
        with daemon.client() as admin:
            entry = admin.call("entry.get", sequence=2)["entry"]
            assert (entry["principal"], entry["command"]["method"]) == ("@walletd", "client.create")
        token = daemon.token
        daemon.kill()
        daemon.start()
        assert daemon.token == token
        with daemon.client() as admin:
            assert admin.call("session.ping")["head"] == 2, "a start with the same file writes nothing"


def test_the_client_library_makes_tokens_and_never_sends_them(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data") as daemon:
        token, key = new_token(), new_token()
        with connect_sync(daemon.url, token=daemon.token) as admin:
            admin.open_wallet("shop-1")
            admin.create_client("shop", ["spend:shop-*"], token)
            with connect_sync(daemon.url, token=token) as shop:
                shop.create_client("shop/phone", ["view:shop-1"], key)
                assert [view.client for view in shop.clients()] == ["shop", "shop/phone"]
                with connect_sync(daemon.url, token=key) as phone:
                    assert phone.wallet("shop-1").wallet == "shop-1"
                    with phone.subscribe(wallets=["shop-1"]) as stream:
                        shop.revoke_client("shop/phone")
                        with pytest.raises(AuthenticationFailed):
                            next(stream)
                with pytest.raises(RequestFailed, match="the scope mint"):
                    shop.pay("@external", "shop-1", 5, "EUR")
            admin.rotate_client("shop", new_token())
            with pytest.raises(AuthenticationFailed), connect_sync(daemon.url, token=token):
                raise AssertionError("the token before the rotation came in")
        daemon.kill()
        for file in (tmp_path / "data").glob("*.db*"):
            content = file.read_bytes()
            assert not any(secret.encode() in content for secret in (token, key, daemon.token)), file


def test_a_token_that_is_not_valid_at_an_address_is_refused_there_as_an_unknown_one_is(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data") as daemon:
        tokens = {"near": new_token(), "far": new_token()}
        with connect_sync(daemon.url, token=daemon.token) as admin:
            admin.create_client("near", ["metrics"], tokens["near"], addresses=["127.0.0.0/8"])
            admin.create_client("far", ["metrics"], tokens["far"], addresses=["10.1.0.0/16"])
        with connect_sync(daemon.url, token=tokens["near"]) as near:
            assert near.status().server_version == near.hello.server_version
        with pytest.raises(AuthenticationFailed), connect_sync(daemon.url, token=tokens["far"]):
            raise AssertionError("it came in from elsewhere")
