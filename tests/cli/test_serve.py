"""``walletd serve``: the way to the daemon, and what it says on the way."""

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Walletd
from walletd.cli.announcement import announcement
from walletd.cli.app import app
from walletd.cli.serve import RebuildProgress, _parser
from walletd.daemon.launch import Announcement, Made
from walletd.settings.settings import Settings


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """With which settings the daemon was run; it ends with 70."""
    settings: list[Settings] = []

    def serve(given: Settings, announce: Any, report: Any, read: Any) -> int:
        assert read() == given
        settings.append(given)
        announce(Announcement("ws://127.0.0.1:7878", given, 12))
        report(3, 3)
        return 70

    monkeypatch.setattr("walletd.daemon.serving.serve", serve)
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    return settings


def test_the_flags_become_settings_and_the_daemons_exit_code_is_ours(walletd: Walletd, served: list[Settings]) -> None:
    Path("walletd.toml").write_text("port = 1\nmax_connections = 5\n")
    ended = walletd("serve", "--config", "walletd.toml", "--data", "d", "--port", "8000", "--log-level", "warning")
    assert ended.exit_code == 70
    assert served == [Settings(data=Path("d").absolute(), port=8000, log_level="warning", max_connections=5)]


def test_the_configuration_can_be_named_in_the_environment(
    walletd: Walletd, served: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("walletd.toml").write_text("port = 1\n")
    monkeypatch.setenv("WALLETD_CONFIG", "walletd.toml")
    walletd("serve")
    assert served == [Settings(data=Path("var").absolute(), port=1)]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    [
        (("--config", "nowhere.toml"), 78, "cannot read nowhere.toml"),
        (("--log-level", "loud"), 78, "log_level"),
        (("--port", "70000"), 78, "port"),
    ],
)
def test_a_wrong_configuration_is_one_line_and_78(
    walletd: Walletd, served: list[Settings], arguments: tuple[str, ...], exit_code: int, words: str
) -> None:
    ended = walletd("serve", *arguments)
    assert ended.exit_code == exit_code
    assert words in ended.err
    assert ended.err.count("\n") == 1
    assert not served


@pytest.mark.parametrize("arguments", [("--port", "x"), ("--prot", "1"), ("--data",), ("stray",)])
def test_wrong_usage_ends_with_64(arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        _parser().parse_args(arguments)
    assert ended.value.code == 64


def test_the_help_of_serve_knows_the_same_flags_as_serve(walletd: Walletd) -> None:
    shown = walletd("serve", "--help").out
    flags = [option for action in _parser()._actions for option in action.option_strings]
    assert flags
    assert all(flag in shown for flag in flags)
    arguments = app["serve"].assemble_argument_collection()
    assert {name for argument in arguments for name in argument.names} == set(flags)


def test_the_greeting_says_where_and_what_to_try(tmp_path: Path) -> None:
    said = announcement(Announcement("ws://127.0.0.1:7878", Settings(), 12))
    assert "ws://127.0.0.1:7878" in said
    assert "var/operator.token (readable by its owner only)" in said
    assert "walletd asset define EUR/2\n" in said
    assert "walletd demo\n" in said
    assert "-m websockets ws://127.0.0.1:7878" in said
    assert "--url" not in said
    assert "--token-file" not in said


def test_the_greeting_names_what_is_not_the_default(tmp_path: Path) -> None:
    said = announcement(
        Announcement("ws://0.0.0.0:8000", Settings(data=tmp_path / "my data", port=8000), 12, Made(tables=True))
    )
    assert f"demo --url ws://127.0.0.1:8000 --token-file '{tmp_path}/my data/operator.token'" in said
    assert "rebuilt" in said


def test_the_greeting_says_that_the_journal_is_new_and_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = announcement(Announcement("ws://127.0.0.1:7878", Settings(), 2, Made(journal=True)))
    assert f"{tmp_path}/var, a new one: there was none in this folder\n" in said
    assert "a new one" not in announcement(Announcement("ws://127.0.0.1:7878", Settings(), 2))


def test_the_greeting_never_shows_the_token(tmp_path: Path) -> None:
    (tmp_path / "operator.token").write_text("walletd_secret\n")
    assert "walletd_secret" not in announcement(Announcement("ws://x", Settings(data=tmp_path), 0))


def test_the_authenticating_frame_is_what_the_shell_makes_of_the_greeting(tmp_path: Path) -> None:
    (tmp_path / "operator.token").write_text("walletd_secret\n")
    said = announcement(Announcement("ws://127.0.0.1:1", Settings(data=tmp_path), 0))
    command = said.partition("  (")[2].partition("; cat)")[0]
    frame = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout
    assert frame == ('{"jsonrpc":"2.0","id":1,"method":"session.authenticate","params":{"token":"walletd_secret"}}\n')


def test_a_rebuild_is_logged_now_and_then_where_there_is_no_terminal(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    progress = RebuildProgress()
    for done in range(1, 1001):
        progress.report(done, 1000)
    progress.end()
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        "1 of 1,000 entries (0 %)",
        "1,000 of 1,000 entries (100 %)",
    ]


def test_a_long_rebuild_says_how_long_it_still_takes(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO")
    times = iter([0.0, 0.0, 30.0, 120.0])
    monkeypatch.setattr("walletd.cli.serve.time.monotonic", lambda: next(times))
    progress = RebuildProgress()
    for done in (1, 250, 1000):
        progress.report(done, 1000)
    assert [record.getMessage().partition(" (")[2] for record in caplog.records] == [
        "0 %)",
        "25 %), 1:30 left",
        "100 %)",
    ]


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)


def test_walletd_refuses_to_run_without_assertions() -> None:
    ended = python("-O", "-m", "walletd", "--version")
    assert ended.returncode == 64
    assert ended.stdout == ""
    assert "without -O" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_python_m_walletd_is_walletd() -> None:
    assert python("-m", "walletd", "--version").stdout.strip() == "0.1.0"


def test_the_daemon_does_not_carry_the_client_commands() -> None:
    program = (
        "import sys, walletd.daemon, walletd.cli.announcement, walletd.cli.serve, walletd.__main__;"
        "print([name for name in ('cyclopts', 'rich', 'walletd.client') if name in sys.modules])"
    )
    assert python("-c", program).stdout == "[]\n"
