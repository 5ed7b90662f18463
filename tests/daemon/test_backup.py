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
from tests.daemon.journals import Load, done, journal_of, restored, walletd
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
    done("restore", str(tmp_path / "backup"), str(tmp_path / "restored"))
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
    done("restore", str(tmp_path / "backup"), str(tmp_path / "then"), "--to-time", moment)
    kept = [view for view in entries if view["entry"]["time"] <= moment]
    assert len(journal_of(tmp_path / "then")) == len(kept) >= wanted


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--to-sequence", "1000000"], "ends at entry"),
        (["--to-time", "1999-01-01T00:00:00Z"], "after that moment"),
    ],
)
def test_a_point_that_is_not_there_is_refused(tmp_path: Path, daemon: Daemon, arguments: list[str], says: str) -> None:
    done("backup", str(tmp_path / "backup"), daemon=daemon)
    ended = walletd("restore", str(tmp_path / "backup"), str(tmp_path / "new"), *arguments)
    assert ended.returncode == 74
    assert says in ended.stderr
    assert not list((tmp_path / "new").glob("journal*"))


def test_a_restore_overwrites_nothing(tmp_path: Path, daemon: Daemon) -> None:
    done("backup", str(tmp_path / "backup"), daemon=daemon)
    daemon.kill()
    before = {file.name: file.read_bytes() for file in daemon.data.iterdir() if file.is_file()}
    ended = walletd("restore", str(tmp_path / "backup"), str(daemon.data))
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
    done("restore", str(tmp_path / "backup"), str(tmp_path / "restored"))
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
    done("restore", str(backup), str(tmp_path / "restored"), "--to-sequence", "3")
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
        ended = walletd(
            "backup",
            str(backup),
            daemon=daemon,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000,) * 2),
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
        assert walletd("restore", str(backup), str(tmp_path / "new")).returncode != 0, place
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
        command = [sys.executable, "-m", "walletd", "restore", str(tmp_path / "backup"), str(data)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            process.wait(timeout=chance.uniform(0.2, 0.6))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if (data / "journal.db").exists():
            assert journal_of(data) == journal_of(tmp_path / "backup")
        else:
            done("restore", str(tmp_path / "backup"), str(data))


def test_a_token_without_admin_gets_no_journal(daemon: Daemon) -> None:
    with daemon.client(additional_headers={}) as client:
        assert client.refused("journal.read")["data"]["reason"] == "authentication_required"
