"""A segment is checked by itself, in its place, and in a row of others; whatever is changed is noticed."""

import msgspec
import pytest

from tests.journal.chains import Chain, record
from walletd.journal.failures import JournalCorrupt
from walletd.journal.merkle import Frontier, leaf_hash
from walletd.journal.segment import FORMAT_VERSION, Segment, check, records, seal, verify
from walletd.journal.store import GENESIS, Head
from walletd.journal.verification import advance, verified


def test_the_records_come_back_as_the_bytes_they_were() -> None:
    given = [record(1), b"{}", '{"note":"ü\\n"}'.encode()]
    segment = seal(Frontier(), 1, 1, given)

    assert records(segment) == given
    assert (segment.first_sequence, segment.count, segment.last_sequence) == (1, 3, 3)
    assert segment.format == FORMAT_VERSION


def test_sealing_advances_the_frontier_over_every_record() -> None:
    frontier, expected = Frontier(), Frontier()
    segment = seal(frontier, 1, 1, [record(1), record(2)])
    for sequence in (1, 2):
        expected.append(leaf_hash(record(sequence)))

    assert frontier == expected
    assert segment.root == expected.root()


def test_leaves_that_were_hashed_before_give_the_same_segment() -> None:
    given = [record(1), record(2)]
    assert seal(Frontier(), 1, 1, given, [leaf_hash(r) for r in given]) == seal(Frontier(), 1, 1, given)


@pytest.mark.parametrize("bad", [b"", b"[]", b'{"a":\n1}', b'{"a":1}\n', b"null"])
def test_what_is_not_one_object_on_one_line_cannot_be_sealed(bad: bytes) -> None:
    with pytest.raises(AssertionError):
        seal(Frontier(), 1, 1, [bad])


def changed(segment: Segment, field: str) -> Segment:
    value = getattr(segment, field)
    if isinstance(value, bytes):
        value = bytes([value[0] ^ 1]) + value[1:]
    else:
        value += 1
    return msgspec.structs.replace(segment, **{field: value})


@pytest.mark.parametrize("field", Segment.__struct_fields__)
def test_a_change_in_any_field_is_noticed_in_the_segment_alone(chain: Chain, field: str) -> None:
    segment = chain.next(3)
    check(segment)
    with pytest.raises(JournalCorrupt):
        check(changed(segment, field))


def test_every_single_bit_of_the_body_matters(chain: Chain) -> None:
    segment = chain.next(2)
    for at in range(len(segment.body) * 8):
        body = bytearray(segment.body)
        body[at // 8] ^= 1 << at % 8
        with pytest.raises(JournalCorrupt):
            check(msgspec.structs.replace(segment, body=bytes(body)))


def test_a_segment_of_another_history_does_not_have_the_root() -> None:
    ours, theirs = Chain(), Chain()
    ours.next(2)
    theirs.next(2, padding=1)
    frontier = ours.frontier.copy()
    with pytest.raises(JournalCorrupt, match="Merkle root"):
        verify(frontier, theirs.next())


def test_segments_in_a_row_are_verified_and_counted(chain: Chain) -> None:
    segments = [chain.next(count) for count in (1, 5, 2)]
    progress = list(verified(segments))

    assert [(p.segments, p.entries, p.head.sequence) for p in progress] == [(1, 1, 1), (2, 6, 6), (3, 8, 8)]
    assert progress[-1].head.root == chain.frontier.root()
    assert progress[-1].bytes == sum(len(segment.body) for segment in segments)


def test_verification_can_begin_at_a_checkpoint(chain: Chain) -> None:
    first = chain.next(3)
    frontier = Frontier.from_bytes(chain.frontier.to_bytes())
    (progress,) = verified([chain.next(2)], Head(3, 1, first.root), frontier)

    assert progress.entries == 2
    assert frontier == chain.frontier


@pytest.mark.parametrize("order", [(1, 2), (0, 2), (0, 1, 1), (0, 2, 1)])
def test_a_segment_that_is_missing_repeated_or_out_of_place_is_noticed(chain: Chain, order: tuple[int, ...]) -> None:
    segments = [chain.next(2) for _ in range(3)]
    with pytest.raises(JournalCorrupt):
        list(verified([segments[at] for at in order]))


def test_the_epoch_never_falls_back() -> None:
    chain = Chain(epoch=2)
    first = chain.next()
    chain.epoch = 1
    with pytest.raises(JournalCorrupt, match="epoch"):
        list(verified([first, chain.next()]))


def test_the_epoch_may_rise(chain: Chain) -> None:
    first = chain.next()
    chain.epoch = 2
    assert list(verified([first, chain.next()]))[-1].head.epoch == 2


def test_a_frontier_of_another_tree_is_refused(chain: Chain) -> None:
    chain.next()
    with pytest.raises(JournalCorrupt, match="does not belong"):
        list(verified([], GENESIS, chain.frontier))


def test_one_segment_at_a_time_gives_the_same_head(chain: Chain) -> None:
    frontier, head = Frontier(), GENESIS
    for count in (1, 2, 3):
        head = advance(head, frontier, chain.next(count))
    assert head == Head(6, 1, chain.frontier.root())
