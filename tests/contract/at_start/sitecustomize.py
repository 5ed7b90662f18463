"""On the path of another process: notes every frame of the client library, for the tests to judge afterwards.

TEST_FRAMES names the file; each line has a connection, a direction and a frame.
"""

import json
import os
from typing import Any

from walletd.client import wire

_file = os.open(os.environ["TEST_FRAMES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
_send, _receive = wire.Wire.send, wire.Wire.receive


def _note(connection: wire.Wire, direction: str, frames: list[bytes]) -> None:
    lines = [json.dumps([f"{os.getpid()}-{id(connection)}", direction, frame.decode()]) + "\n" for frame in frames]
    os.write(_file, "".join(lines).encode())


async def _noted_send(self: wire.Wire, frames: list[bytes]) -> None:
    _note(self, "sent", frames)
    await _send(self, frames)


async def _noted_receive(self: wire.Wire, *patience: Any, **words: Any) -> list[bytes]:
    messages = await _receive(self, *patience, **words)
    _note(self, "received", messages)
    return messages


for _name, _noted in (("send", _noted_send), ("receive", _noted_receive)):
    setattr(wire.Wire, _name, _noted)
