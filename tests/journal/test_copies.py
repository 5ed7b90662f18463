"""A damaged copy says nothing of its original: it is called a damaged copy, and no file with a name is left of it."""

from pathlib import Path
from typing import Any

import pytest

from tests.journal.chains import Chain
from walletd.cli import backup
from walletd.journal.archive.file import ArchiveWriter, Origin, pack
from walletd.journal.failures import CopyDamaged, JournalCorrupt
from walletd.journal.offline import read_offline
from walletd.journal.sqlite import building
from walletd.journal.sqlite.building import build_journal
from walletd.journal.sqlite.directory import DATABASE_NAME
from walletd.vocabulary.histories import FIRST_HISTORY, Histories, History

ORIGIN = Origin("journal-of-a-test", 1)


def restored(head: int) -> Histories:
    """The first history up to this entry, and the one that a restore begins behind it."""
    return (*FIRST_HISTORY, History(head + 1, "k3f9a2xq"))


@pytest.fixture
def segments(chain: Chain) -> list[Any]:
    return [chain.next(count, padding=400) for count in (3, 5, 2)]


def test_a_restored_journal_that_does_not_come_back_is_a_damaged_copy(
    tmp_path: Path, segments: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = building._write

    def write(file: Path, *given: Any) -> Any:
        head = plain(file, *given)
        content = file.read_bytes()
        file.write_bytes(content.replace(b'"sequence":7', b'"sequence":8'))
        return head

    with monkeypatch.context() as patch:
        patch.setattr(building, "_write", write)
        with pytest.raises(CopyDamaged, match="does not come back") as raised:
            build_journal(tmp_path / "data", ORIGIN, segments, epoch=2, histories=restored)
    assert "evidence" not in str(raised.value)
    assert not list((tmp_path / "data").iterdir())
    build_journal(tmp_path / "data", ORIGIN, segments, epoch=2, histories=restored)
    assert list(read_offline(tmp_path / "data" / DATABASE_NAME)) == segments


def test_damage_in_what_is_restored_from_is_still_that(tmp_path: Path, segments: list[Any]) -> None:
    with pytest.raises(JournalCorrupt):
        build_journal(tmp_path / "data", ORIGIN, [segments[0], segments[2]], epoch=2, histories=restored)


async def test_a_backup_that_does_not_come_back_is_a_damaged_copy(
    tmp_path: Path, segments: list[Any], chain: Chain
) -> None:
    writer = ArchiveWriter(tmp_path, ORIGIN, Chain().frontier, 1)
    block = bytearray(pack(segments))
    block[len(block) // 2] ^= 1
    with writer:
        writer.add(bytes(block))
        writer.sync()
        with pytest.raises(CopyDamaged, match="the backup does not come back"):
            await backup._prove(writer, lambda done, whole: None)
    assert not list(tmp_path.iterdir())
