"""Which daemon is asked, and with which token: a flag before the environment, the environment before the default."""

from pathlib import Path

import pytest

from tests.cli.conftest import Walletd
from tests.cli.standin import StandIn


def test_without_a_word_the_daemon_here_is_asked_with_the_token_here(walletd: Walletd, daemon: StandIn) -> None:
    Path("var").mkdir()
    Path("var/operator.token").write_text("walletd_default\n")
    walletd("status")
    assert daemon.connected_with == {"url": "ws://127.0.0.1:7878", "token": "walletd_default"}


def test_without_any_token_none_is_sent(walletd: Walletd, daemon: StandIn) -> None:
    walletd("status")
    assert daemon.connected_with["token"] is None


@pytest.mark.parametrize(
    ("given", "token"),
    [
        (("flag", "file", "variable", "named"), "flag"),
        (("file", "variable", "named"), "file"),
        (("variable", "named"), "variable"),
        (("named",), "named"),
        ((), "default"),
    ],
)
def test_the_nearest_token_wins(
    walletd: Walletd, daemon: StandIn, monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...], token: str
) -> None:
    Path("var").mkdir()
    Path("var/operator.token").write_text("default")
    for name in ("file", "named"):
        Path(name).write_text(f"{name}\n")
    if "variable" in given:
        monkeypatch.setenv("WALLETD_TOKEN", "variable")
    if "named" in given:
        monkeypatch.setenv("WALLETD_TOKEN_FILE", "named")
    flags = ["--token", "flag"] if "flag" in given else []
    flags += ["--token-file", "file"] if "file" in given else []

    walletd("status", *flags)
    assert daemon.connected_with["token"] == token


def test_without_a_token_here_that_of_the_unit_is_taken_and_then_that_of_the_service(
    walletd: Walletd, daemon: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    for directory, name in (("var", "operator"), ("credentials", "walletd"), ("service", "operator")):
        Path(directory).mkdir()
        Path(directory, f"{name}.token").write_text(f"of {directory}\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "credentials")
    for directory, name in (("var", "operator"), ("credentials", "walletd"), ("service", "operator")):
        walletd("status")
        assert daemon.connected_with["token"] == f"of {directory}"
        Path(directory, f"{name}.token").unlink()
    walletd("status")
    assert daemon.connected_with["token"] is None


def test_the_address_can_be_given_by_flag_and_by_environment(
    walletd: Walletd, daemon: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WALLETD_URL", "ws://environment:1")
    walletd("status")
    assert daemon.connected_with["url"] == "ws://environment:1"
    walletd("status", "--url", "ws://flag:2")
    assert daemon.connected_with["url"] == "ws://flag:2"


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe"])
def test_a_token_file_that_holds_no_token_ends_with_77(
    walletd: Walletd, daemon: StandIn, content: bytes | None
) -> None:
    if content is not None:
        Path("token").write_bytes(content)
    ended = walletd("status", "--token-file", "token")
    assert ended.exit_code == 77
    assert "token" in ended.err
    assert ended.err.count("\n") == 1
