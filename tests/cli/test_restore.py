"""``walletd restore``: what a journal that is made of another one is known by."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import trio

from tests.cli.conftest import Walletd
from tests.cli.test_verify import lived
from walletd.journal.offline import open_offline
from walletd.vocabulary.histories import FIRST_HISTORY


@pytest.fixture
def data(tmp_path: Path) -> Path:
    trio.run(lived, tmp_path / "data")
    return tmp_path / "data"


@pytest.mark.parametrize("second", [0, 1_800_000_000, 2**60], ids=["1970", "2027", "far away"])
def test_two_restores_of_one_backup_are_told_apart_whatever_the_clock_says(
    walletd: Walletd, data: Path, monkeypatch: pytest.MonkeyPatch, second: int
) -> None:
    """Cursors hang on the epoch, ids on the mark; within one second, or with a clock that stands still, too."""
    monkeypatch.setattr("walletd.cli.restore.time", lambda: second)
    for number in range(4):
        assert walletd("restore", str(data), f"again-{number}").exit_code == 0
    charters = [open_offline(Path(f"again-{number}")).charter for number in range(4)]
    assert len({charter.epoch for charter in charters}) == 4
    assert all(1 < charter.epoch < 2**53 for charter in charters)
    assert len({charter.histories[-1].mark for charter in charters}) == 4
    assert all(charter.histories[:-1] == FIRST_HISTORY for charter in charters)
    assert [charter.histories[-1].first_sequence for charter in charters] == [8] * 4


def test_an_epoch_never_falls_below_that_of_the_journal_that_was_restored(
    walletd: Walletd, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs = [1]
    for number, second in enumerate([2_000_000_000, 1_800_000_000, 0]):
        monkeypatch.setattr("walletd.cli.restore.time", lambda second=second: second)
        source = str(data) if number == 0 else f"again-{number - 1}"
        assert walletd("restore", source, f"again-{number}").exit_code == 0
        epochs.append(open_offline(Path(f"again-{number}")).charter.epoch)
    assert epochs == sorted(set(epochs))


def test_a_journal_from_before_there_were_histories_is_of_the_first(walletd: Walletd, data: Path) -> None:
    with closing(sqlite3.connect(data / "journal.db")) as connection:
        connection.execute("DROP TABLE history")
    assert open_offline(data).charter.histories == FIRST_HISTORY
    assert walletd("verify", str(data)).exit_code == 0
    assert walletd("restore", str(data), "again").exit_code == 0
    assert len(open_offline(Path("again")).charter.histories) == 2
