"""Help and completion: every command explains itself and shows an example that it understands."""

import re
import shlex
import shutil
import subprocess
from functools import reduce
from operator import getitem

import pytest
from cyclopts import App

from tests.cli.conftest import Walletd
from walletd.cli.app import app


def commands(of: App = app, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name in of:
        if name.startswith("-"):
            continue
        below = commands(of[name], (*path, name))
        found.extend(below or [(*path, name)])
    return found


COMMANDS = commands()


def examples(command: tuple[str, ...]) -> list[str]:
    function = reduce(getitem, command, app).default_command
    assert function is not None
    return re.findall(r"^ +\$ (.*)$", function.__doc__ or "", re.MULTILINE)


def test_all_commands_are_there() -> None:
    assert {" ".join(command) for command in COMMANDS} == {
        *("serve", "demo", "status", "verify", "backup", "restore", "compact", "completion", "clock", "journal move"),
        *("config check", "config show", "install-service", "audit", "report", "log-level", "drain", "discover"),
        *("asset define", "asset list", "wallet open", "wallet get", "wallet list"),
        *("wallet describe", "wallet freeze", "wallet unfreeze", "wallet limit", "wallet close"),
        *("hold place", "hold capture", "hold extend", "hold adjust", "hold void", "hold list", "hold get"),
        *("pay", "batch", "refund", "balance", "statement", "watch", "entry", "transfer get"),
        "complete",
        *("client create", "client update", "client list", "client rotate", "client revoke"),
    }


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_an_example_that_it_understands(command: tuple[str, ...]) -> None:
    assert examples(command)
    for example in examples(command):
        words = shlex.split(re.sub(r"^source <\((.*)\)$", r"\1", example).partition(" > ")[0])
        assert words[0] == "walletd"
        app.parse_args(words[1:], exit_on_error=False, print_error=False)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_shows_its_help_and_its_example(walletd: Walletd, command: tuple[str, ...]) -> None:
    ended = walletd(*command, "--help")
    assert ended.exit_code == 0
    assert examples(command)[0][:60] in ended.out
    assert f"Usage: walletd {' '.join(command)}" in ended.out


def test_without_a_command_the_commands_are_listed(walletd: Walletd) -> None:
    ended = walletd()
    assert ended.exit_code == 0
    for command in COMMANDS:
        assert (f" {command[0]} " in ended.out) == (command[0] != "complete")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_completion_for_each_shell(walletd: Walletd, shell: str) -> None:
    ended = walletd("completion", shell)
    assert ended.exit_code == 0
    assert "statement" in ended.out
    assert "--newest-first" in ended.out or "newest-first" in ended.out
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=ended.out, text=True, check=True)
