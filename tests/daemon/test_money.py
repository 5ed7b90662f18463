"""Holds, refunds, limits and batches over the socket of the real process, also after kill -9."""

from pathlib import Path

from tests.daemon.process import Daemon, furnish, transfer


def test_the_money_protocol_over_the_socket_survives_kill_9(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "data")
    with daemon, daemon.client() as client:
        furnish(client, "alice", "bob", amount=1000)
        placed = client.call("hold.place", command_id="p", wallet="alice", asset="EUR", amount="300")
        hold = placed["hold"]
        assert placed["balances"][0]["available"] == "700"
        parts = [{"to": "bob", "amount": "100"}]
        captured = client.call("hold.capture", command_id="c", wallet="alice", hold=hold, parts=parts)
        postings = [{"from": "bob", "to": "alice", "asset": "EUR", "amount": "40"}]
        client.call("transfer.refund", command_id="r", transfer=captured["transfer"], postings=postings)
        shown = client.call("transfer.get", transfer=captured["transfer"])
        assert (shown["kind"], shown["refunded"][0]["refunded"]) == ("capture", "40")
        limits = {"EUR": {"minimum": "500"}}
        client.call("wallet.update", command_id="u", wallet="alice", limits=limits)
        commands = [
            {"method": "transfer.post", **transfer("b1", "alice", "bob", 10)},
            {"method": "hold.place", "command_id": "b2", "wallet": "bob", "asset": "EUR", "amount": "5000"},
            {"method": "hold.place", "command_id": "b3", "wallet": "bob", "asset": "EUR", "amount": "5"},
        ]
        outcomes = client.call("batch.execute", command_id="b", commands=commands, atomic=False)["outcomes"]
        assert [outcome.get("error", {}).get("data", {}).get("reason") for outcome in outcomes] == [
            None,
            "insufficient_funds",
            None,
        ]
        frozen = client.call("wallet.freeze", command_id="f", wallet="bob", why="court order")
        assert frozen["wallets"][0]["status"] == "frozen"
        doubled = client.refused("batch.execute", command_id="x", commands=[commands[0], commands[0]])
        assert doubled["data"]["field"] == "commands[1].command_id"
        before = [client.call("wallet.get", wallet=name) for name in ("alice", "bob")]
        daemon.kill()
    for file in daemon.data.glob("state.db*"):
        file.unlink()
    with daemon, daemon.client() as client:
        after = [client.call("wallet.get", wallet=name) for name in ("alice", "bob")]
        assert after == before
        assert client.call("hold.get", wallet="alice", hold=hold)["reserved"] == "200"
        assert [h["hold"] for h in client.call("hold.list", wallet="bob")["holds"]] == [outcomes[2]["hold"]]
        assert client.refused("transfer.post", **transfer("t", "bob", "alice", 1))["data"]["reason"] == "wallet_frozen"
        lines = client.call("statement.get", wallet="alice")["lines"]
        assert [line["kind"] for line in lines] == ["transfer", "capture", "refund", "transfer"]
        assert client.refused("transfer.post", **transfer("b1", "alice", "bob", 10))["data"]["field"] == "method"
        assert {total["sum"] for total in client.call("daemon.audit")["totals"]} == {"0"}


def test_the_past_reads_the_same_after_kill_9_and_a_rebuild_of_the_read_tables(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "data")
    with daemon, daemon.client() as client:
        furnish(client, "alice", "bob", amount=1000)
        hold = client.call("hold.place", command_id="p", wallet="alice", asset="EUR", amount="300")
        last = client.call("transfer.post", **transfer("t", "alice", "bob", 10))["sequence"]
        points = [hold["sequence"], hold["time"], last]
        page = client.call("statement.get", wallet="bob", limit=1)
        before = [client.call("balance.get", wallets=["alice", "bob"], as_of=point) for point in points]
        assert [answer["balances"][0]["held"] for answer in before] == ["300"] * 3
        daemon.kill()
    for file in daemon.data.glob("state.db*"):
        file.unlink()
    with daemon, daemon.client() as client:
        assert [client.call("balance.get", wallets=["alice", "bob"], as_of=point) for point in points] == before
        assert client.refused("balance.get", wallet="bob", as_of=last + 1)["data"]["reason"] == "future_moment"
        client.call("transfer.post", **transfer("t2", "alice", "bob", 10))
        following = client.call("statement.get", wallet="bob", limit=1, cursor=page["next"])
        assert [line["posted"] for line in page["lines"] + following["lines"]] == ["1000", "1010"]
        assert (following["closing"], following["sequence"]) == (page["closing"], page["sequence"])
        assert "next" not in following


def test_velocity_is_not_reset_by_kill_9_by_a_cold_wallet_or_by_a_rebuild(tmp_path: Path) -> None:
    velocity = [{"seconds": 3600, "amount": "100"}, {"seconds": 86_400, "amount": "150"}]
    daemon = Daemon(tmp_path / "data", environment={"WALLETD_MAX_WARM_WALLETS": "2"})
    with daemon, daemon.client() as client:
        furnish(client, "alice", "bob", "carol", amount=1000)
        client.call("wallet.update", command_id="u", wallet="alice", limits={"EUR": {"velocity": velocity}})
        client.call("transfer.post", **transfer("t1", "alice", "bob", 30))
        hold = client.call("hold.place", command_id="h", wallet="alice", asset="EUR", amount="50")["hold"]
        for wallet in ("bob", "carol", "@external"):
            client.call("balance.get", wallet=wallet)
        before = client.call("balance.get", wallet="alice", asset="EUR")["room"]
        assert [(window["used"], window["remaining"]) for window in before[0]["windows"]] == [
            ("80", "20"),
            ("80", "70"),
        ]
        assert client.call("wallet.get", wallet="alice")["room"] == before
        assert "room" not in client.call("wallet.get", wallet="bob")
        daemon.kill()
    for file in daemon.data.glob("state.db*"):
        file.unlink()
    with daemon, daemon.client() as client:
        assert client.call("balance.get", wallet="alice", asset="EUR")["room"] == before
        refused = client.refused("transfer.post", **transfer("t2", "alice", "bob", 21))["data"]
        assert (refused["reason"], refused["used"], refused["remaining"]) == ("velocity_exceeded", "80", "20")
        tried = client.call("transfer.post", **transfer("t3", "alice", "bob", 20), dry_run=True)
        room = {room["wallet"]: room for room in tried["room"]}
        assert room["alice"]["payable"] == "0"
        assert [window["remaining"] for window in room["alice"]["windows"]] == ["0", "50"]
        client.call("hold.void", command_id="v", wallet="alice", hold=hold)
        daemon.kill()
    with daemon, daemon.client() as client:
        assert client.call("transfer.post", **transfer("t4", "alice", "bob", 70))["sequence"]
        assert client.refused("transfer.post", **transfer("t5", "alice", "bob", 1))["data"]["remaining"] == "0"
