"""What an idle connection weighs: nearly all connections of a wallet backend are idle nearly all the time."""

import gc
import socket
import tracemalloc

import trio
import trio.testing

from tests.gateway.test_server import gateway, serving, until
from tests.gateway.wires import Host, request
from walletd.gateway.network.places import Caps

CONNECTIONS = 200
MOST_BYTES = 12 * 1024


async def test_an_idle_connection_weighs_at_most_12_kibibytes() -> None:
    host = Host()
    server = gateway(host, Caps(1000, 1000, 1000))
    async with serving(server) as address:
        name, _, port = address.rpartition(":")
        clients = [socket.socket() for _ in range(CONNECTIONS)]
        await knock(clients[:10], name, int(port), host)
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            await knock(clients[10:], name, int(port), host)
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        weight = (after - before) / (CONNECTIONS - 10)
        assert 2000 < weight < MOST_BYTES, weight
        for client in clients:
            client.close()
        await until(lambda: len(server) == 0)


async def knock(clients: list[socket.socket], name: str, port: int, host: Host) -> None:
    expected = len(host.endpoints) + len(clients)
    for client in clients:
        client.connect((name, port))
        client.sendall(request())
    await until(lambda: len(host.endpoints) == expected)
    await trio.testing.wait_all_tasks_blocked(0.01)
