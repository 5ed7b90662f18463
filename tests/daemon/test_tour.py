"""The five-minute tour, by a client that no part of walletd helped to write."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.daemon.process import Client, Daemon, furnish, posted, transfer


def test_the_tour_survives_kill_9_and_the_loss_of_the_read_tables(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "data")
    with daemon, daemon.client() as client:
        for asset, scale in (("EUR", 2), ("BTC", 8), ("ETH", 18)):
            defined = client.call("asset.define", command_id=f"define-{asset}", asset=asset, scale=scale)
            assert defined["assets"] == [{"asset": asset, "scale": scale}]
        for wallet in ("alice", "bob"):
            client.call("wallet.open", command_id=f"open-{wallet}", wallet=wallet, metadata={"name": wallet.title()})
        subscribed = client.call("stream.subscribe", wallets=["bob"], snapshot=True)
        assert [wallet["wallet"] for wallet in subscribed["wallets"]] == ["bob"]
        client.call("transfer.post", **transfer("in", "@external", "alice", 1000))
        wei = 10**30 + 1
        client.call("transfer.post", **transfer("wei", "@external", "alice", wei, "ETH"))
        paid = client.call("transfer.post", **transfer("pay", "alice", "bob", 400, reference="invoice 7"))
        event = client.next_pushed("stream.event")
        assert event["sequence"] == paid["sequence"]
        assert event["previous_sequence"] == subscribed["from"]
        assert event["entry"]["effects"]["balances"] == paid["balances"]
        refused = client.refused("transfer.post", **transfer("too-much", "alice", "bob", 601))
        assert refused["message"].startswith("wallet alice has 6.00 EUR available and needs 6.01 EUR: 0.01 EUR short")
        assert refused["data"]["outcome"] == "not_applied"
        facts = [refused["data"][name] for name in ("asset", "scale", "available", "required", "short_by")]
        assert facts == ["EUR", 2, "600", "601", "1"]
        lines = client.call("statement.get", wallet="alice", asset="EUR")["lines"]
        assert [(line["amount"], line["posted"], line["counterparty"]) for line in lines] == [
            ("1000", "1000", "@external"),
            ("-400", "600", "bob"),
        ]
        daemon.kill()
    for is_deleted in (False, True):
        if is_deleted:
            for file in daemon.data.glob("state.db*"):
                file.unlink()
        with daemon, daemon.client() as client:
            assert posted(client, "alice") == 600
            assert posted(client, "alice", "ETH") == wei
            again = client.call("transfer.post", **transfer("pay", "alice", "bob", 400, reference="invoice 7"))
            assert again.pop("replayed") is True
            assert again == paid
            refused_again = client.refused("transfer.post", **transfer("too-much", "alice", "bob", 601))
            assert refused_again["data"].pop("replayed") is True
            assert refused_again == refused
            assert {total["sum"] for total in client.call("daemon.audit")["totals"]} == {"0"}
            assert client.call("statement.get", wallet="alice", asset="EUR")["lines"] == lines


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("served") / "data") as served:
        yield served


def test_the_server_speaks_first_and_names_its_limits(daemon: Daemon) -> None:
    with daemon.client() as client:
        assert client.hello["protocol"] == "1"
        assert client.hello["lifecycle"] == "serving"
        assert client.hello["limits"]["max_frame_bytes"] >= 4096


def test_a_token_may_come_in_a_header_a_subprotocol_or_a_first_request(daemon: Daemon) -> None:
    with daemon.client() as client:
        client.call("daemon.status")
    offered = ["walletd.v1", daemon.bearer_subprotocol()]
    with daemon.client(additional_headers={}, subprotocols=offered) as client:
        assert client.websocket.subprotocol == "walletd.v1"
        client.call("daemon.status")
    with daemon.client(additional_headers={}) as client:
        assert client.refused("daemon.status")["data"]["reason"] == "authentication_required"
        assert client.refused("session.authenticate", token="guess")["data"]["reason"] == "authentication_failed"
        assert client.call("session.authenticate", token=daemon.token)["principal"] == "operator"
        client.call("daemon.status")


def test_a_client_that_offers_only_other_protocols_is_closed_with_4406(daemon: Daemon) -> None:
    with connect(daemon.url, proxy=None, subprotocols=[Subprotocol("soap.v9")]) as websocket:
        with pytest.raises(ConnectionClosed) as closed:
            websocket.recv(timeout=60)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4406


def test_two_clients_can_drain_a_wallet_only_once(daemon: Daemon) -> None:
    with daemon.client() as one, daemon.client() as other:
        furnish(one, "drained", "one", "other", amount=100)
        asked = [
            (client, client.send("transfer.post", **transfer(f"{name}-{n}", "drained", name, 1)))
            for n in range(100)
            for client, name in ((one, "one"), (other, "other"))
        ]
        responses = [client.reply(request_id) for client, request_id in asked]
        assert sum("result" in response for response in responses) == 100
        assert posted(one, "drained") == 0
        assert posted(one, "one") + posted(one, "other") == 300


def test_many_senders_of_one_command_id_get_one_answer(daemon: Daemon) -> None:
    with daemon.client() as first:
        furnish(first, "payer", "payee", amount=1000)
        clients: list[Client] = [daemon.client() for _ in range(64)]
        try:
            asked = [(c, c.send("transfer.post", **transfer("once", "payer", "payee", 10))) for c in clients]
            results = [client.reply(request_id)["result"] for client, request_id in asked]
        finally:
            for client in clients:
                client.websocket.close()
        assert sum("replayed" not in result for result in results) == 1
        assert len({result["sequence"] for result in results}) == 1
        assert posted(first, "payer") == 990


def test_a_session_reads_its_own_pipelined_writes(daemon: Daemon) -> None:
    with daemon.client() as client:
        furnish(client, "writer")
        sent = [client.send("transfer.post", **transfer(f"own-{n}", "@external", "writer", 1)) for n in range(50)]
        statement = client.send("statement.get", wallet="writer")
        balance = client.send("balance.get", wallet="writer", asset="EUR")
        assert len(client.reply(statement)["result"]["lines"]) == 50
        assert client.reply(balance)["result"]["balances"][0]["posted"] == "50"
        assert all("result" in client.reply(request_id) for request_id in sent)


def test_a_stream_resumes_after_any_event_without_gap_or_double(daemon: Daemon) -> None:
    with daemon.client() as client:
        furnish(client, "watched", "unwatched")
        started = client.call("stream.subscribe", wallets=["watched"])
        for n in range(10):
            client.call("transfer.post", **transfer(f"w-{n}", "@external", "watched", 1))
            client.call("transfer.post", **transfer(f"u-{n}", "@external", "unwatched", 1))
        live = [client.next_pushed("stream.event") for _ in range(10)]
        for seen in range(10):
            after = {"epoch": started["epoch"], "sequence": live[seen]["sequence"]}
            with daemon.client() as resumed:
                assert resumed.call("stream.subscribe", wallets=["watched"], after=after)["mode"] == "replay"
                rest = [resumed.next_pushed("stream.event") for _ in range(9 - seen)]
                assert [event["entry"] for event in rest] == [event["entry"] for event in live[seen + 1 :]]
                assert [e["previous_sequence"] for e in rest] == [e["sequence"] for e in live[seen:9]]
        beyond = {"epoch": started["epoch"], "sequence": 10**9}
        assert client.refused("stream.subscribe", all=True, after=beyond)["data"]["reason"] == "future_cursor"
        other = {"epoch": started["epoch"] + 1, "sequence": 1}
        assert client.refused("stream.subscribe", all=True, after=other)["data"]["reason"] == "epoch_changed"
