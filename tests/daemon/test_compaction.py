"""Compaction of a real daemon's journal: the file shrinks, and every answer stays."""

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.daemon.answers import answers, answers_about, live, sessions
from tests.daemon.journals import Load, done, journal_of, walletd
from tests.daemon.process import Client, Daemon, posted, transfer
from tests.state_file import state_file
from walletd.protocol.methods import METHODS, Kind
from walletd.vocabulary.entries import Effects


def crowd(client: Client, payments: int) -> None:
    """Many payments of alice to bob, one after the other in the journal."""
    client.call("transfer.post", **transfer("wealth", "@external", "alice", 10**9))
    ids = [client.send("transfer.post", **transfer(f"p{n}", "alice", "bob", 1)) for n in range(payments)]
    for request_id in ids:
        assert "result" in client.reply(request_id)


def journal_bytes(daemon: Daemon) -> int:
    return sum(file.stat().st_size for file in daemon.data.glob("journal.db*"))


def compacted(daemon: Daemon, *arguments: str) -> dict[str, Any]:
    return dict(json.loads(done("compact", "--json", *arguments, daemon=daemon)))


@pytest.mark.timeout(600)
def test_a_compaction_archives_much_and_takes_nothing_away(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data") as daemon:
        live(daemon)
        before = answers(daemon)
        with daemon.client() as client:
            crowd(client, 4000)
            whole = client.call("daemon.status")["head"]
        size = journal_bytes(daemon)
        status = compacted(daemon, "--keep-entries", "100")
        assert status["archived"] > whole - 2000
        assert (status["runs"], status.get("failures", 0)) == (1, 0)
        assert journal_bytes(daemon) < size / 2
        assert len(list((daemon.data / "archive").glob("*.segments"))) == 1
        _same(daemon, before)
        with daemon.client() as client:
            replayed = client.call("transfer.post", **transfer("p17", "alice", "bob", 1))
            assert replayed["replayed"] is True
            client.call("stream.subscribe", all=True, after=0)
            assert [client.next_pushed("stream.event")["sequence"] for _ in range(whole)] == [*range(1, whole + 1)]
            assert client.call("daemon.audit")["violations"] == []
        for lost in ([], ["state.db*"], ["state.db*", "snapshot-*"]):
            daemon.kill()
            for pattern in lost:
                for file in daemon.data.glob(pattern):
                    file.unlink()
            daemon.start()
            _same(daemon, before)
            with daemon.client() as client:
                assert posted(client, "bob") == _bob(before) + 4000
        assert "start from the snapshot at entry" in daemon.log()
        done("backup", str(tmp_path / "backup"), daemon=daemon)
        daemon.signal(15)
        assert daemon.wait() == 0
        found = json.loads(done("verify", str(daemon.data), "--json"))
        assert (found["entries"], found["violations"]) == (whole, [])
        assert found["archived"] == status["archived"]
        assert journal_of(tmp_path / "backup") == journal_of(daemon.data)
        done("restore", str(daemon.data), str(tmp_path / "restored"), "--yes")
        assert journal_of(tmp_path / "restored") == journal_of(daemon.data)


WAYS_TO_START = {
    "as it was killed": [],
    "from the snapshot": ["state.db*"],
    "from a snapshot that has rotted": ["state.db*"],
    "from the archive": ["state.db*", "snapshot-*"],
}


@pytest.mark.timeout(600)
def test_every_answer_is_the_same_however_the_daemon_starts_after_a_compaction(tmp_path: Path) -> None:
    tables: dict[str, dict[str, Any]] = {}
    with Daemon(tmp_path / "data") as daemon:
        live(daemon)
        before = answers(daemon)
        _refuse_gaps(before)
        assert compacted(daemon, "--keep-entries", "1")["archived"] == len(before["entries"]) - 1
        assert answers(daemon) == before
        for way, lost in WAYS_TO_START.items():
            daemon.kill()
            _damage(daemon, lost, rots="rotted" in way)
            started = len(daemon.log())
            daemon.start()
            assert ("start from the snapshot" in daemon.log()[started:]) == (way == "from the snapshot"), way
            assert answers(daemon) == before, way
            with daemon.client() as client:
                refused = client.refused("transfer.post", **transfer("dry", "carol", "dora", 39), dry_run=True)["data"]
                assert (refused["reason"], refused["used"]) == ("velocity_exceeded", "62"), way
            daemon.signal(15)
            assert daemon.wait() == 0
            tables[way] = _tables(daemon.data / "state.db")
            daemon.start()
    assert all(found == tables["from the archive"] for found in tables.values())
    assert all(tables["from the archive"].values()), "a table is empty, and nothing is known about what it carries"


def _refuse_gaps(before: dict[str, Any]) -> None:
    """What was done leaves records of every kind: a new kind must be done, too, or its fate is not known."""
    entries = [view["entry"] for view in before["entries"]]
    assert {kind for entry in entries for kind in entry.get("effects", ())} == set(Effects.__struct_fields__)
    commands = {name for name, method in METHODS.items() if method.kind is Kind.COMMAND}
    assert {entry["command"]["method"] for entry in entries} == commands | {"refused"}


def _damage(daemon: Daemon, lost: list[str], *, rots: bool) -> None:
    for pattern in lost:
        for file in daemon.data.glob(pattern):
            file.unlink()
    if rots:
        (snapshot,) = daemon.data.glob("snapshot-*")
        content = snapshot.read_bytes()
        middle = len(content) // 2
        snapshot.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])


def _tables(file: Path) -> dict[str, Any]:
    """All rows of all tables; of the times, one for each entry, because a row has those of one transaction."""
    with state_file(file) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        rows = {name: sorted(connection.execute(f"SELECT * FROM {name}"), key=repr) for name in names}
    rows["moment"] = sorted(
        (sequence + place, time + offset)
        for sequence, time, offsets, _ in rows["moment"]
        for place, offset in enumerate(json.loads(offsets))
    )
    return rows


def _bob(before: dict[str, Any]) -> int:
    (balance,) = before["balances bob"]["result"]["balances"]
    return int(balance["posted"])


def _same(daemon: Daemon, before: dict[str, Any]) -> None:
    """What was asked about entries, transfers and commands before is answered as it was."""
    with sessions(daemon) as everybody:
        now = answers_about(everybody, before["entries"])
    assert len(now) > 100
    assert now == {name: before[name] for name in now}


@pytest.mark.timeout(600)
def test_kills_while_it_compacts_under_load_lose_nothing(tmp_path: Path) -> None:
    chance = random.Random(11)
    with Daemon(tmp_path / "data") as daemon:
        with daemon.client() as client:
            client.call("asset.define", command_id="EUR", asset="EUR", scale=2)
            for n in range(8):
                client.call("wallet.open", command_id=f"w{n}", wallet=f"w{n}")
        killed_while_compacting = 0
        for _ in range(12):
            with Load(daemon) as paid:
                paid(1500)
                with daemon.client() as client:
                    head = client.call("daemon.compact", keep_entries=chance.choice([1, 50, 500]))
                    assert head["step"] != "idle"
                    moves = chance.randrange(60)
                    for _ in range(moves):
                        if client.call("daemon.status")["compaction"]["step"] == "idle":
                            break
                    else:
                        killed_while_compacting += 1
                    acknowledged = client.call("session.ping")["head"]
                daemon.kill()
            daemon.start()
            with daemon.client() as client:
                assert client.call("session.ping")["head"] >= acknowledged
        assert killed_while_compacting > 3
        compacted(daemon, "--keep-entries", "10")
        with daemon.client() as client:
            assert client.call("daemon.audit")["violations"] == []
        daemon.signal(15)
        assert daemon.wait() == 0
    assert "All is well" in done("verify", str(daemon.data))


def test_without_its_archive_a_journal_is_refused(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data") as daemon:
        live(daemon)
        compacted(daemon, "--keep-entries", "1")
        daemon.kill()
        (daemon.data / "archive").rename(tmp_path / "elsewhere")
        code = subprocess.run(
            [sys.executable, "-m", "walletd", "serve", "--data", str(daemon.data), "--port", "0"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert code.returncode == 65
        assert "the archive ends at entry 0" in code.stderr
        assert walletd("verify", str(daemon.data)).returncode == 65
        (tmp_path / "elsewhere").rename(daemon.data / "archive")
        daemon.start()


def test_a_second_request_joins_the_first_and_nothing_to_do_is_well(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data") as daemon:
        live(daemon)
        with daemon.client() as client:
            first = client.send("daemon.compact", keep_entries=1)
            second = client.send("daemon.compact", keep_entries=1)
            assert "result" in client.reply(first)
            assert "result" in client.reply(second)
        before = compacted(daemon, "--keep-entries", "1")["archived"]
        assert compacted(daemon, "--keep-entries", "1")["archived"] == before > 0
        with daemon.client() as client:
            assert client.call("daemon.status")["lifecycle"] == "serving"


def test_a_compaction_is_a_state_that_everybody_is_told_of_and_ready_to_serve_in(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data") as daemon, daemon.client() as client, daemon.client() as other:
        live(daemon)
        client.call("daemon.compact", keep_entries=1)
        assert [other.next_pushed("lifecycle")["lifecycle"] for _ in range(2)] == ["compacting", "serving"]
        status = client.call("daemon.status")
        assert (status["lifecycle"], status["compaction"]["step"], status["compaction"]["runs"]) == (
            "serving",
            "idle",
            1,
        )
        with urlopen(f"{daemon.admin_url}/metrics", timeout=60) as page:
            shown = page.read().decode()
        assert 'walletd_compactions_total{outcome="done"} 1.0' in shown
        assert 'walletd_lifecycle_transitions_total{from="serving",to="compacting"} 1.0' in shown
