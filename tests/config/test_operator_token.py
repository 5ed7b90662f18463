"""The operator's token: made for its owner alone, and taken as platforms and packages mount it."""

import os
from pathlib import Path

import pytest

from walletd.settings import operator_token as module
from walletd.settings.operator_token import operator_token
from walletd.settings.settings import ConfigurationError

OURS = 1000
STRANGER = 1001


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "operator.token").write_text("secret\n")
    return tmp_path / "operator.token"


def as_user(user: int, owner: int, mode: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file's owner and mode as they are told, and who asks: a test may run as root or not."""
    plain = os.fstat

    def fstat(descriptor: int) -> os.stat_result:
        found = plain(descriptor)
        return os.stat_result((0o100000 | mode, found.st_ino, found.st_dev, 1, owner, 0, *found[6:]))

    monkeypatch.setattr(os, "fstat", fstat)
    monkeypatch.setattr(os, "geteuid", lambda: user)


TAKEN = [
    ("Docker's secret", OURS, 0, 0o444),
    ("Docker's secret, for root", 0, 0, 0o444),
    ("Docker's secret with the user's id", OURS, OURS, 0o444),
    ("Kubernetes' secret", OURS, 0, 0o644),
    ("Kubernetes' secret, for root", 0, 0, 0o644),
    ("Kubernetes' secret with fsGroup", OURS, 0, 0o440),
    ("Kubernetes' secret with fsGroup and its write bit", OURS, 0, 0o640),
    ("a package's", OURS, 0, 0o640),
    ("one's own", OURS, OURS, 0o600),
    ("one's own, read only", OURS, OURS, 0o400),
]
REFUSED = [
    ("others write", OURS, 0, 0o646, "go-w"),
    ("a group writes", OURS, 0, 0o660, "go-w"),
    ("others write what is read only", OURS, OURS, 0o446, "go-w"),
    ("one's own that all read", OURS, OURS, 0o644, "chmod 600"),
    ("one's own that a group reads", OURS, OURS, 0o640, "chmod 600"),
    ("a stranger's", OURS, STRANGER, 0o644, "planted"),
    ("a stranger's, for the daemon's eyes", OURS, STRANGER, 0o444, "planted"),
    ("a stranger's, for root", 0, STRANGER, 0o444, "planted"),
]


@pytest.mark.parametrize(("user", "owner", "mode"), [row[1:] for row in TAKEN], ids=[row[0] for row in TAKEN])
def test_a_file_that_was_named_is_taken_as_platforms_make_it(
    file: Path, monkeypatch: pytest.MonkeyPatch, user: int, owner: int, mode: int
) -> None:
    as_user(user, owner, mode, monkeypatch)
    assert operator_token(file, is_named=True) == "secret"


@pytest.mark.parametrize(
    ("user", "owner", "mode", "advice"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_what_others_can_write_or_what_is_ours_and_open_is_refused_with_what_to_do(
    file: Path, monkeypatch: pytest.MonkeyPatch, user: int, owner: int, mode: int, advice: str
) -> None:
    as_user(user, owner, mode, monkeypatch)
    with pytest.raises(ConfigurationError, match=advice):
        operator_token(file, is_named=True)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_as_root_too_what_the_daemon_made_itself_is_for_its_owner_alone(
    file: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    as_user(0, 0, mode, monkeypatch)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        operator_token(file)


def test_a_file_on_a_read_only_mount_is_taken(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose binds a file of the host as it is: nothing in the container can close it."""
    as_user(OURS, OURS, 0o644, monkeypatch)
    monkeypatch.setattr(module, "_is_read_only", lambda file: True)
    assert operator_token(file, is_named=True) == "secret"
    as_user(OURS, STRANGER, 0o644, monkeypatch)
    assert operator_token(file, is_named=True) == "secret"
    as_user(OURS, OURS, 0o666, monkeypatch)
    with pytest.raises(ConfigurationError, match="go-w"):
        operator_token(file, is_named=True)


def test_what_is_missing_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    token = operator_token(tmp_path / "new.token", is_named=True)
    assert (tmp_path / "new.token").stat().st_mode & 0o777 == 0o600
    assert operator_token(tmp_path / "new.token", is_named=True) == token


def test_a_planted_token_makes_no_operator(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_user(OURS, STRANGER, 0o600, monkeypatch)
    with pytest.raises(ConfigurationError, match="belongs to user 1001, who may have planted it"):
        operator_token(file)


@pytest.mark.parametrize("leads_to", ["other", "nothing"])
def test_only_a_file_that_was_named_may_be_a_symbolic_link(tmp_path: Path, leads_to: str) -> None:
    """Kubernetes mounts secrets as links; in the data folder the daemon itself makes the file."""
    (tmp_path / "other").write_text("walletd_other\n")
    (tmp_path / "other").chmod(0o600)
    (tmp_path / "operator.token").symlink_to(tmp_path / leads_to)
    with pytest.raises(ConfigurationError, match="symbolic link"):
        operator_token(tmp_path / "operator.token")
    if leads_to == "other":
        assert operator_token(tmp_path / "operator.token", is_named=True) == "walletd_other"


@pytest.mark.parametrize("is_named", [False, True])
def test_a_pipe_or_a_folder_is_no_token_and_is_not_waited_for(tmp_path: Path, is_named: bool) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(ConfigurationError, match="it is not a file"):
            operator_token(tmp_path / name, is_named=is_named)
