"""A bad network: a proxy on loopback that breaks every connection, each in its own way, all from one seed.

    python -m tests.faults.proxy PORT SEED             # says its own port; at the end of its input, what it did

A connection lives for some bytes.  Then it is reset, or goes silent first, or loses what the server still says, or is
half closed; on the way its bytes may arrive one by one.
"""

import contextlib
import json
import random
import socket
import struct
import sys
from collections import Counter
from functools import partial

import trio

FATES = ("reset", "silence", "lost replies", "half close", "slices")
SILENCE_SECONDS = 0.02
SLICED_BYTES = 400


class Life:
    """One connection's fate, and how many bytes, up and down together, it has until then."""

    def __init__(self, chance: random.Random) -> None:
        self.fate = chance.choice(FATES)
        self.left = int(chance.expovariate(1 / 3000)) + 1
        self.is_over = trio.Event()


async def serve(stream: trio.SocketStream, port: int, chance: random.Random, done: Counter[str]) -> None:
    life = Life(chance)
    done[life.fate] += 1
    try:
        server = await trio.open_tcp_stream("127.0.0.1", port)
    except OSError:
        await reset(stream)
        return
    async with trio.open_nursery() as nursery:
        nursery.start_soon(forward, stream, server, life, True)
        nursery.start_soon(forward, server, stream, life, False)
        await life.is_over.wait()
        if life.fate == "silence":
            await trio.sleep(SILENCE_SECONDS)
        nursery.cancel_scope.cancel()
    with trio.CancelScope(shield=True):
        await reset(stream)
        await reset(server)


async def forward(source: trio.SocketStream, to: trio.SocketStream, life: Life, is_up: bool) -> None:
    """Pass bytes on until the connection's life is over."""
    try:
        while data := await source.receive_some(4096):
            passed = data[: max(0, life.left)]
            life.left -= len(data)
            if life.fate == "slices":
                for at in range(min(len(passed), SLICED_BYTES)):
                    await to.send_all(passed[at : at + 1])
                passed = passed[SLICED_BYTES:]
            if passed:
                await to.send_all(passed)
            if life.left <= 0:
                break
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass
    if life.fate == "lost replies" and is_up:
        # The server has the request; whatever it answers is thrown away.
        life.is_over.set()
    elif life.fate == "half close" and is_up:
        try:
            await to.send_eof()
        except trio.BrokenResourceError:
            life.is_over.set()
    else:
        life.is_over.set()


async def reset(stream: trio.SocketStream) -> None:
    """End the connection with a reset, not in order."""
    with contextlib.suppress(OSError):
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await trio.aclose_forcefully(stream)


async def main(port: int, seed: int) -> None:
    done: Counter[str] = Counter()
    async with trio.open_nursery() as nursery:
        handler = partial(serve, port=port, chance=random.Random(seed), done=done)
        listeners = await nursery.start(partial(trio.serve_tcp, handler, 0, host="127.0.0.1"))
        print(listeners[0].socket.getsockname()[1], flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)
        nursery.cancel_scope.cancel()
    print(json.dumps(done))


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]), int(sys.argv[2]))
