"""``walletd journal move`` and ``walletd verify`` on ledgers in PostgreSQL: the same root, ids and answers."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import postgresql
from tests.daemon.process import Daemon, bare_environment


@pytest.fixture(scope="module")
def server() -> Iterator[postgresql.Server]:
    with postgresql.running() as server:
        yield server


def walletd(*words: str) -> tuple[int, Any, str]:
    command = [sys.executable, "-m", "walletd", *words, "--json"]
    done = subprocess.run(command, env=bare_environment(), capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def test_a_journal_moves_into_postgresql_and_back(tmp_path: Path, server: postgresql.Server) -> None:
    url, environment = server.url(), {"WALLETD_ALLOW_UNREPLICATED": "true"}
    with Daemon(tmp_path / "a") as daemon, daemon.client() as client:
        client.call("asset.define", command_id="e", asset="EUR", scale=2)
        for number in range(30):
            client.call("wallet.open", command_id=f"w{number}", wallet=f"w{number}")
        client.call("daemon.compact", keep_entries=10)
        while client.call("daemon.status")["compaction"].get("last_finished_at") is None:
            pass
        daemon.process.terminate()  # type: ignore[union-attr]
        daemon.wait()
    code, moved, _ = walletd("journal", "move", str(tmp_path / "a"), url, "--ledger", "moved")
    assert code == 0
    assert moved["entries"] == 33

    code, verified, _ = walletd("verify", url, "--ledger", "moved", "--root", moved["root"])
    assert (code, verified["violations"], verified["head"]) == (0, [], 33)

    (tmp_path / "b").mkdir(mode=0o700)
    token = tmp_path / "b" / "operator.token"
    token.touch(mode=0o600)
    token.write_text((tmp_path / "a" / "operator.token").read_text())
    flags = ("--postgresql", url, "--ledger", "moved")
    with Daemon(tmp_path / "b", *flags, environment=environment) as daemon, daemon.client() as client:
        assert (client.hello["instance"], client.hello["epoch"]) == (moved["instance"], 1)
        assert client.call("wallet.open", command_id="w7", wallet="w7")["replayed"] is True
        client.call("wallet.open", command_id="new", wallet="new")
        client.call("daemon.compact", keep_entries=10)
        while client.call("daemon.status")["compaction"].get("last_finished_at") is None:
            pass
        code, _, said = walletd("verify", url, "--ledger", "moved")
        assert code == 75
        assert "is led by" in said
        daemon.process.terminate()  # type: ignore[union-attr]
        daemon.wait()
    code, verified, _ = walletd("verify", url, "--ledger", "moved")
    assert (code, verified["violations"], verified["head"], verified["archived"] > 0) == (0, [], 34, True)

    code, back, _ = walletd("journal", "move", url, str(tmp_path / "c"), "--ledger", "moved")
    assert (code, back["root"], back["instance"]) == (0, verified["root"], moved["instance"])
    assert walletd("verify", str(tmp_path / "c"), "--root", back["root"])[0] == 0


def test_what_cannot_be_moved_is_said(tmp_path: Path, server: postgresql.Server) -> None:
    url = server.url()
    with Daemon(tmp_path / "a") as daemon:
        code, _, said = walletd("journal", "move", str(tmp_path / "a"), url, "--ledger", "busy")
        assert (code, "holds the journal" in said) == (75, True)
        daemon.process.terminate()  # type: ignore[union-attr]
        daemon.wait()
    assert walletd("journal", "move", str(tmp_path / "a"), url, "--ledger", "there")[0] == 0
    code, _, said = walletd("journal", "move", str(tmp_path / "a"), url, "--ledger", "there")
    assert (code, "has a ledger there already" in said) == (74, True)
    code, _, said = walletd("verify", url, "--ledger", "nowhere")
    assert (code, "has no ledger nowhere" in said) == (78, True)
    assert walletd("journal", "move", str(tmp_path / "a"), str(tmp_path / "b"))[0] == 64


def test_a_forged_segment_is_found(tmp_path: Path, server: postgresql.Server) -> None:
    with Daemon(tmp_path / "a") as daemon:
        daemon.process.terminate()  # type: ignore[union-attr]
        daemon.wait()
    assert walletd("journal", "move", str(tmp_path / "a"), server.url(), "--ledger", "forged")[0] == 0
    server.execute("UPDATE walletd.segment SET body = body || ' ' WHERE ledger = 'forged' AND first_sequence = 1")
    code, verified, _ = walletd("verify", server.url(), "--ledger", "forged")
    assert (code, len(verified["violations"])) == (65, 1)
