"""The options of every client command: where the daemon is, which token to use, and how to answer.

    return talk(connection, action)         # action(client, output) -> exit code

A flag overrides the environment, and the environment overrides the default.
"""

import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Optional

from cyclopts import Parameter

from walletd.cli.defaults import (
    CA_VARIABLE,
    CREDENTIAL_NAME,
    CREDENTIALS_VARIABLE,
    DEFAULT_SOCKET,
    DEFAULT_TOKEN_FILE,
    DEFAULT_URL,
    PLAIN_TEXT_VARIABLE,
    SERVICE_SOCKET,
    SERVICE_TOKEN_FILE,
    TOKEN_FILE_VARIABLE,
    TOKEN_VARIABLE,
    URL_VARIABLE,
)
from walletd.cli.failures import Message, told
from walletd.cli.groups import COMMON
from walletd.cli.lines import say
from walletd.cli.output import Output
from walletd.cli.peers import ROOT_USER, refuse_plain_text, vetted
from walletd.client import AuthenticationFailed, ClientError, NotReachable, RequestFailed
from walletd.client.blocking_client import BlockingClient, completed, connect_blocking
from walletd.client.nodes import addresses_in
from walletd.client.opening import Peer, Vet
from walletd.client.reads import Reads

if TYPE_CHECKING:
    import ssl

Action = Callable[[BlockingClient, Output], Coroutine[Any, Any, int]]

CommandId = Annotated[str | None, Parameter(name="--command-id")]
"""The same id sent again returns the first answer; without one, a fresh id is made."""


STANDARD_INPUT = "-"


class Secret(NamedTuple):
    """A token, and the owner of the file that it came from."""

    token: str
    owner: int | None = None


@Parameter(name="*")
@dataclass(frozen=True)
class Connection:
    """Where the daemon is, which token to use, and how to answer."""

    url: Annotated[str | None, Parameter(group=COMMON)] = None
    """The daemon's address, unix:/path, wss:// or ws://, or those of a ledger's nodes with commas; default WALLETD_URL,
    then the unix socket of a daemon started here or of the systemd service, then ws://127.0.0.1:7878.
    """

    token: Annotated[str | None, Parameter(group=COMMON)] = None
    """The token, which every user of this machine can read among your arguments; prefer --token-file."""

    token_file: Annotated[Path | None, Parameter(group=COMMON, allow_leading_hyphen=True)] = None
    """A file with the token, - for standard input; default WALLETD_TOKEN_FILE, then var/operator.token, then that of
    the systemd service.
    """

    plain_text: Annotated[bool, Parameter(negative="", show_default=False, group=COMMON)] = False
    """Send the token over ws:// to another machine, or to a program of another user; default WALLETD_PLAIN_TEXT."""

    ca: Annotated[Path | None, Parameter(group=COMMON)] = None
    """The authority of the daemon's certificate, as a PEM file; default WALLETD_CA, then the machine's authorities."""

    certificate: Annotated[Path | None, Parameter(group=COMMON)] = None
    """A certificate to present instead of a token, as a PEM file."""

    key: Annotated[Path | None, Parameter(group=COMMON)] = None
    """The certificate's key, if it is in another file."""

    as_json: Annotated[bool, Parameter(name="--json", negative="", show_default=False, group=COMMON)] = False
    """Answer with one JSON document, for scripts."""

    def address(self) -> str:
        """The daemon's address."""
        return self.url or os.environ.get(URL_VARIABLE) or _default_address()

    def vet(self, secret: Secret | None) -> Vet:
        """The check of the program that would be told the token.  Raises NotTold if a network would see it."""
        if secret is None or self.plain_text or os.environ.get(PLAIN_TEXT_VARIABLE, "").lower() in ("true", "1"):
            return told_nothing
        for address in addresses_in(self.address()):
            refuse_plain_text(address)
        return vetted(self.address(), secret.owner)

    def tls(self) -> Optional["ssl.SSLContext"]:
        """The authority to trust and the certificate to present; None if neither was given.  Raises NotReachable."""
        authority = self.ca or os.environ.get(CA_VARIABLE) or None
        if authority is None and self.certificate is None:
            return None
        import ssl  # A daemon of this machine needs none.

        try:
            context = ssl.create_default_context(cafile=authority)
        except OSError as error:
            raise NotReachable(f"cannot read the authority {authority}: {error.strerror}") from None
        if self.certificate is not None:
            try:
                context.load_cert_chain(self.certificate, self.key)
            except OSError as error:
                raise NotReachable(f"cannot use the certificate {self.certificate}: {error.strerror}") from None
        return context

    def options(self) -> dict[str, Any]:
        """The token, the authority and the check for ``connect``.  Raises like ``secret``, ``tls`` and ``vet``."""
        secret = self.secret()
        token = None if secret is None else secret.token
        return {"token": token, "tls": self.tls(), "vet": self.vet(secret)}

    def connected(self, **more: Any) -> AbstractContextManager[BlockingClient]:
        """A client of the daemon.  Raises like ``options``; entering it like ``connect``."""
        return connect_blocking(self.address(), **self.options(), **more)

    def secret(self) -> Secret | None:
        """The token; None if a certificate is presented, or nothing was given.  Raises AuthenticationFailed."""
        if self.token is not None:
            return Secret(self.token)
        if self.token_file is not None:
            return _token_in(self.token_file)
        if token := os.environ.get(TOKEN_VARIABLE):
            return Secret(token)
        if named := os.environ.get(TOKEN_FILE_VARIABLE):
            return _token_in(Path(named))
        if self.certificate is not None:
            return None
        for file in _default_token_files():
            if _is_there(file):
                return _token_in(file, is_here=file == DEFAULT_TOKEN_FILE)
        return None


DEFAULT = Connection()
"""The defaults."""


def talk(connection: Connection, action: Action) -> int:
    """Run an action on a connected client and return its exit code; a failure prints one line."""

    def act(output: Output) -> int:
        with connection.connected() as client:
            return completed(acted(client, output, lambda: action(client, output)))

    return reported(connection, act)


def reported(connection: Connection, act: Callable[[Output], int]) -> int:
    """The exit code of what is done; a failure prints one line."""
    output = Output(connection.as_json)
    try:
        return act(output)
    except ClientError as error:
        return tell(told(error, address=connection.address()), output)


async def acted(client: Reads, output: Output, act: Callable[[], Awaitable[int]]) -> int:
    """The exit code of what is done with this client; a refusal is shown with its amounts in main units."""
    try:
        if output.as_json:
            output.scales = await scales_of(client)
        return await act()
    except RequestFailed as error:
        return tell(told(error, await scales_of(client)), output)


def tell(failure: Message, output: Output) -> int:
    """Report the failure, to people on stderr and to scripts as JSON, and return the exit code."""
    if output.as_json:
        output.document({"error": failure.document})
    say(f"walletd: {failure.sentence}")
    return failure.exit_code


async def scales_of(client: Reads) -> dict[str, int]:
    """The assets' scales, which show a refusal's amounts in main units; empty if they cannot be fetched."""
    try:
        return await client.assets()
    except ClientError:
        return {}


def _default_token_files() -> list[Path]:
    """The tokens of a daemon started here, of the unit that this command runs in, and of the systemd service."""
    credentials = os.environ.get(CREDENTIALS_VARIABLE)
    of_unit = [Path(credentials) / CREDENTIAL_NAME] if credentials else []
    return [DEFAULT_TOKEN_FILE, *of_unit, SERVICE_TOKEN_FILE]


def _is_there(file: Path) -> bool:
    """True if the file exists, readable or not: a directory without access hides a token, and the user should know."""
    try:
        return file.exists()
    except PermissionError:
        return True


def told_nothing(peer: Peer) -> None:
    """No check."""


@cache
def _standard_input() -> bytes:
    """All of it, read once for every connection."""
    return sys.stdin.buffer.read()


def _default_address() -> str:
    """The socket of a daemon started here or of the service, if there is one that this user may open.

    It stays when the daemon ends: then the command fails, and does not turn to a port that any program may have taken.
    """
    for path in (DEFAULT_SOCKET, SERVICE_SOCKET):
        if path.is_socket() and os.access(path, os.W_OK):
            return f"unix:{path}"
    return DEFAULT_URL


def _token_in(file: Path, *, is_here: bool = False) -> Secret:
    """The token in the file; one that was found here, and not named, must be ours.  Raises AuthenticationFailed."""
    try:
        if str(file) == STANDARD_INPUT:
            owner, content = None, _standard_input()
        else:
            with open(os.open(file, os.O_RDONLY | os.O_CLOEXEC | (os.O_NOFOLLOW if is_here else 0)), "rb") as opened:
                owner, content = os.fstat(opened.fileno()).st_uid, opened.read()
        token = content.decode("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise AuthenticationFailed(f"cannot read the token in {file}: {why}") from None
    if is_here and owner not in (os.geteuid(), ROOT_USER):
        raise AuthenticationFailed(f"{file} belongs to user {owner}, who may have planted it; to use it, name it")
    if not token:
        raise AuthenticationFailed(f"the token file {file} is empty")
    return Secret(token, owner)
