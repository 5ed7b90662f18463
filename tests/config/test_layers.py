"""The layers of the configuration: which goes over which, where a value came from, what is refused and how."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from walletd.settings.layers import DEFAULT, PLACES, load
from walletd.settings.settings import ConfigurationError, Settings


@pytest.fixture
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """/etc/walletd, as it were."""
    folder = tmp_path / "etc"
    (folder / "conf.d").mkdir(parents=True)
    monkeypatch.setattr("walletd.settings.layers.SYSTEM_FILE", folder / "walletd.toml")
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


OF_A_SERVICE = {
    "KUBERNETES_SERVICE_HOST": "10.96.0.1",
    "WALLETD_SERVICE_HOST": "10.96.7.1",
    "WALLETD_SERVICE_PORT": "7878",
    "WALLETD_SERVICE_PORT_WS": "7878",
    "WALLETD_PORT": "tcp://10.96.7.1:7878",
    "WALLETD_PORT_7878_TCP": "tcp://10.96.7.1:7878",
    "WALLETD_PORT_7878_TCP_PROTO": "tcp",
    "WALLETD_PORT_7878_TCP_PORT": "7878",
    "WALLETD_PORT_7878_TCP_ADDR": "10.96.7.1",
    "WALLETD_ADMIN_SERVICE_HOST": "10.96.7.2",
    "WALLETD_ADMIN_SERVICE_PORT": "7879",
    "WALLETD_ADMIN_PORT": "tcp://10.96.7.2:7879",
    "WALLETD_ADMIN_PORT_7879_TCP": "tcp://10.96.7.2:7879",
    "WALLETD_ADMIN_PORT_7879_TCP_ADDR": "10.96.7.2",
    "WALLETD_DNS_PORT_53_UDP": "udp://10.96.7.3:53",
}
"""What Kubernetes puts into every pod beside Services called walletd, walletd-admin and walletd-dns."""


def test_what_kubernetes_says_of_services_is_no_configuration(etc: Path) -> None:
    found = load(environment=OF_A_SERVICE)
    assert set(found.origins.values()) == {DEFAULT}
    assert (found.settings.port, found.settings.admin_port) == (7878, None)
    own = {"WALLETD_HOST": "0.0.0.0", "WALLETD_MAX_MAILBOX": "7"}
    settings = load(environment={**OF_A_SERVICE, **own}).settings
    assert (settings.host, settings.max_mailbox) == ("0.0.0.0", 7), "what is meant counts beside it"


@pytest.mark.parametrize(("name", "value"), [("WALLETD_PORT", "http://x"), ("WALLETD_PORT_X_TCP", "1")])
def test_what_only_looks_a_little_like_it_is_still_refused(etc: Path, name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        load(environment={name: value})


def test_an_empty_variable_is_as_if_it_were_not_there(etc: Path) -> None:
    """As compose passes on what is not set: ``WALLETD_TLS_CERTIFICATE: ${TLS_CERTIFICATE:-}``."""
    (etc / "walletd.toml").write_text("port = 1\nallowed_hosts = ['a.example']\nlog_levels = { journal = 'debug' }\n")
    plain = load(environment={})
    names = [f"WALLETD_{name.upper()}" for name in Settings.__struct_fields__]
    everything = {*names, "WALLETD_CONFIG", *PLACES, "WALLETD_URL", "WALLETD_TOKEN", "WALLETD_OLD_NAME"}
    assert load(environment=dict.fromkeys(everything, "")) == plain
    (etc / "walletd.toml").write_text('data = "$STATE_DIRECTORY/books"\n')
    with pytest.raises(ConfigurationError, match="systemd did not set STATE_DIRECTORY"):
        load(environment={"STATE_DIRECTORY": ""})


def test_an_empty_credentials_directory_is_not_the_working_directory(
    etc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "walletd.token").write_text("not a credential")
    assert load(environment={"CREDENTIALS_DIRECTORY": ""}).settings.operator_token_file is None


def _denied(folder: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """A test may run as root, whom nothing is denied: the calls say what they would to another user."""
    for name in names:
        plain = getattr(os, name)

        def call(path: Any, *arguments: Any, plain: Any = plain, **more: Any) -> Any:
            if isinstance(path, str | os.PathLike) and Path(path).is_relative_to(folder):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return plain(path, *arguments, **more)

        monkeypatch.setattr(os, name, call)


def test_fragments_that_cannot_be_listed_are_an_error_and_not_none(etc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (etc / "conf.d" / "a.toml").write_text("port = 1\n")
    _denied(etc / "conf.d", monkeypatch, "listdir", "scandir")
    with pytest.raises(ConfigurationError) as refused:
        load(environment={})
    assert (
        str(refused.value)
        == f"cannot list {etc}/conf.d: Permission denied; give the user that runs walletd read access"
    )


def test_fragments_that_are_no_directory_are_an_error(etc: Path) -> None:
    (etc / "conf.d").rmdir()
    assert load(environment={}).files == ()
    (etc / "conf.d").write_text("port = 1\n")
    with pytest.raises(ConfigurationError, match=r"cannot list .*conf\.d: Not a directory"):
        load(environment={})


def test_links_that_lead_nowhere_are_an_error_and_not_an_empty_layer(etc: Path) -> None:
    (etc / "conf.d").rmdir()
    (etc / "conf.d").symlink_to(etc / "nowhere")
    with pytest.raises(ConfigurationError, match=r"cannot list .*conf\.d: No such file or directory"):
        load(environment={})
    (etc / "conf.d").unlink()
    (etc / "walletd.toml").symlink_to(etc / "nowhere.toml")
    with pytest.raises(ConfigurationError, match=r"walletd\.toml.*No such file or directory"):
        load(environment={})


def test_a_directory_that_may_not_be_entered_is_named_with_what_to_do(
    etc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _denied(etc, monkeypatch, "stat", "listdir", "scandir")
    with pytest.raises(ConfigurationError) as refused:
        load(environment={})
    assert str(refused.value) == (
        f"cannot look into {etc}: Permission denied; "
        "give the user that runs walletd access to it, or name a file with --config"
    )


def test_a_port_in_quotes_is_wrong_in_a_file_and_right_in_the_environment(etc: Path) -> None:
    (etc / "walletd.toml").write_text("host = 'x'\nport = '1'\n")
    with pytest.raises(ConfigurationError, match=r"walletd\.toml:2: port: "):
        load(environment={})


def test_a_path_can_begin_with_what_systemd_gives(etc: Path, tmp_path: Path) -> None:
    (etc / "walletd.toml").write_text('data = "$STATE_DIRECTORY/books"\n')
    assert load(environment={"STATE_DIRECTORY": "/var/lib/walletd"}).settings.data == Path("/var/lib/walletd/books")
    with pytest.raises(ConfigurationError, match=r"walletd\.toml:1: .*systemd did not set STATE_DIRECTORY"):
        load(environment={})


def test_the_operators_token_is_taken_from_the_credentials_where_there_is_one(etc: Path, tmp_path: Path) -> None:
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert load(environment=environment).settings.token_file == Path("var/operator.token")
    (tmp_path / "walletd.token").write_text("t")
    found = load(environment=environment)
    assert found.settings.token_file == tmp_path / "walletd.token"
    assert found.origins["operator_token_file"] == "systemd"
