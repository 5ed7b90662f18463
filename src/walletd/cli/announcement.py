"""The greeting for the person who started the daemon: where it listens, where the token is, and what to try next.

Every command works as printed, in a second terminal, from the directory in which the daemon was started.
"""

import os
import shlex
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

from walletd.cli.defaults import DEFAULT_TOKEN_FILE, DEFAULT_URL
from walletd.daemon.launch import Announcement

ANY_ADDRESS = {"://0.0.0.0:": "://127.0.0.1:", "://[::]:": "://[::1]:"}


def announcement(serving: Announcement) -> str:
    """The whole greeting, on several lines."""
    token_file = serving.settings.token_file
    url = _reachable(serving.url)
    rebuilt = ", read tables rebuilt" if serving.made.tables else ""
    flags = _flags(url, token_file)
    walletd, python = _program("walletd"), _program("python")
    return "\n".join(
        [
            "",
            f"walletd {version('walletd')} is serving",
            f"  process    {os.getpid()}",
            f"  websocket  {serving.url}",
            *([f"  unix       unix:{serving.settings.socket}"] if serving.settings.socket.is_socket() else []),
            f"  token      {token_file} (readable by its owner only)",
            f"  journal    {_journal(serving)}{rebuilt}",
            *([f"  metrics    {_metrics(serving.admin_url)}"] if serving.admin_url else []),
            "",
            "Try in a second terminal:",
            f"  {walletd} asset define EUR/2{flags}",
            f"  {walletd} demo{flags}",
            f"  ({_authenticate(token_file)}; cat) | {python} -m websockets {url}",
            "",
            "Ctrl-C stops the daemon; nothing that was acknowledged is lost.",
            "",
        ]
    )


def _journal(serving: Announcement) -> str:
    """Where the journal is; a new one with its full path, since another folder may have been meant."""
    if serving.made.journal:
        return f"{serving.settings.data.absolute()}, a new one: there was none in this folder"
    return f"{serving.settings.data}, at entry {serving.head:,}"


def _authenticate(token_file: Path) -> str:
    """A shell command that prints the frame that authenticates a session; the command does not contain the token."""
    frame = '{"jsonrpc":"2.0","id":1,"method":"session.authenticate","params":{"token":"%s"}}'
    return f"printf '{frame}\\n' \"$(cat {shlex.quote(str(token_file))})\""


def _metrics(admin_url: str) -> str:
    """The address of the metrics, or the command that reads them from a unix socket."""
    if not admin_url.startswith("unix:"):
        return f"{admin_url}/metrics"
    return f"curl --unix-socket {shlex.quote(admin_url.removeprefix('unix:'))} http://localhost/metrics"


def _flags(url: str, token_file: Path) -> str:
    flags = "" if url == DEFAULT_URL else f" --url {shlex.quote(url)}"
    if token_file.resolve() != DEFAULT_TOKEN_FILE.resolve():
        flags += f" --token-file {shlex.quote(str(token_file))}"
    return flags


def _reachable(url: str) -> str:
    """The address to connect to if the daemon listens on all addresses."""
    for any_address, loopback in ANY_ADDRESS.items():
        url = url.replace(any_address, loopback)
    return url


def _program(name: str) -> str:
    """The shell word for a program of this environment: its name if the shell finds this one, otherwise its path."""
    own = Path(sys.executable).parent / name
    found = shutil.which(name)
    if not own.exists() or (found is not None and Path(found).absolute() == own.absolute()):
        return name
    try:
        return shlex.quote(str(own.relative_to(os.getcwd())))
    except ValueError:
        return shlex.quote(str(own))
