"""Blocks of segments: bounded as they are made; those of earlier versions, which were not, are still read."""

import zlib

import msgspec
import pytest

from walletd.journal.archive import file as archive_file
from walletd.journal.archive.file import MAX_BLOCK_BYTES, one_block, pack, unpack
from walletd.journal.failures import JournalCorrupt
from walletd.journal.merkle import Frontier
from walletd.journal.segment import Segment, seal
from walletd.protocol.messages.journal import JournalBlock
from walletd.sessions.session import success
from walletd.vocabulary.sizes import MAX_FRAME_BYTES


def segments(*sizes: int) -> list[Segment]:
    """Segments with one entry each, of about these sizes, in a row."""
    frontier = Frontier()
    return [seal(frontier, place, 1, [b'{"x":"%b"}' % (b"x" * size)]) for place, size in enumerate(sizes, start=1)]


@pytest.mark.parametrize(
    ("sizes", "taken"),
    [
        ((10, 10, 10), 3),
        ((MAX_BLOCK_BYTES // 2, MAX_BLOCK_BYTES // 4, MAX_BLOCK_BYTES // 2), 2),
        ((10, MAX_BLOCK_BYTES), 1),
        ((3 * MAX_BLOCK_BYTES, 10), 1),
    ],
)
def test_a_block_has_as_many_segments_as_fit_and_one_at_least(sizes: tuple[int, ...], taken: int) -> None:
    made = segments(*sizes)
    assert one_block(made) == made[:taken]


def test_the_largest_block_fits_into_an_answer_also_where_nothing_shrinks() -> None:
    packed = b"\xff" * (MAX_BLOCK_BYTES + MAX_BLOCK_BYTES // 1000 + 1024)  # What deflate adds at worst.
    answer = success("i" * 64, JournalBlock(instance="a" * 16, created_ns=2**63, epoch=2**40, head=2**53, block=packed))
    assert len(answer) <= MAX_FRAME_BYTES


def test_a_segment_that_is_larger_than_a_block_is_packed_alone_and_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_file, "MAX_UNPACKED_BYTES", 100_000)
    (large,) = segments(1_000_000)
    assert unpack(pack([large])) == [large]


def test_a_block_of_many_segments_that_fills_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_file, "MAX_UNPACKED_BYTES", 100_000)
    assert unpack(pack(segments(40_000, 40_000)))
    with pytest.raises(JournalCorrupt):
        unpack(pack(segments(60_000, 60_000)))


def test_a_forged_block_of_one_segment_is_read_up_to_what_a_row_can_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_file, "MAX_UNPACKED_BYTES", 100_000)
    monkeypatch.setattr(archive_file, "MAX_ROW_BYTES", 200_000)
    assert unpack(pack(segments(290_000)))
    with pytest.raises(JournalCorrupt):
        unpack(pack(segments(310_000)))


def test_a_block_of_a_count_that_is_no_array_is_refused() -> None:
    with pytest.raises(JournalCorrupt):
        unpack(zlib.compress(msgspec.msgpack.encode({"rows": 1})))
