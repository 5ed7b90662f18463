"""TLS: the current certificate, clients' certificates, and a stream whose end lets the peer read its last bytes.

    certificates = Certificates(CertificateFiles(certificate, key, client_authority), principals)
    stream = certificates.secure(stream)               # as of now; the handshake is the connection's first step
    certificates.refresh()                             # the files may have changed
    nursery.start_soon(certificates.watch)

A connection keeps the certificate that it began with.  If new files cannot be used, the previous certificate stays.
"""

import logging
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import trio

LOOK_SECONDS = 5.0
"""The interval at which the files are checked: a renewal of certificates need not notify the daemon."""

NAME_KINDS = {"DNS": "dns", "email": "email", "URI": "uri", "IP Address": "ip"}
"""Python's words for the names in a certificate, and the configuration's; the subject's common name is ``cn``."""

_EXPIRED = 10
"""OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED."""

log = logging.getLogger(__name__)


class CertificateUnusable(Exception):
    """A certificate, a key or an authority cannot be used; the message says which file, why, and what to do."""


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """PEM files: the chain, its key (None: in the same file), and the authority of clients' certificates (None: no
    such).
    """

    certificate: Path
    key: Path | None = None
    client_authority: Path | None = None

    def stamps(self) -> tuple[tuple[int, ...] | None, ...]:
        """Values that change when a file is written or replaced, or when its owner or permissions change."""
        return tuple(_stamp(file) for file in (self.certificate, self.key, self.client_authority) if file is not None)


class Certificates:
    """The certificates for new connections.  ``principals``: from a name, as ``cn:till-7``, to a principal.

    Raises CertificateUnusable.
    """

    def __init__(self, files: CertificateFiles, principals: Mapping[str, str] = {}) -> None:
        self._files = files
        self._principals = dict(principals)
        self._stamps = files.stamps()
        self._context = load(files)
        self.expires_at = expiry(self._context, files.certificate)
        """Seconds since 1970; None if the certificate has expired or has no expiry."""
        self.loaded = 1
        self.refused = 0
        if self.expires_at is None:
            log.warning("the certificate %s is not valid at present; clients will reject it", files.certificate)

    def secure(self, stream: trio.abc.HalfCloseableStream) -> "SecureStream":
        """The stream under TLS, with the current certificate."""
        return SecureStream(stream, self._context, self._principals)

    async def watch(self) -> None:
        """Load changed files automatically, until cancelled."""
        while True:
            await trio.sleep(LOOK_SECONDS)
            if self._files.stamps() != self._stamps:
                self.refresh()

    def refresh(self) -> bool:
        """Read the files again; returns whether their contents are in use now.  If not, the previous certificate stays,
        and a line in the log says why.
        """
        self._stamps = self._files.stamps()
        try:
            context = load(self._files)
            expires_at = expiry(context, self._files.certificate)
            if expires_at is None and self.expires_at is not None:
                raise CertificateUnusable(f"the certificate {self._files.certificate} is not valid now")
        except CertificateUnusable as error:
            self.refused += 1
            log.error("keeping the previous certificate: %s", error)
            return False
        self._context, self.expires_at = context, expires_at
        self.loaded += 1
        log.info("new connections use the certificate %s", self._files.certificate)
        return True


class SecureStream(trio.abc.HalfCloseableStream):
    """A server's TLS over a stream with two halves.

    Its end is close_notify and the end of our half.  Later bytes of the peer are read and not decrypted: a socket that
    is closed with unread bytes resets the connection, and the peer might lose our last bytes.
    """

    def __init__(
        self, stream: trio.abc.HalfCloseableStream, context: ssl.SSLContext, principals: Mapping[str, str]
    ) -> None:
        self._stream = stream
        self._secured: trio.SSLStream[_Kept] | None = trio.SSLStream(_Kept(stream), context, server_side=True)
        self._principals = principals
        self._is_ended = False
        self.principal: str | None = None
        """The principal of the client's certificate, after the handshake."""
        self.fingerprint = ""
        """The SHA-256 of that certificate, in hexadecimal."""

    async def shake_hands(self) -> None:
        """The TLS handshake.  Raises trio.BrokenResourceError if the peer has no TLS or a bad certificate."""
        tls = self._tls
        try:
            await tls.do_handshake()
        finally:
            _break_cycle(tls)
        certificate = tls.getpeercert()
        if certificate:
            self.principal = principal_of(certificate, self._principals)
            self.fingerprint = sha256(tls.getpeercert(binary_form=True) or b"").hexdigest()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send."""
        await self._tls.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the network accepts something."""
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """The next bytes; after our own end they are not decrypted."""
        if not self._is_ended:
            try:
                return await self._tls.receive_some(max_bytes)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                if not self._is_ended:
                    raise
        return await self._stream.receive_some(max_bytes)

    async def send_eof(self) -> None:
        """Signal the end of the data."""
        self._is_ended = True
        with suppress(trio.BrokenResourceError, trio.BusyResourceError, trio.ClosedResourceError):
            await self._tls.aclose()
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """Close at once, and release the memory of OpenSSL, although this stream may still be referenced."""
        if self._secured is not None:
            _break_cycle(self._secured)
            self._secured = None
        await self._stream.aclose()

    @property
    def _tls(self) -> "trio.SSLStream[_Kept]":
        if self._secured is None:
            raise trio.ClosedResourceError("the stream was closed")
        return self._secured


def _break_cycle(tls: Any) -> None:
    """Have the stream freed with its last reference, and not by the next search for cycles: OpenSSL keeps 50 KiB for
    each.

    trio's stream keeps its own method for a handshake that begins at most once.  In a trio without that, there is no
    such cycle, and nothing to do.
    """
    once: Any = getattr(tls, "_handshook", None)
    if hasattr(once, "_afn"):
        once._afn = _closed


async def _closed() -> None:
    raise trio.ClosedResourceError("the stream was closed")


class _Kept(trio.abc.Stream):
    """A stream that stays open when the TLS over it is closed."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


def principal_of(certificate: Mapping[str, Any], principals: Mapping[str, str]) -> str | None:
    """The principal of a certificate, as ``getpeercert`` returns it: that of the first row of the table whose name it
    bears.
    """
    names = {f"{NAME_KINDS[kind]}:{name}" for kind, name in certificate.get("subjectAltName", ()) if kind in NAME_KINDS}
    for part in certificate.get("subject", ()):
        names.update(f"cn:{value}" for kind, value in part if kind == "commonName")
    return next((principal for name, principal in principals.items() if name in names), None)


def load(files: CertificateFiles) -> ssl.SSLContext:
    """A context with the present contents of the files.  Raises CertificateUnusable."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.num_tickets = 0  # Sessions are long: nothing is gained, and a client that never reads costs less.
    context.set_alpn_protocols(["http/1.1"])
    _readable(files.certificate, "certificate")
    if files.key is not None:
        _readable(files.key, "key")
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_password)
    except ssl.SSLError as error:
        why = _REASONS.get(error.reason or "", error.reason or str(error))
        raise CertificateUnusable(f"the certificate {files.certificate} and its key cannot be used: {why}") from error
    if files.client_authority is not None:
        _trust(context, files.client_authority)
    return context


def expiry(context: ssl.SSLContext, certificate: Path) -> float | None:
    """The certificate's expiry, by a handshake in memory in which it is its own authority; None: not valid now.

    Raises CertificateUnusable if no handshake is possible at all.
    """
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.load_verify_locations(certificate)
    trusting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client, server = trusting.wrap_bio(down, up), context.wrap_bio(up, down, server_side=True)
    try:
        for side in (client, server, client, server):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
        return float(ssl.cert_time_to_seconds(str((client.getpeercert() or {})["notAfter"])))
    except ssl.SSLCertVerificationError as error:
        if error.verify_code == _EXPIRED:
            return None
        raise CertificateUnusable(
            f"the certificate {certificate} is not a server certificate: {error.verify_message}"
        ) from error
    except ssl.SSLError as error:
        raise CertificateUnusable(f"the certificate {certificate} cannot be used: {error.reason or error}") from error


def _trust(context: ssl.SSLContext, authority: Path) -> None:
    _readable(authority, "authority of client certificates")
    try:
        context.load_verify_locations(authority)
    except ssl.SSLError as error:
        raise CertificateUnusable(f"{authority} contains no certificate of an authority: {error.reason}") from error
    context.verify_mode = ssl.CERT_OPTIONAL


def _readable(file: Path, what: str) -> None:
    try:
        file.read_bytes()
    except OSError as error:
        raise CertificateUnusable(f"cannot read the {what} {file}: {error.strerror}") from error


def _no_password() -> str:
    """OpenSSL would ask on the terminal, and a daemon would wait without end."""
    raise CertificateUnusable("the key is encrypted with a password; store it without one, readable by walletd alone")


def _stamp(file: Path) -> tuple[int, ...] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


_REASONS = {
    "KEY_VALUES_MISMATCH": "the key belongs to another certificate",
    "NO_START_LINE": "it contains no PEM block",
    "PEM_LIB": "one of the two is not a PEM file, or they are mixed up",
    "EE_KEY_TOO_SMALL": "the key is too small to be secure",
}
