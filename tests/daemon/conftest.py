"""Daemons are forked, and what the client library says and hears in these tests is as the contract has it."""

from typing import Any
from weakref import WeakKeyDictionary

import pytest

from tests.contract.witness import Witness
from tests.daemon.process import Daemon
from walletd.client import wire


@pytest.fixture(autouse=True)
def forked_daemons(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that looks at the beginning of a process sets it back."""
    monkeypatch.setattr(Daemon, "is_forked", True)


@pytest.fixture(autouse=True)
def witnessed_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every frame of the library's wires has a witness."""
    witnesses: WeakKeyDictionary[wire.Wire, Witness] = WeakKeyDictionary()
    send, receive = wire.Wire.send, wire.Wire.receive

    async def witnessed_send(self: wire.Wire, frames: list[bytes]) -> None:
        for frame in frames:
            witnesses.setdefault(self, Witness()).sent(frame)
        await send(self, frames)

    async def witnessed_receive(self: wire.Wire, *patience: Any) -> list[bytes]:
        messages = await receive(self, *patience)
        for message in messages:
            witnesses.setdefault(self, Witness()).received(message)
        return messages

    monkeypatch.setattr(wire.Wire, "send", witnessed_send)
    monkeypatch.setattr(wire.Wire, "receive", witnessed_receive)
