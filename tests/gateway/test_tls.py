"""TLS: who is let in, what is renewed without a word to those who are there, and what is refused at the start."""

import errno
import gc
import hashlib
import os
import socket
import ssl
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair
from websockets.trio.client import connect

from tests.gateway.authorities import Authority
from tests.gateway.test_server import serving, until
from tests.gateway.wires import Host, closing, frame, policy, request, sent_close, sent_texts, text
from walletd.gateway.network.bounds import Bounds, Deadlines
from walletd.gateway.network.places import Caps
from walletd.gateway.network.server import GatewayServer
from walletd.gateway.network.tls import LOOK_SECONDS, CertificateFiles, Certificates, CertificateUnusable, principal_of


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def gateway(host: Host, certificates: Certificates) -> GatewayServer:
    return GatewayServer(
        "127.0.0.1",
        0,
        policy(max_message_bytes=1024 * 1024),
        Deadlines(),
        Bounds(),
        Caps(100, 100, 100),
        host.open_endpoint,
        certificates=certificates,
    )


def trusting(authority: Authority, certificate: Path | None = None) -> ssl.SSLContext:
    """A client's context."""
    context = ssl.create_default_context(cafile=authority.file)
    if certificate is not None:
        context.load_cert_chain(certificate)
    return context


@asynccontextmanager
async def connection(address: str, context: ssl.SSLContext) -> AsyncIterator[trio.SSLStream[trio.SocketStream]]:
    """A raw connection under TLS."""
    port = int(address.rpartition(":")[2])
    stream = await trio.open_ssl_over_tcp_stream("127.0.0.1", port, ssl_context=context, https_compatible=True)
    async with stream:
        await stream.do_handshake()
        yield stream


def serial(stream: trio.SSLStream[trio.SocketStream]) -> str:
    return str(stream.getpeercert()["serialNumber"])


# --- the socket ----------------------------------------------------------------------------------------------------


async def test_a_client_is_served_under_tls_and_big_messages_go_both_ways(authority: Authority) -> None:
    host = Host()
    certificates = Certificates(CertificateFiles(authority.sign("server", "127.0.0.1")))
    async with serving(gateway(host, certificates)) as address:
        async with connect(f"wss://{address}/", ssl=trusting(authority)) as client:
            assert await client.recv() == "hello"
            for size in (1, 20_000, 900_000):
                await client.send("x" * size)
                assert await client.recv() == "x" * size
        await until(lambda: bool(host.endpoint.noted) and host.endpoint.noted[-1] == 1000)
        assert host.endpoint.connection.certified is None


@pytest.mark.parametrize(
    "said", [b"", request(), b"\x16\x03\x01garbage" * 50], ids=["nothing", "plain HTTP", "garbage"]
)
async def test_who_does_not_speak_tls_is_cut_off_and_counted(authority: Authority, said: bytes) -> None:
    server = gateway(Host(), Certificates(CertificateFiles(authority.sign("server", "127.0.0.1"))))
    async with serving(server) as address:
        peer = await trio.open_tcp_stream("127.0.0.1", int(address.rpartition(":")[2]))
        if said:
            await peer.send_all(said)
        await peer.send_eof()
        await until(lambda: server.traffic.accepted == 1 and len(server) == 0)
        assert server.traffic.refused["tls"] == 1
        async with connect(f"wss://{address}/", ssl=trusting(authority)) as client:
            assert await client.recv() == "hello"


async def test_a_slow_handshake_of_tls_is_cut_off_like_any_other(
    authority: Authority, autojump_clock: MockClock
) -> None:
    host = Host()
    server = gateway(host, Certificates(CertificateFiles(authority.sign("server", "127.0.0.1"))))
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve)
        peer, ours = memory_stream_pair()
        assert server._certificates is not None
        nursery.start_soon(server.serve_stream, server._certificates.secure(ours))
        await peer.send_all(b"\x16\x03\x01\x02\x00\x01")
        assert await peer.receive_some() == b""
        assert trio.current_time() == pytest.approx(autojump_clock.current_time())
        assert 10 <= trio.current_time() <= 12
        assert server.traffic.refused["handshake_timeout"] == 1
        nursery.cancel_scope.cancel()


async def test_the_last_words_are_read_although_the_client_goes_on_sending(authority: Authority) -> None:
    host = Host()
    certificates = Certificates(CertificateFiles(authority.sign("server", "127.0.0.1")))
    async with serving(gateway(host, certificates)) as address:
        async with connection(address, trusting(authority)) as stream:
            await stream.send_all(request())
            await stream.send_all(frame(2, b"binary") + text(b"x" * 1000) * 3000)  # type: ignore[arg-type]
            received = b""
            while data := await stream.receive_some():
                received += data
        assert sent_close(received.partition(b"\r\n\r\n")[2]) == 1003


async def test_a_polite_end_is_a_polite_end(authority: Authority) -> None:
    host = Host()
    certificates = Certificates(CertificateFiles(authority.sign("server", "127.0.0.1")))
    server = gateway(host, certificates)
    async with serving(server) as address:
        async with connection(address, trusting(authority)) as stream:
            await stream.send_all(request())
            received = b""
            while not received.endswith(b"hello"):
                received += await stream.receive_some()
            await stream.send_all(text(b"one"))
            while not received.endswith(b"one"):
                received += await stream.receive_some()
            await stream.send_all(closing(1000))
            while data := await stream.receive_some():
                received += data
        rest = received.partition(b"\r\n\r\n")[2]
        assert sent_texts(rest) == [b"hello", b"one"]
        assert sent_close(rest) == 1000
        await until(lambda: len(server) == 0)
        assert server.traffic.closes == {1000: 1}


# --- renewal -------------------------------------------------------------------------------------------------------


async def test_a_new_certificate_is_for_new_connections_and_drops_none(authority: Authority, tmp_path: Path) -> None:
    host = Host()
    file = authority.sign("server", "127.0.0.1")
    certificates = Certificates(CertificateFiles(file))
    async with serving(gateway(host, certificates)) as address, connection(address, trusting(authority)) as before:
        await before.send_all(request())
        assert b"101" in await before.receive_some()
        authority.sign("new", "127.0.0.1").replace(file)
        assert certificates.refresh()
        async with connection(address, trusting(authority)) as after:
            assert serial(after) != serial(before)
        await before.send_all(text(b"still here"))
        received = b""
        while b"still here" not in received:
            received += await before.receive_some()
    assert (certificates.loaded, certificates.refused) == (2, 0)


async def test_a_key_whose_permissions_are_put_right_is_taken_up(
    authority: Authority, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else of the file changes; a test may run as root, to whom nothing is closed."""
    file = authority.sign("server", "127.0.0.1")
    certificates = Certificates(CertificateFiles(file))
    plain = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        if not path.stat().st_mode & stat.S_IRUSR:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return plain(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(certificates.watch)
        renewed = authority.sign("new", "127.0.0.1")
        renewed.chmod(0)
        renewed.replace(file)
        await trio.sleep(10 * LOOK_SECONDS)
        assert (certificates.loaded, certificates.refused) == (1, 1)
        file.chmod(0o600)
        await trio.sleep(2 * LOOK_SECONDS)
        assert (certificates.loaded, certificates.refused) == (2, 1)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("way", ["closed by the peer", "dropped", "cut off in the handshake"])
async def test_a_connection_that_is_over_is_freed_at_once_and_not_by_a_search_for_cycles(
    authority: Authority, way: str
) -> None:
    server = gateway(Host(), Certificates(CertificateFiles(authority.sign("server", "127.0.0.1"))))
    context = trusting(authority)
    async with serving(server) as address:
        await _one_connection(address, context, way)
        await until(lambda: len(server) == 0)
        gc.collect()
        before = _of_tls()
        gc.disable()
        try:
            for number in range(10):
                await _one_connection(address, context, way)
                await until(partial(has_served, server, 2 + number))
            await trio.testing.wait_all_tasks_blocked()
            assert len(_of_tls()) == len(before) == 0, "each keeps its buffers"
        finally:
            gc.enable()


def has_served(server: GatewayServer, number: int) -> bool:
    return server.traffic.accepted == number and len(server) == 0


async def _one_connection(address: str, context: ssl.SSLContext, way: str) -> None:
    if way == "cut off in the handshake":
        async with await trio.open_tcp_stream("127.0.0.1", int(address.rpartition(":")[2])) as peer:
            await peer.send_all(b"\x16\x03\x01garbage" * 50)
        return
    loop = trio.lowlevel.current_trio_token()
    assert loop is not None

    def speak() -> None:
        """By a thread's blocking socket, which leaves no cycle of its own."""
        host, _, port = address.rpartition(":")
        with (
            socket.create_connection((host, int(port)), timeout=60) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as peer,
        ):
            peer.sendall(request())
            assert peer.recv(65536)
            if way == "closed by the peer":
                with suppress(OSError):
                    peer.unwrap()

    await trio.to_thread.run_sync(speak)


def _of_tls() -> list[object]:
    """The server's streams and OpenSSL's objects, as far as they are there still."""
    return [each for each in gc.get_objects() if isinstance(each, ssl.SSLObject | trio.SSLStream)]


async def test_files_that_change_are_taken_up_by_themselves(authority: Authority, autojump_clock: MockClock) -> None:
    file = authority.sign("server", "127.0.0.1")
    certificates = Certificates(CertificateFiles(file))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(certificates.watch)
        await trio.sleep(10 * LOOK_SECONDS)
        assert certificates.loaded == 1, "what has not changed is not read again"
        authority.sign("new", "127.0.0.1").replace(file)
        await trio.sleep(2 * LOOK_SECONDS)
        assert certificates.loaded == 2
        file.write_text("half a certif")
        await trio.sleep(10 * LOOK_SECONDS)
        assert (certificates.loaded, certificates.refused) == (2, 1), "one change is complained of once"
        authority.sign("better", "127.0.0.1").replace(file)
        await trio.sleep(2 * LOOK_SECONDS)
        assert (certificates.loaded, certificates.refused) == (3, 1)
        nursery.cancel_scope.cancel()


def spoil_by_removal(file: Path, authority: Authority) -> None:
    file.unlink()


def spoil_by_garbage(file: Path, authority: Authority) -> None:
    file.write_text("-----BEGIN CERTIFICATE-----\nnot base64\n-----END CERTIFICATE-----\n")


def spoil_by_another_key(file: Path, authority: Authority) -> None:
    other = authority.sign("other", "127.0.0.1").read_text()
    key = other[: other.index("-----BEGIN CERTIFICATE")]
    file.write_text(key + file.read_text()[file.read_text().index("-----BEGIN CERTIFICATE") :])


def spoil_by_age(file: Path, authority: Authority) -> None:
    authority.sign("old", "127.0.0.1", not_after=datetime.now(UTC) - timedelta(days=1)).replace(file)


SPOILT = [
    (spoil_by_removal, "No such file"),
    (spoil_by_garbage, "cannot be used"),
    (spoil_by_another_key, "the key belongs to another certificate"),
    (spoil_by_age, "is not valid now"),
]


@pytest.mark.parametrize(("spoil", "why"), SPOILT)
async def test_a_bad_new_certificate_keeps_the_old_one_and_says_so(
    spoil: object, why: str, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    host = Host()
    file = authority.sign("server", "127.0.0.1")
    certificates = Certificates(CertificateFiles(file))
    async with serving(gateway(host, certificates)) as address:
        async with connection(address, trusting(authority)) as stream:
            first = serial(stream)
        spoil(file, authority)  # type: ignore[operator]
        assert not certificates.refresh()
        assert why in caplog.text
        assert "keeping the previous certificate" in caplog.text
        async with connection(address, trusting(authority)) as stream:
            assert serial(stream) == first
    assert (certificates.loaded, certificates.refused) == (1, 1)


# --- at the start --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("spoil", "why"), SPOILT[:3])
def test_a_certificate_that_cannot_be_used_is_refused_at_the_start(
    spoil: object, why: str, authority: Authority
) -> None:
    file = authority.sign("server", "127.0.0.1")
    spoil(file, authority)  # type: ignore[operator]
    with pytest.raises(CertificateUnusable, match=why):
        Certificates(CertificateFiles(file))


def test_an_expired_certificate_is_served_at_the_start_with_a_warning(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    file = authority.sign("server", "127.0.0.1", not_after=datetime.now(UTC) - timedelta(days=1))
    certificates = Certificates(CertificateFiles(file))
    assert certificates.expires_at is None
    assert "is not valid at present" in caplog.text
    authority.sign("new", "127.0.0.1").replace(file)
    assert certificates.refresh()
    assert certificates.expires_at is not None


def test_the_moment_of_expiry_is_known(authority: Authority) -> None:
    end = datetime(2100, 5, 6, 7, 8, 9, tzinfo=UTC)
    certificates = Certificates(CertificateFiles(authority.sign("server", "127.0.0.1", not_after=end)))
    assert certificates.expires_at == end.timestamp()


def test_a_key_with_a_password_is_refused_and_nobody_is_asked(authority: Authority, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    plain = authority.sign("server", "127.0.0.1")
    key = serialization.load_pem_private_key(plain.read_bytes(), None)
    locked = tmp_path / "locked.pem"
    encryption = serialization.BestAvailableEncryption(b"secret")
    locked.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, encryption)
    )
    with pytest.raises(CertificateUnusable, match="encrypted with a password"):
        Certificates(CertificateFiles(plain, locked))


def test_the_key_may_have_a_file_of_its_own(authority: Authority, tmp_path: Path) -> None:
    both = authority.sign("server", "127.0.0.1").read_text()
    at = both.index("-----BEGIN CERTIFICATE")
    (tmp_path / "key.pem").write_text(both[:at])
    (tmp_path / "chain.pem").write_text(both[at:])
    files = CertificateFiles(tmp_path / "chain.pem", tmp_path / "key.pem")
    assert Certificates(files).expires_at is not None
    (tmp_path / "key.pem").unlink()
    with pytest.raises(CertificateUnusable, match=r"cannot read the key .*key\.pem: No such file"):
        Certificates(files)


def test_an_authority_that_is_none_is_refused(authority: Authority, tmp_path: Path) -> None:
    server = authority.sign("server", "127.0.0.1")
    (tmp_path / "empty.pem").write_text("nothing")
    with pytest.raises(CertificateUnusable, match="contains no certificate of an authority"):
        Certificates(CertificateFiles(server, None, tmp_path / "empty.pem"))


# --- certificates of clients ---------------------------------------------------------------------------------------

PRINCIPALS = {"dns:till-7.shop.example": "till-7", "cn:back office": "office", "uri:spiffe://shop/pay": "pay"}


@pytest.mark.parametrize(
    ("names", "words", "principal"),
    [
        (("till-7.shop.example",), {}, "till-7"),
        (("x.example",), {"common_name": "back office"}, "office"),
        (("till-7.shop.example",), {"common_name": "back office"}, "till-7"),
        (("TILL-8.shop.example",), {}, None),
        (("x.example",), {"common_name": "till-7.shop.example"}, None),
    ],
)
async def test_a_certificate_of_a_client_stands_for_a_principal(
    names: tuple[str, ...], words: dict[str, str], principal: str | None, tmp_path: Path
) -> None:
    servers, clients = Authority(tmp_path, "servers"), Authority(tmp_path, "clients")
    host = Host()
    files = CertificateFiles(servers.sign("server", "127.0.0.1"), None, clients.file)
    async with serving(gateway(host, Certificates(files, PRINCIPALS))) as address:
        mine = clients.sign("mine", *names, **words)
        async with connect(f"wss://{address}/", ssl=trusting(servers, mine)) as client:
            assert await client.recv() == "hello"
            assert host.endpoint.connection.certified == principal
            der = ssl.PEM_cert_to_DER_cert(mine.read_text()[mine.read_text().index("-----BEGIN CERT") :])
            assert host.endpoint.connection.fingerprint == hashlib.sha256(der).hexdigest()


async def test_a_certificate_of_another_authority_is_not_let_in_and_none_at_all_is(tmp_path: Path) -> None:
    servers, clients, strangers = (Authority(tmp_path, name) for name in ("servers", "clients", "strangers"))
    host = Host()
    files = CertificateFiles(servers.sign("server", "127.0.0.1"), None, clients.file)
    server = gateway(host, Certificates(files, PRINCIPALS))
    async with serving(server) as address:
        forged = strangers.sign("forged", "till-7.shop.example", common_name="back office")
        with pytest.raises((trio.BrokenResourceError, ssl.SSLError)):
            async with connection(address, trusting(servers, forged)) as stream:
                await stream.send_all(request())
                await stream.receive_some()
        await until(lambda: server.traffic.refused["tls"] == 1)
        assert host.endpoints == []
        async with connect(f"wss://{address}/", ssl=trusting(servers)) as client:
            assert await client.recv() == "hello"
        assert host.endpoint.connection.certified is None


def test_every_kind_of_name_can_stand_for_a_principal() -> None:
    certificate = {
        "subject": ((("organizationName", "Shop"),), (("commonName", "back office"),)),
        "subjectAltName": (
            ("DNS", "a.example"),
            ("email", "a@b.example"),
            ("URI", "urn:x"),
            ("IP Address", "10.0.0.1"),
        ),
    }
    for name in ("cn:back office", "dns:a.example", "email:a@b.example", "uri:urn:x", "ip:10.0.0.1"):
        assert principal_of(certificate, {"cn:nobody": "no", name: "yes"}) == "yes"
    assert principal_of(certificate, {"cn:a.example": "no", "dns:back office": "no", "cn:Shop": "no"}) is None
    assert principal_of({}, PRINCIPALS) is None
