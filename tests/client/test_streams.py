"""Streams: in the conversation without sockets, and over connections that break."""

import itertools
from typing import Any

import msgspec
import pytest
from trio.testing import MockClock

from tests.client.fake_daemon import FakeDaemon, FakeLink
from tests.client.test_conversation import greeted, say
from walletd.client import Client, Cursor, RequestFailed
from walletd.client.conversation import Conversation
from walletd.client.errors import StreamBroken
from walletd.client.streams import IncomingEvent, Stream, Verdict
from walletd.protocol.messages import Subscribed
from walletd.vocabulary.commands import OpenWallet


def cursor(sequence: int, epoch: int = 1) -> Cursor:
    return Cursor(epoch, sequence)  # type: ignore[arg-type]


def subscribed(start: int, subscription: int = 1) -> Subscribed:
    return Subscribed(subscription=subscription, mode="live", epoch=1, start=start, head=start)


def arrival(sequence: int, previous: int, epoch: int = 1) -> IncomingEvent:
    return IncomingEvent(1, epoch, sequence, previous, msgspec.Raw(b"{}"))


def a_stream(start: int = 5, max_buffered: int = 100) -> Stream:
    stream = Stream({"prefix": "a"}, None, False, lambda: None, max_buffered)
    stream.subscribed(subscribed(start))
    return stream


@pytest.mark.parametrize(
    ("after", "snapshot", "expected"),
    [
        (None, False, {"prefix": "a"}),
        (None, True, {"prefix": "a", "snapshot": True}),
        (0, False, {"prefix": "a", "after": 0}),
        (cursor(3), False, {"prefix": "a", "after": cursor(3)}),
    ],
)
def test_a_stream_begins_as_asked_and_goes_on_from_its_cursor(after: Any, snapshot: bool, expected: Any) -> None:
    stream = Stream({"prefix": "a"}, after, snapshot, lambda: None)
    assert stream.params() == expected
    stream.subscribed(subscribed(7))
    assert stream.params() == {"prefix": "a", "after": cursor(7)}
    stream.take(arrival(9, 7))
    assert stream.params() == {"prefix": "a", "after": cursor(9)}


@pytest.mark.parametrize(
    ("sequence", "previous", "epoch", "verdict"),
    [
        (6, 5, 1, Verdict.KEPT),
        (9, 5, 1, Verdict.KEPT),
        (9, 4, 1, Verdict.KEPT),
        (5, 4, 1, Verdict.DOUBLE),
        (9, 6, 1, Verdict.GAP),
        (6, 5, 2, Verdict.GAP),
    ],
)
def test_what_an_event_means_behind_sequence_5(sequence: int, previous: int, epoch: int, verdict: Verdict) -> None:
    assert a_stream().take(arrival(sequence, previous, epoch)) is verdict


def test_the_readers_cursor_moves_when_events_are_handed_out_and_with_heartbeats_in_between() -> None:
    stream = a_stream()
    stream.take(arrival(6, 5))
    stream.heartbeat(1, 8)
    assert stream.cursor == cursor(5)
    assert stream.params()["after"] == cursor(8)
    assert stream.next() is not None
    assert stream.cursor == cursor(6)
    stream.heartbeat(1, 9)
    assert stream.cursor == cursor(9)
    stream.heartbeat(1, 2)
    assert stream.cursor == cursor(9)


def test_a_full_buffer_pauses_the_stream_until_half_of_it_was_read() -> None:
    conversation = Conversation(random=lambda: 0.0)
    greeted(conversation)
    stream = conversation.open_stream({"all": True}, None, False, lambda: None)
    stream._max_buffered = 4
    conversation.outgoing(0.0)
    say(conversation, id=1, result={"subscription": 1, "mode": "live", "epoch": 1, "from": 0, "head": 0})
    for sequence in range(1, 9):
        event = {"subscription": 1, "epoch": 1, "sequence": sequence, "previous_sequence": sequence - 1, "entry": {}}
        say(conversation, method="stream.event", params=event)
    assert [msgspec.json.decode(frame)["method"] for frame in conversation.outgoing(0.0)] == ["stream.unsubscribe"]
    for sequence in (1, 2):
        assert conversation.next_event(stream).sequence == sequence  # type: ignore[union-attr]
    (frame,) = conversation.outgoing(0.0)
    assert msgspec.json.decode(frame)["params"] == {"all": True, "after": {"epoch": 1, "sequence": 4}}
    assert [conversation.next_event(stream).sequence for _ in range(2)] == [3, 4]  # type: ignore[union-attr]
    assert conversation.next_event(stream) is None
    assert conversation.outgoing(0.0) == []


# --- over connections ----------------------------------------------------------------------------------------------


def serve_journal(daemon: FakeDaemon, head: int, break_after: int, skip: int = 0) -> None:
    """A journal whose stream breaks off after some events, sends one of them again, and leaves out ``skip`` once."""
    left_out = {skip} if skip else set()

    def subscribe(link: FakeLink, request: dict[str, Any]) -> None:
        after = request["params"].get("after", 0)
        start = after["sequence"] if isinstance(after, dict) else after
        subscription = len(daemon.requests)
        result = {"subscription": subscription, "mode": "replay", "epoch": 1, "from": start, "head": head}
        link.reply(request, result)
        for sequence in range(start + 1, head + 1)[:break_after]:
            if sequence in left_out:
                left_out.discard(sequence)
            else:
                link.event(subscription, sequence, sequence - 1)
                link.event(subscription, sequence, sequence - 1)
        if head - start > break_after:
            link.close(*next(closings))

    closings = itertools.cycle([(1012, "restart"), (4508, "slow consumer"), (1011, "fault")])
    daemon.answers["stream.subscribe"] = subscribe
    daemon.answers["stream.unsubscribe"] = lambda link, request: None


async def read_all(client: Client, head: int, **options: Any) -> list[int]:
    """What a reader sees up to the head."""
    seen: list[int] = []
    async with client.subscribe(all=True, after=0, **options) as stream:
        async for event in stream:
            assert isinstance(event.entry.command, OpenWallet)
            assert stream.cursor == cursor(event.sequence)
            seen.append(event.sequence)
            if event.sequence == head:
                return seen
    raise AssertionError("the stream ended early")


async def test_a_stream_over_many_connections_has_no_gap_and_no_double(
    daemon: FakeDaemon, client: Client, autojump_clock: MockClock
) -> None:
    serve_journal(daemon, head=50, break_after=7)
    assert await read_all(client, 50) == list(range(1, 51))
    assert len(daemon.links) == 8


async def test_an_event_that_is_missing_is_fetched_by_resuming(
    daemon: FakeDaemon, client: Client, autojump_clock: MockClock
) -> None:
    serve_journal(daemon, head=10, break_after=100, skip=4)
    assert await read_all(client, 10) == list(range(1, 11))
    assert [request["method"] for request in daemon.requests[:3]] == [
        "stream.subscribe",
        "stream.unsubscribe",
        "stream.subscribe",
    ]
    assert daemon.requests[2]["params"]["after"] == {"epoch": 1, "sequence": 3}


async def test_events_that_stay_missing_break_the_stream(
    daemon: FakeDaemon, client: Client, autojump_clock: MockClock
) -> None:
    def subscribe(link: FakeLink, request: dict[str, Any]) -> None:
        result = {"subscription": len(daemon.requests), "mode": "live", "epoch": 1, "from": 0, "head": 9}
        link.reply(request, result)
        link.event(len(daemon.requests), 9, 8)

    daemon.answers["stream.subscribe"] = subscribe
    with pytest.raises(StreamBroken, match="never received"):
        await read_all(client, 9)


async def test_a_cursor_of_a_replaced_history_is_the_readers_to_handle(
    daemon: FakeDaemon, client: Client, autojump_clock: MockClock
) -> None:
    daemon.answers["stream.subscribe"] = lambda link, request: link.fail(request, 2007, "epoch_changed", epoch=2)
    with pytest.raises(RequestFailed, match="epoch_changed"):
        async with client.subscribe(all=True, after=cursor(3)):
            pass


async def test_leaving_the_block_ends_the_subscription(
    daemon: FakeDaemon, client: Client, autojump_clock: MockClock
) -> None:
    serve_journal(daemon, head=0, break_after=1)
    async with client.subscribe(wallets=["alice"]):
        pass
    await daemon.received(2)
    assert daemon.requests[1]["params"] == {"subscription": 1}
