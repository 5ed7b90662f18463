"""``walletd config``: whether the configuration is right, and where every value comes from."""

import json
import tomllib
from pathlib import Path

import msgspec
import pytest

from tests.cli.conftest import Walletd
from walletd.settings.settings import Settings


@pytest.fixture(autouse=True)
def no_system_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the machine's own configuration."""
    monkeypatch.setattr("walletd.settings.layers.SYSTEM_FILE", tmp_path / "nothing" / "walletd.toml")


def test_a_right_configuration_is_called_right(walletd: Walletd) -> None:
    Path("w.toml").write_text("port = 1\nhost = 'x'\n")
    ended = walletd("config", "check", "--config", "w.toml")
    assert ended.exit_code == 0
    assert "w.toml read, 2 of" in ended.out


def test_a_wrong_one_is_one_line_and_78(walletd: Walletd) -> None:
    Path("w.toml").write_text("\nprot = 1\n")
    for command in ("check", "show"):
        ended = walletd("config", command, "--config", "w.toml")
        assert ended.exit_code == 78
        assert ended.err == "walletd: w.toml:2: there is no setting 'prot'; did you mean 'port'?\n"


def test_looking_opens_nothing(walletd: Walletd, tmp_path: Path) -> None:
    walletd("config", "check")
    walletd("config", "show")
    assert list(tmp_path.iterdir()) == []


def test_what_is_shown_is_a_configuration_file_that_says_the_same(walletd: Walletd) -> None:
    Path("w.toml").write_text("port = 1\nallowed_hosts = ['a', 'b\"c']\nlog_levels = { journal = 'debug' }\n")
    shown = tomllib.loads(walletd("config", "show", "--config", "w.toml").out)
    settings = msgspec.convert(shown, Settings, dec_hook=lambda kind, value: kind(value))
    assert settings == Settings(port=1, allowed_hosts=("a", 'b"c'), log_levels={"journal": "debug"})


def test_the_origin_of_each_value_is_shown(walletd: Walletd, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("w.toml").write_text("port = 1\nallowed_hosts = ['a']\n")
    monkeypatch.setenv("WALLETD_HOST", "h")
    ended = walletd("config", "show", "--origin", "--config", "w.toml")
    origins = dict(line.split("  # ") for line in ended.out.splitlines())
    origins = {line.split(" =")[0].strip("# "): origin for line, origin in origins.items()}
    assert origins["port"] == "w.toml:1"
    assert origins["allowed_hosts"] == "w.toml:2, reloadable"
    assert origins["host"] == "environment WALLETD_HOST"
    assert origins["data"] == "default"
    as_json = json.loads(walletd("config", "show", "--origin", "--json", "--config", "w.toml").out)
    assert as_json["port"] == {"value": 1, "origin": "w.toml:1"}
