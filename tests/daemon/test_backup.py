"""Backup and restore over a real daemon: what comes back is what was there, and every answer is the same."""

import random
import resource
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.answers import answers, every_entry, live, session
from tests.daemon.journals import Load, done, environment_of, journal_of, restored, walletd
from tests.daemon.process import Daemon, furnish, posted, run_to_its_end, transfer


@pytest.fixture
def daemon(tmp_path: Path) -> Any:
    with Daemon(tmp_path / "data") as running:
        yield running


def test_after_a_restore_every_answer_is_the_same(tmp_path: Path, daemon: Daemon) -> None:
    live(daemon)
    before = answers(daemon)
    kinds = {name.split()[0] for name in before}
    assert kinds >= {
        "wallet",
        "statement",
        "range",
        "cursor",
        "past",
        "hold",
        "entry",
        "transfer",
        "again",
        "sees",
        "is",
    }
    assert len(before) > 200, "there is too little to compare"
    done("backup", str(tmp_path / "backup"), daemon=daemon)
    daemon.kill()
    with Daemon(restored(tmp_path / "backup", tmp_path / "restored", daemon.token)) as again:
        assert but_cursors(answers(again)) == but_cursors(before)
        with again.client() as client:
            refused = client.refused("transfer.post", **transfer("fast-again", "carol", "dora", 39))["data"]
            assert (refused["reason"], refused["used"]) == ("velocity_exceeded", "62")
            client.call("transfer.post", **transfer("just-fits", "carol", "dora", 38))
        with session(again, "shop/phone") as phone:
            assert phone.refused("wallet.get", wallet="bob")["data"]["scope"] == "view:bob"


def but_cursors(found: dict[str, Any]) -> dict[str, Any]:
    """What was answered, but for what only a cursor of this epoch is answered with."""
    return {name: answer for name, answer in found.items() if not name.startswith("cursor")}


def test_a_restored_journal_is_in_a_new_epoch_and_streams_are_told(tmp_path: Path, daemon: Daemon) -> None:
    with daemon.client() as client:
        furnish(client, "alice", "bob", amount=100)
        epoch, entries = client.hello["epoch"], every_entry(client)
        done("backup", str(tmp_path / "backup"), daemon=daemon)
    daemon.kill()
    with Daemon(restored(tmp_path / "backup", tmp_path / "restored", daemon.token)) as again, again.client() as client:
        assert client.hello["epoch"] > epoch
        cursor = {"epoch": epoch, "sequence": 3}
        old = client.refused("stream.subscribe", all=True, after=cursor)["data"]
        assert (old["reason"], old["epoch"]) == ("epoch_changed", client.hello["epoch"])
        whole = client.call("stream.subscribe", all=True, after=0)
        events = [client.next_pushed("stream.event") for _ in entries]
        assert [event["entry"] for event in events] == [view["entry"] for view in entries]
        assert whole["epoch"] == events[0]["epoch"] == client.hello["epoch"]
        client.call("transfer.post", **transfer("life-goes-on", "alice", "bob", 1))


def place(command_id: str, wallet: str, amount: int = 1) -> dict[str, Any]:
    return {"command_id": command_id, "wallet": wallet, "asset": "EUR", "amount": str(amount)}


def test_an_id_that_a_restore_gave_up_never_names_anything_else(tmp_path: Path, daemon: Daemon) -> None:
    """Neither after one restore nor after a second one of the same backup, and the ids that were kept stay."""
    with daemon.client() as client:
        furnish(client, "alice", "bob", amount=1000)
        kept = client.call("transfer.post", **transfer("kept", "alice", "bob", 10))["transfer"]
        kept_hold = client.call("hold.place", **place("kept-hold", "alice"))
        done("backup", str(tmp_path / "backup"), daemon=daemon)
        lost = client.call("transfer.post", **transfer("order-a", "alice", "bob", 100))["transfer"]
        lost_hold = client.call("hold.place", **place("hold-a", "alice", 5))["hold"]
        both = [{"method": "transfer.post", **transfer(f"in-{n}", "alice", "bob", 1)} for n in range(2)]
        in_batch = client.call("batch.execute", command_id="batch-a", atomic=True, commands=both)["outcomes"]
    daemon.kill()
    assert (kept, kept_hold["hold"]) == ("t8", "h9"), "ids of the first history keep their form"
    given_out: list[set[str]] = []
    for life in ("b", "c"):
        data = restored(tmp_path / "backup", tmp_path / f"data-{life}", daemon.token)
        with Daemon(data) as again, again.client() as client:
            order = client.call("transfer.post", **transfer(f"order-{life}", "bob", "alice", 100))
            hold = client.call("hold.place", **place(f"hold-{life}", "alice", 7))
            batch = [{"method": "transfer.post", **transfer(f"{life}-{n}", "alice", "bob", 1)} for n in range(2)]
            outcomes = client.call("batch.execute", command_id=f"batch-{life}", atomic=True, commands=batch)["outcomes"]
            assert (order["sequence"], hold["sequence"]) == (10, 11), "they stand where the lost ones stood"
            for name in (lost, in_batch[0]["transfer"], in_batch[1]["transfer"]):
                gone = client.refused("transfer.get", transfer=name)
                assert (gone["data"]["reason"], gone["data"]["given_up"]) == ("transfer_not_found", True)
                assert gone["message"].endswith("a history that a restore discarded")
            posting = {"from": "alice", "to": "bob", "asset": "EUR", "amount": "1"}
            refund = client.refused("transfer.refund", command_id="back", transfer=lost, postings=[posting])["data"]
            assert (refund["reason"], refund["given_up"]) == ("original_not_found", True)
            seen = client.refused("hold.get", wallet="alice", hold=lost_hold)["data"]
            assert (seen["reason"], seen["given_up"]) == ("hold_not_found", True)
            parts = [{"to": "bob", "amount": "1"}]
            captured = client.refused("hold.capture", command_id="x", wallet="alice", hold=lost_hold, parts=parts)
            assert (captured["data"]["reason"], captured["data"]["given_up"]) == ("hold_not_open", True)
            assert client.refused("hold.list", wallet="alice", after=lost_hold)["data"]["reason"] == "invalid_cursor"
            assert client.call("transfer.get", transfer=kept)["command_id"] == "kept"
            assert client.call("hold.get", wallet="alice", hold=kept_hold["hold"])["amount"] == "1"
            following = client.call("hold.list", wallet="alice", after=kept_hold["hold"])["holds"]
            assert [view["hold"] for view in following] == [hold["hold"]]
            assert client.call("transfer.get", transfer=order["transfer"])["command_id"] == f"order-{life}"
            back = {"from": "alice", "to": "bob", "asset": "EUR", "amount": "100"}
            client.call("transfer.refund", command_id="of-it", transfer=order["transfer"], postings=[back])
            assert client.call("transfer.get", transfer=order["transfer"])["refunded"][0]["refunded"] == "100"
            client.call("hold.capture", command_id="y", wallet="alice", hold=hold["hold"], parts=parts)
            assert client.call("daemon.audit")["violations"] == []
            names = [order["transfer"], hold["hold"], *(outcome["transfer"] for outcome in outcomes)]
            given_out.append(set(names))
        assert "All is well" in done("verify", str(data))
    assert not given_out[0] & given_out[1]
    assert not (given_out[0] | given_out[1]) & {lost, lost_hold, kept, kept_hold["hold"]}


def test_a_backup_of_a_restored_journal_is_restored_with_its_histories(tmp_path: Path, daemon: Daemon) -> None:
    with daemon.client() as client:
        furnish(client, "alice", "bob", amount=1000)
        first = client.call("transfer.post", **transfer("first", "alice", "bob", 1))["transfer"]
        done("backup", str(tmp_path / "backup-0"), daemon=daemon)
        lost = [client.call("transfer.post", **transfer("lost-0", "alice", "bob", 1))["transfer"]]
    daemon.kill()
    kept = [first]
    for life in (1, 2, 3):
        data = restored(tmp_path / f"backup-{life - 1}", tmp_path / f"data-{life}", daemon.token)
        with Daemon(data) as again, again.client() as client:
            kept.append(client.call("transfer.post", **transfer(f"kept-{life}", "alice", "bob", 1))["transfer"])
            client.call("daemon.compact", keep_entries=1)
            done("backup", str(tmp_path / f"backup-{life}"), daemon=again)
            lost.append(client.call("transfer.post", **transfer(f"lost-{life}", "alice", "bob", 1))["transfer"])
            assert all(client.call("transfer.get", transfer=name) for name in kept)
            for name in lost[:-1]:
                assert client.refused("transfer.get", transfer=name)["data"]["given_up"] is True
            later = kept[-1].replace("t", "t9", 1)
            assert "given_up" not in client.refused("transfer.get", transfer=later)["data"]
    assert len({*kept, *lost}) == 8


def test_a_cursor_of_a_statement_is_refused_after_a_restore(tmp_path: Path, daemon: Daemon) -> None:
    """What it pins may have been left out, and other entries may have its numbers by now."""
    with daemon.client() as client:
        furnish(client, "alice", "bob", amount=100)
        page = client.call("statement.get", wallet="@external", limit=1)
        done("backup", str(tmp_path / "backup"), daemon=daemon)
    daemon.kill()
    with Daemon(restored(tmp_path / "backup", tmp_path / "restored", daemon.token)) as again, again.client() as client:
        old = client.refused("statement.get", wallet="@external", limit=1, cursor=page["next"])["data"]
        assert old["reason"] == "invalid_cursor"
        fresh = client.call("statement.get", wallet="@external", limit=1)
        assert fresh | {"next": ""} == page | {"next": ""}
        assert client.call("statement.get", wallet="@external", limit=1, cursor=fresh["next"])["lines"]


def test_without_the_old_token_a_restored_daemon_makes_one_and_one_entry_for_it(tmp_path: Path, daemon: Daemon) -> None:
    with daemon.client() as client:
        before = every_entry(client)
        done("backup", str(tmp_path / "backup"), daemon=daemon)
    daemon.kill()
    done("restore", str(tmp_path / "backup"), str(tmp_path / "restored"), "--yes")
    with Daemon(tmp_path / "restored") as again, again.client() as client:
        assert again.token != daemon.token
        entries = every_entry(client)
        assert entries[: len(before)] == before
        assert [view["entry"]["command"]["method"] for view in entries[len(before) :]] == ["client.rotate"]


def test_a_hold_that_expires_does_so_in_the_restored_daemon(tmp_path: Path, daemon: Daemon) -> None:
    with daemon.client() as client:
        furnish(client, "alice", amount=100)
        soon = datetime.fromisoformat(client.call("session.ping")["time"]) + timedelta(seconds=1)
        expiry = {"expires_at": soon.isoformat()}
        placed = client.call("hold.place", command_id="h", wallet="alice", asset="EUR", amount="30", **expiry)
        done("backup", str(tmp_path / "backup"), "--json", daemon=daemon)
    daemon.kill()
    data = restored(tmp_path / "backup", tmp_path / "restored", daemon.token, "--to-sequence", str(placed["sequence"]))
    with Daemon(data) as again, again.client() as client:
        client.call("stream.subscribe", wallets=["alice"], after=0)
        methods: list[str] = []
        while "hold.expire" not in methods:
            methods.append(client.next_pushed("stream.event")["entry"]["command"]["method"])
        assert methods == ["wallet.open", "transfer.post", "hold.place", "hold.expire"]
        assert client.call("balance.get", wallet="alice", asset="EUR")["balances"][0]["held"] == "0"


def test_a_second_backup_adds_only_what_is_new(tmp_path: Path, daemon: Daemon) -> None:
    backup = tmp_path / "backup"
    with daemon.client() as client:
        furnish(client, "alice", "bob", amount=1000)
        done("backup", str(backup), daemon=daemon)
        (first,) = backup.glob("*.segments")
        before = first.read_bytes()
        client.call("transfer.post", **transfer("t1", "alice", "bob", 1))
        shown = done("backup", str(backup), "--json", daemon=daemon)
        assert '"new_entries":1' in shown
        assert first.read_bytes() == before
        assert len(list(backup.glob("*.segments"))) == 2
        assert '"new_entries":0' in done("backup", str(backup), "--json", daemon=daemon)
    assert "All is well" in done("verify", str(backup))
    daemon.kill()
    assert journal_of(backup) == journal_of(daemon.data)


def test_a_point_in_time_by_sequence_and_by_moment(tmp_path: Path, daemon: Daemon) -> None:
    with daemon.client() as client:
        furnish(client, "alice", "bob", amount=1000)
        ids = [client.send("transfer.post", **transfer(f"t{n}", "alice", "bob", 1)) for n in range(50)]
        replies = [client.reply(request_id)["result"] for request_id in ids]
        done("backup", str(tmp_path / "backup"), daemon=daemon)
        entries = every_entry(client)
    wanted = replies[20]["sequence"]
    restored(tmp_path / "backup", tmp_path / "early", daemon.token, "--to-sequence", str(wanted))
    assert "All is well" in done("verify", str(tmp_path / "early"))
    with Daemon(tmp_path / "early") as early, early.client() as client:
        assert every_entry(client) == entries[:wanted]
        assert posted(client, "bob") == 1000 + 21
        assert client.call("transfer.post", **transfer("t20", "alice", "bob", 1))["replayed"] is True
        assert "replayed" not in client.call("transfer.post", **transfer("t21", "alice", "bob", 1))
    moment = replies[20]["time"]
    done("restore", str(tmp_path / "backup"), str(tmp_path / "then"), "--to-time", moment, "--yes")
    kept = [view for view in entries if view["entry"]["time"] <= moment]
    assert len(journal_of(tmp_path / "then")) == len(kept) >= wanted


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--to-sequence", "1000000"], "ends at entry"),
        (["--to-time", "1999-01-01T00:00:00Z"], "after that time"),
    ],
)
def test_a_point_that_is_not_there_is_refused(tmp_path: Path, daemon: Daemon, arguments: list[str], says: str) -> None:
    done("backup", str(tmp_path / "backup"), daemon=daemon)
    ended = walletd("restore", str(tmp_path / "backup"), str(tmp_path / "new"), *arguments, "--yes")
    assert ended.returncode == 74
    assert says in ended.stderr
    assert not list((tmp_path / "new").glob("journal*"))


def test_a_restore_overwrites_nothing(tmp_path: Path, daemon: Daemon) -> None:
    done("backup", str(tmp_path / "backup"), daemon=daemon)
    daemon.kill()
    before = {file.name: file.read_bytes() for file in daemon.data.iterdir() if file.is_file()}
    ended = walletd("restore", str(tmp_path / "backup"), str(daemon.data), "--yes")
    assert ended.returncode == 74
    assert "is there already" in ended.stderr
    assert {file.name: file.read_bytes() for file in daemon.data.iterdir() if file.is_file()} == before


def test_an_old_copy_put_back_by_hand_is_refused_and_a_restored_one_is_not(tmp_path: Path, daemon: Daemon) -> None:
    with daemon.client() as client:
        furnish(client, "alice", amount=10)
        done("backup", str(tmp_path / "backup"), daemon=daemon)
        client.call("wallet.open", command_id="later", wallet="later")
    daemon.signal(15)
    assert daemon.wait() == 0
    done("restore", str(tmp_path / "backup"), str(tmp_path / "restored"), "--yes")
    for file in daemon.data.glob("journal.db*"):
        file.unlink()
    (daemon.data / "journal.db").write_bytes((tmp_path / "restored/journal.db").read_bytes())
    code, said = run_to_its_end(daemon.data)
    assert (code, "journal.mark" in said) == (65, True)


def test_a_backup_of_another_life_is_left_alone(tmp_path: Path, daemon: Daemon) -> None:
    backup = tmp_path / "backup"
    with daemon.client() as client:
        furnish(client, "alice", amount=10)
        done("backup", str(backup), daemon=daemon)
        client.call("wallet.open", command_id="later", wallet="later")
        done("backup", str(backup), daemon=daemon)
    done("restore", str(backup), str(tmp_path / "restored"), "--to-sequence", "3", "--yes")
    before = journal_of(backup)
    for data in (tmp_path / "restored", tmp_path / "fresh"):
        with Daemon(data) as other, other.client() as client:
            for n in range(9):
                client.call("wallet.open", command_id=f"other-{n}", wallet=f"other-{n}")
            ended = walletd("backup", str(backup), daemon=other)
            assert ended.returncode == 74
            assert "back up into a new directory" in ended.stderr
    assert journal_of(backup) == before


def test_a_full_destination_is_said_and_harms_neither_the_backup_nor_the_daemon(tmp_path: Path, daemon: Daemon) -> None:
    backup = tmp_path / "backup"
    with daemon.client() as client:
        furnish(client, "alice", "bob", amount=100_000)
        done("backup", str(backup), daemon=daemon)
        before = journal_of(backup)
        ids = [client.send("transfer.post", **transfer(f"t{n}", "alice", "bob", 1)) for n in range(2000)]
        for request_id in ids:
            client.reply(request_id)
        ended = subprocess.run(
            [sys.executable, "-m", "walletd", "backup", str(backup)],
            env=environment_of(daemon),
            capture_output=True,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000,) * 2),
            check=False,
        )
        assert ended.returncode == 74
        assert ended.stderr.startswith("walletd: ")
        assert "Traceback" not in ended.stderr
        assert client.call("transfer.post", **transfer("after", "alice", "bob", 1))
    assert journal_of(backup) == before
    assert not list(backup.glob("*.unfinished"))
    done("backup", str(backup), daemon=daemon)
    assert len(journal_of(backup)) == len(before) + 2001


@pytest.mark.parametrize("place", ["a file", "a file/below"])
def test_a_destination_that_cannot_be_is_said(tmp_path: Path, daemon: Daemon, place: str) -> None:
    (tmp_path / "a file").write_text("in the way")
    ended = walletd("backup", str(tmp_path / place), daemon=daemon)
    assert ended.returncode == 74
    assert "Traceback" not in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_rot_in_a_backup_is_found_and_never_restored(tmp_path: Path, daemon: Daemon) -> None:
    backup = tmp_path / "backup"
    with daemon.client() as client:
        furnish(client, "alice", "bob", amount=1000)
    done("backup", str(backup), daemon=daemon)
    (file,) = backup.glob("*.segments")
    content = file.read_bytes()
    chance = random.Random(7)
    for place in sorted(chance.sample(range(len(content)), 12)):
        file.write_bytes(content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)]) + content[place + 1 :])
        assert walletd("verify", str(backup)).returncode != 0, place
        assert walletd("restore", str(backup), str(tmp_path / "new"), "--yes").returncode != 0, place
        assert not (tmp_path / "new/journal.db").exists()
    file.write_bytes(content[:-1])
    assert walletd("verify", str(backup)).returncode == 65


def test_a_restore_that_is_killed_leaves_nothing_that_a_daemon_takes_for_a_journal(
    tmp_path: Path, daemon: Daemon
) -> None:
    with daemon.client() as client:
        furnish(client, *(f"w{n}" for n in range(8)))
    with Load(daemon) as paid:
        paid(3000)
    done("backup", str(tmp_path / "backup"), daemon=daemon)
    chance = random.Random(3)
    for cycle in range(6):
        data = tmp_path / f"new-{cycle}"
        command = [sys.executable, "-m", "walletd", "restore", str(tmp_path / "backup"), str(data), "--yes"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            process.wait(timeout=chance.uniform(0.2, 0.6))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if (data / "journal.db").exists():
            assert journal_of(data) == journal_of(tmp_path / "backup")
        else:
            done("restore", str(tmp_path / "backup"), str(data), "--yes")


def test_a_token_without_admin_gets_no_journal(daemon: Daemon) -> None:
    with daemon.client(additional_headers={}) as client:
        assert client.refused("journal.read")["data"]["reason"] == "authentication_required"
