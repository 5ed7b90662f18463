"""A fault of the daemon's own is not taken for one of the connection that met it."""

from typing import Any

import pytest
import trio

from tests.gateway.wires import policy, request, text
from walletd.gateway.bounds import Bounds, Deadlines
from walletd.gateway.connection import Connection
from walletd.gateway.handshake import Handshake
from walletd.gateway.server import Caps, GatewayServer
from walletd.wallets.read_tables import ReadTablesRotten


class RottenEndpoint:
    """Its daemon finds, while it answers, that the read tables are damaged."""

    def __init__(self, connection: Connection, handshake: Handshake) -> None:
        self.is_closed = False

    def opened(self) -> None:
        """Nothing is said."""

    def received(self, messages: list[bytes]) -> None:
        raise ReadTablesRotten("a row")

    def drained(self) -> None:
        """Nothing waits for room."""

    def slow_close(self) -> tuple[int, str]:
        return 1013, "slow"

    def closed(self, code: int) -> None:
        self.is_closed = True


async def test_damaged_read_tables_are_not_a_fault_of_the_connection_and_end_the_server() -> None:
    endpoints: list[RottenEndpoint] = []

    def open_endpoint(connection: Connection, handshake: Handshake) -> RottenEndpoint:
        endpoints.append(RottenEndpoint(connection, handshake))
        return endpoints[-1]

    server = GatewayServer("127.0.0.1", 0, policy(), Deadlines(), Bounds(), Caps(10, 10), open_endpoint)
    with pytest.raises(ExceptionGroup) as raised, trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            (address,) = await nursery.start(server.serve)
            peer = await trio.open_tcp_stream("127.0.0.1", int(address.rpartition(":")[2]))
            await peer.send_all(request() + text(b"anything"))
    assert innermost(raised.value) == [ReadTablesRotten]
    assert [endpoint.is_closed for endpoint in endpoints] == [True]


def innermost(group: Any) -> list[type]:
    """What the group, and the groups in it, were made for."""
    if isinstance(group, BaseExceptionGroup):
        return [found for part in group.exceptions for found in innermost(part)]
    return [type(group)]
