"""Connections under TLS that end leave nothing behind."""

import gc
import ssl
import tracemalloc
from pathlib import Path

import trio
import trio.testing

from tests.gateway.authorities import Authority
from tests.gateway.test_server import serving, until
from tests.gateway.test_tls import gateway
from tests.gateway.wires import Host, request
from walletd.gateway.network.tls import CertificateFiles, Certificates

CONNECTIONS = 60
MOST_BYTES = 300 * 1024
"""Of Python's memory, both ends together; OpenSSL's own is not seen here."""


async def test_connections_under_tls_are_let_go_of_when_they_end(tmp_path: Path) -> None:
    authority, host = Authority(tmp_path), Host()
    server = gateway(host, Certificates(CertificateFiles(authority.sign("server", "127.0.0.1"))))
    context = ssl.create_default_context(cafile=authority.file)
    async with serving(server) as address:
        port = int(address.rpartition(":")[2])
        sizes = []
        tracemalloc.start()
        try:
            for number in range(CONNECTIONS):
                stream = await trio.open_ssl_over_tcp_stream(
                    "127.0.0.1", port, ssl_context=context, https_compatible=True
                )
                await stream.send_all(request())
                assert b" 101 " in await stream.receive_some()
                await trio.aclose_forcefully(stream)
                del stream
                await until(lambda: len(server) == 0)
                host.endpoints.clear()
                if number % 20 == 19:
                    gc.collect()
                    sizes.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
    assert sizes[-1] - sizes[0] < MOST_BYTES, sizes
