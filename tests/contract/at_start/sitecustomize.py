"""On the path of another process: notes every frame of the client library, for the tests to judge afterwards.

TEST_FRAMES names the file; each line has a connection, a direction and a frame.
"""

import json
import os

from walletd.client.websocket import Websocket

_file = os.open(os.environ["TEST_FRAMES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
_write, _messages = Websocket.write, Websocket.messages


def _note(connection: Websocket, direction: str, frames: list[bytes]) -> None:
    lines = [json.dumps([f"{os.getpid()}-{id(connection)}", direction, frame.decode()]) + "\n" for frame in frames]
    os.write(_file, "".join(lines).encode())


def _noted_write(self: Websocket, frames: list[bytes]) -> None:
    _note(self, "sent", frames)
    _write(self, frames)


def _noted_messages(self: Websocket) -> list[bytes]:
    messages = _messages(self)
    _note(self, "received", messages)
    return messages


for _name, _noted in (("write", _noted_write), ("messages", _noted_messages)):
    setattr(Websocket, _name, _noted)
