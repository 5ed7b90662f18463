"""The names of the daemon that Tab proposes."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Ended, Walletd
from tests.cli.standin import StandIn, hold_view, view
from walletd.cli.names import wanted_in
from walletd.client import NotReachable

WORDS: list[tuple[str, tuple[str, str, str] | None]] = [
    ("balance al", ("wallet", "al", "")),
    ("balance alice E", ("asset", "E", "alice")),
    ("pay ", ("wallet", "", "")),
    ("pay alice b", ("wallet", "b", "alice")),
    ("pay alice bob 5", None),
    ("pay alice bob 5 E", ("asset", "E", "alice")),
    ("hold capture alice h", ("hold", "h", "alice")),
    ("hold capture alice h8 b", ("wallet", "b", "alice")),
    ("statement alice --with b", ("wallet", "b", "")),
    ("wallet open x", None),
    ("frobnicate x", None),
    ("", None),
]


@pytest.mark.parametrize(("line", "wanted"), WORDS, ids=[row[0] for row in WORDS])
def test_a_place_in_a_command_tells_what_stands_there(line: str, wanted: tuple[str, str, str] | None) -> None:
    assert wanted_in(line.split(" ")) == wanted


def test_the_names_come_from_the_daemon(walletd: Walletd, daemon: StandIn) -> None:
    daemon.views = [view("alice"), view("alfred")]
    daemon.holds_of_all = [hold_view("h7"), hold_view("h12")]
    assert walletd("complete", "--", "pay", "al").out == "alice\nalfred\n"
    assert walletd("complete", "--", "pay", "alice", "bob", "5", "").out == "EUR\n"
    assert walletd("complete", "--", "hold", "void", "alice", "h1") == Ended(0, "h12\n", "")
    assert walletd("complete", "--", "--url", "ws://x:1", "balance", "ali").out == "alice\n"
    assert daemon.connected_with["url"] == "ws://x:1"


def test_without_a_daemon_nothing_is_proposed_and_nothing_said(walletd: Walletd, daemon: StandIn) -> None:
    daemon.failing["connect"] = NotReachable("it does not run")
    ended = walletd("complete", "--", "balance", "al")
    assert (ended.exit_code, ended.out, ended.err) == (0, "", "")


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
@pytest.mark.parametrize(
    ("line", "words", "proposed"),
    [
        ("walletd pay al", ["walletd", "pay", "al"], "alice"),
        ("walletd pay @ex", ["walletd", "pay", "@", "ex"], "external"),
    ],
)
def test_bash_proposes_them(tmp_path: Path, walletd: Walletd, line: str, words: list[str], proposed: str) -> None:
    script = tmp_path / "completion"
    script.write_text(walletd("completion", "bash").out)
    (tmp_path / "walletd").write_text("#!/bin/sh\nprintf 'alice\\n@external\\n' | grep \"^$4\"\n")
    (tmp_path / "walletd").chmod(0o755)
    asked = f"""
        PATH={tmp_path}:$PATH; source {script}
        COMP_LINE='{line}' COMP_POINT={len(line)} COMP_WORDS=({" ".join(words)}) COMP_CWORD={len(words) - 1}
        _walletd_with_names; printf '%s ' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [proposed], done.stderr


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh here")
def test_zsh_proposes_them(tmp_path: Path, walletd: Walletd) -> None:
    (tmp_path / "_walletd").write_text(walletd("completion", "zsh").out)
    (tmp_path / "walletd").write_text("#!/bin/sh\nprintf 'alice\\nshop:1\\n' | grep \"^$4\"\n")
    (tmp_path / "walletd").chmod(0o755)
    asked = f"""
        path=({tmp_path} $path); fpath=({tmp_path} $fpath); autoload -Uz _walletd
        compadd() {{ print -r -- names ${{(P)2}}; }}; _arguments() {{ print parser; }}; compset() {{ :; }}
        propose() {{ words=(walletd pay "$1"); CURRENT=3; PREFIX="$1"; _walletd; }}
        propose al; propose shop; propose -
        compdef() {{ print -r -- compdef "$@"; }}; source {tmp_path}/_walletd
    """
    done = subprocess.run(["zsh", "-f", "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["names alice", "names shop:1", "parser", "compdef _walletd walletd"], (
        done.stderr
    )
