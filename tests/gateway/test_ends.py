"""A fault of the daemon's own is not taken for one of the connection that met it."""

from typing import Any, NoReturn

import pytest
import trio

from tests.gateway.wires import policy, request, text
from walletd.gateway.network import server
from walletd.gateway.network.bounds import Bounds, Deadlines
from walletd.gateway.network.connection import Connection
from walletd.gateway.network.places import Caps
from walletd.gateway.network.server import GatewayServer
from walletd.gateway.websocket.handshake import Handshake
from walletd.tables.file import ReadTablesRotten


class FailingEndpoint:
    """Its daemon meets a fault while it answers."""

    payer = None
    is_busy = False

    def __init__(self, fault: Exception) -> None:
        self.fault = fault
        self.is_closed = False

    def opened(self) -> None:
        """Nothing is said."""

    def received(self, messages: list[bytes]) -> None:
        raise self.fault

    def drained(self) -> None:
        """Nothing waits for room."""

    def slow_close(self) -> tuple[int, str]:
        return 1013, "slow"

    def closed(self, code: int) -> None:
        self.is_closed = True


async def serve_one(endpoint: FailingEndpoint) -> None:
    """A server with this endpoint, to which one client says something, until the server ends."""

    def open_endpoint(connection: Connection, handshake: Handshake) -> FailingEndpoint:
        return endpoint

    gateway = GatewayServer("127.0.0.1", 0, policy(), Deadlines(), Bounds(), Caps(10, 10, 10), open_endpoint)
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            (address,) = await nursery.start(gateway.serve)
            peer = await trio.open_tcp_stream("127.0.0.1", int(address.rpartition(":")[2]))
            await peer.send_all(request() + text(b"anything"))


async def test_damaged_read_tables_are_not_a_fault_of_the_connection_and_end_the_server() -> None:
    endpoint = FailingEndpoint(ReadTablesRotten("a row"))
    with pytest.raises(ExceptionGroup) as raised:
        await serve_one(endpoint)
    assert innermost(raised.value) == [ReadTablesRotten]
    assert endpoint.is_closed


class Ended(Exception):
    """The process would be over."""


async def test_where_memory_runs_out_while_somebody_is_answered_the_process_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def end(reason: str) -> NoReturn:
        raise Ended(reason)

    monkeypatch.setattr(server, "end_process", end)
    with pytest.raises(ExceptionGroup) as raised:
        await serve_one(FailingEndpoint(MemoryError()))
    assert innermost(raised.value) == [Ended]


def innermost(group: Any) -> list[type]:
    """What the group, and the groups in it, were made for."""
    if isinstance(group, BaseExceptionGroup):
        return [found for part in group.exceptions for found in innermost(part)]
    return [type(group)]
