"""A connection that is over leaves nothing behind, also if the garbage collector does not run for a long time."""

import gc
import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import pytest

from tests.gateway.wires import closing, frame, policy, request, text
from walletd.gateway.websocket.frames import FrameProtocol

LARGE = 256 * 1024
MOST_LEFT = 3000
"""Bytes for each connection until cycles are looked for.  It was 280,000 where compression was negotiated."""

DEFLATING = {"Sec-WebSocket-Extensions": "permessage-deflate"}


@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def bomb() -> bytes:
    deflate = zlib.compressobj(9, wbits=-15)
    data = deflate.compress(bytes(10_000_000)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    size = len(data[:-4])
    return b"\xc1\xfe" + size.to_bytes(2, "big") + bytes(4) + data[:-4]


ENDS: list[tuple[str, Callable[[], bytes]]] = [
    ("a deflate bomb", bomb),
    ("a close", closing),
    ("the end of the stream", lambda: b""),
    ("half a message", lambda: text(b"x" * 200_000)[:-1]),
    ("half a fragment", lambda: frame(1, b"x" * 200_000, fin=False)[:-1]),  # type: ignore[arg-type]
    ("fragments", lambda: frame(1, b"x" * 200_000, fin=False)),  # type: ignore[arg-type]
    ("bad UTF-8", lambda: text(b"x" * 200_000 + b"\xff")),
    ("a reserved opcode", lambda: text(b"x" * 200_000) + b"\x83\x80\0\0\0\0" + b"y" * 10_000),
    ("too large a frame", lambda: text(b"x" * (LARGE + 1))),
]


@pytest.mark.parametrize("data", [row[1] for row in ENDS], ids=[row[0] for row in ENDS])
def test_a_connection_that_is_over_is_gone_at_once(data: Callable[[], bytes], without_collector: None) -> None:
    ending, policy_ = data(), policy(compresses=True, max_message_bytes=LARGE)
    sizes = []
    tracemalloc.start()
    try:
        for _ in range(30):
            frames = FrameProtocol(policy_)
            frames.receive(request(DEFLATING))
            frames.receive(ending)
            frames.data_to_send()
            frames.receive_eof()
            frames.forget()
            del frames
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert (sizes[-1] - sizes[5]) / 24 < MOST_LEFT, sizes
