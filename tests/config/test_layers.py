"""The layers of the configuration: which goes over which, where a value came from, what is refused and how."""

from pathlib import Path

import pytest

from walletd.config import ConfigurationError
from walletd.config_layers import DEFAULT, load


@pytest.fixture
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """/etc/walletd, as it were."""
    folder = tmp_path / "etc"
    (folder / "conf.d").mkdir(parents=True)
    monkeypatch.setattr("walletd.config_layers.SYSTEM_FILE", folder / "walletd.toml")
    return folder


def test_without_anything_all_is_default(etc: Path) -> None:
    found = load(environment={})
    assert set(found.origins.values()) == {DEFAULT}
    assert found.files == ()


def test_each_layer_goes_over_the_one_before_and_says_where_it_stands(etc: Path, tmp_path: Path) -> None:
    (etc / "walletd.toml").write_text(
        "host = 'a'\nport = 1\n\nmax_mailbox = 2\nlog_level = 'error'\ndrain_seconds = 1\n"
    )
    (etc / "conf.d" / "20-late.toml").write_text("# more\nmax_mailbox = 4\n")
    (etc / "conf.d" / "10-early.toml").write_text("max_mailbox = 3\nlog_level = 'debug'\n")
    environment = {"STATE_DIRECTORY": str(tmp_path), "WALLETD_DRAIN_SECONDS": "2.5", "WALLETD_PORT": "7"}
    found = load(None, {"port": 9, "host": None}, environment)
    settings = found.settings
    assert (settings.data, settings.host, settings.port) == (tmp_path, "a", 9)
    assert (settings.max_mailbox, settings.log_level, settings.drain_seconds) == (4, "debug", 2.5)
    assert {name: origin for name, origin in found.origins.items() if origin != DEFAULT} == {
        "data": "systemd",
        "host": f"{etc}/walletd.toml:1",
        "port": "command line",
        "max_mailbox": f"{etc}/conf.d/20-late.toml:2",
        "log_level": f"{etc}/conf.d/10-early.toml:2",
        "drain_seconds": "environment WALLETD_DRAIN_SECONDS",
    }


def test_a_named_file_stands_in_for_the_systems_with_its_own_fragments(etc: Path, tmp_path: Path) -> None:
    (etc / "walletd.toml").write_text("port = 1\n")
    own = tmp_path / "own"
    (own / "conf.d").mkdir(parents=True)
    (own / "my.toml").write_text("max_mailbox = 5\n")
    (own / "conf.d" / "x.toml").write_text("host = 'h'\n")
    found = load(None, {}, {"WALLETD_CONFIG": str(own / "my.toml")})
    assert (found.settings.port, found.settings.max_mailbox, found.settings.host) == (7878, 5, "h")


def test_lists_and_tables_can_stand_in_the_environment(etc: Path) -> None:
    environment = {"WALLETD_ALLOWED_HOSTS": "a.example, b.example", "WALLETD_LOG_LEVELS": "journal=debug,gateway=error"}
    settings = load(None, {}, environment).settings
    assert settings.allowed_hosts == ("a.example", "b.example")
    assert settings.log_levels == {"journal": "debug", "gateway": "error"}


@pytest.mark.parametrize("setting", ["prot = 1", "[log_levels]\njournal = 'debug'\n\n[prot]\nx = 1"])
def test_an_unknown_name_in_a_file_is_refused_with_its_line_and_the_nearest_right_one(etc: Path, setting: str) -> None:
    (etc / "conf.d" / "a.toml").write_text(setting)
    line = setting[: setting.index("prot")].count("\n") + 1
    with pytest.raises(ConfigurationError) as refused:
        load(environment={})
    assert str(refused.value) == f"{etc}/conf.d/a.toml:{line}: there is no setting 'prot'; did you mean 'port'?"


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"WALLETD_PROT": "1"}, "environment WALLETD_PROT: there is no setting 'prot'; did you mean 'port'?"),
        ({"WALLETD_PORT": "x"}, "environment WALLETD_PORT: port: "),
        ({"WALLETD_LOG_LEVELS": "journal"}, "environment WALLETD_LOG_LEVELS: log_levels"),
    ],
)
def test_what_is_wrong_in_the_environment_is_named(etc: Path, environment: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(environment=environment)
    assert str(refused.value).startswith(words)


def test_a_port_in_quotes_is_wrong_in_a_file_and_right_in_the_environment(etc: Path) -> None:
    (etc / "walletd.toml").write_text("host = 'x'\nport = '1'\n")
    with pytest.raises(ConfigurationError, match=r"walletd\.toml:2: port: "):
        load(environment={})


def test_a_path_can_begin_with_what_systemd_gives(etc: Path, tmp_path: Path) -> None:
    (etc / "walletd.toml").write_text('data = "$STATE_DIRECTORY/books"\n')
    assert load(environment={"STATE_DIRECTORY": "/var/lib/walletd"}).settings.data == Path("/var/lib/walletd/books")
    with pytest.raises(ConfigurationError, match=r"walletd\.toml:1: .*systemd has set no STATE_DIRECTORY"):
        load(environment={})


def test_the_operators_token_is_taken_from_the_credentials_where_there_is_one(etc: Path, tmp_path: Path) -> None:
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert load(environment=environment).settings.token_file == Path("var/operator.token")
    (tmp_path / "walletd.token").write_text("t")
    found = load(environment=environment)
    assert found.settings.token_file == tmp_path / "walletd.token"
    assert found.origins["operator_token_file"] == "systemd"
