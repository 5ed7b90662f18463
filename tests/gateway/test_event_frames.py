"""Frames of events: shared where they are the same, and never taken for each other where they are not."""

from itertools import product
from typing import Any

import msgspec

from walletd.streams.event_frames import EventFrames


def test_whoever_sees_the_same_shares_a_frame() -> None:
    frames = EventFrames(epoch=3)
    record = b'{"sequence":7}'
    first = frames.frame(1, 7, 5, record)
    assert msgspec.json.decode(first) == {
        "jsonrpc": "2.0",
        "method": "stream.event",
        "params": {"subscription": 1, "epoch": 3, "sequence": 7, "previous_sequence": 5, "entry": {"sequence": 7}},
    }
    assert frames.frame(1, 7, 5, record) is first


def test_each_subscription_gets_its_own() -> None:
    frames = EventFrames(epoch=1)
    entries: list[dict[str, Any]] = [
        {"sequence": sequence, "shown": shown} for sequence in (2, 3) for shown in ("all", "some")
    ]
    records = [msgspec.json.encode(entry) for entry in entries]
    for subscription, previous, index in product((1, 2, 3), (0, 1), (0, 1, 2, 3, 0)):
        entry = entries[index]
        frame = frames.frame(subscription, entry["sequence"], previous, records[index])
        assert msgspec.json.decode(frame)["params"] == {
            "subscription": subscription,
            "epoch": 1,
            "sequence": entry["sequence"],
            "previous_sequence": previous,
            "entry": entry,
        }
