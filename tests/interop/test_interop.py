"""Clients from other projects: they connect, authenticate, pay and see the event."""

import asyncio
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import trio
from websockets.asyncio.client import connect as connect_asyncio
from websockets.sync.client import connect as connect_sync
from websockets.trio.client import connect as connect_trio
from websockets.typing import Subprotocol

from tests.daemon.process import Daemon, furnish, posted
from tests.interop import programs
from tests.interop.chromium import FLAGS

SECONDS = 60
SUBSCRIBE: tuple[str, dict[str, Any]] = ("stream.subscribe", {"wallets": ["bob"]})


class Page(ThreadingHTTPServer):
    """Serves the page, and keeps what it reports."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: queue.Queue[dict[str, Any]] = queue.Queue()
        self.origin = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Page

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write((programs.HERE / "page.html").read_bytes())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()
        self.server.seen.put(json.loads(body))

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@contextmanager
def page() -> Iterator[Page]:
    with Page() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def origin() -> Iterator[Page]:
    with page() as server:
        yield server


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, origin: Page) -> Iterator[Daemon]:
    directory = tmp_path_factory.mktemp("interop")
    (directory / "walletd.toml").write_text(f'allowed_origins = ["{origin.origin}"]\ncompression = true\n')
    with Daemon(directory / "data", "--config", str(directory / "walletd.toml")) as daemon:
        with daemon.client() as client:
            furnish(client, "alice", "bob", amount=10_000)
        yield daemon


def request(number: int, method: str, params: dict[str, Any]) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params})


def payment(command_id: str) -> dict[str, Any]:
    posting = {"from": "alice", "to": "bob", "asset": "EUR", "amount": "5"}
    return {"command_id": command_id, "postings": [posting]}


def check(received: list[Any], command_id: str) -> None:
    """hello, two replies and the event, of which the last two may come in either order."""
    messages = [json.loads(message) for message in received]
    assert all(isinstance(message, str) for message in received)
    assert messages[0]["method"] == "hello"
    assert messages[1]["result"]["mode"] == "live"
    event = next(message["params"] for message in messages if message.get("method") == "stream.event")
    assert event["entry"]["command"]["command_id"] == command_id
    (applied,) = [message["result"] for message in messages if message.get("id") == 2]
    assert applied["sequence"] == event["sequence"]


# --- Python: the package websockets --------------------------------------------------------------------------------


def options(daemon: Daemon, compression: str | None) -> dict[str, Any]:
    return {
        "subprotocols": [Subprotocol("walletd.v1")],
        "additional_headers": {"Authorization": f"Bearer {daemon.token}"},
        "compression": compression,
    }


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_websockets_sync(daemon: Daemon, compression: str | None) -> None:
    command_id = f"sync-{compression}"
    with connect_sync(daemon.url, **options(daemon, compression)) as socket:
        received = [socket.recv(timeout=SECONDS)]
        socket.send(request(1, *SUBSCRIBE))
        received.append(socket.recv(timeout=SECONDS))
        paying = request(2, "transfer.post", payment(command_id))
        socket.send([paying[:30], paying[30:]])
        received += [socket.recv(timeout=SECONDS), socket.recv(timeout=SECONDS)]
        assert socket.subprotocol == "walletd.v1"
        assert len(socket.protocol.extensions) == (compression is not None)
    check(received, command_id)


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_websockets_asyncio(daemon: Daemon, compression: str | None) -> None:
    command_id = f"asyncio-{compression}"

    async def main() -> list[Any]:
        async with asyncio.timeout(SECONDS), connect_asyncio(daemon.url, **options(daemon, compression)) as socket:
            received = [await socket.recv()]
            await socket.send(request(1, *SUBSCRIBE))
            received.append(await socket.recv())
            await socket.send(request(2, "transfer.post", payment(command_id)))
            await (await socket.ping())
            return [*received, await socket.recv(), await socket.recv()]

    check(asyncio.run(main()), command_id)


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_websockets_trio(daemon: Daemon, compression: str | None) -> None:
    command_id = f"trio-{compression}"
    with trio.fail_after(SECONDS):
        async with connect_trio(daemon.url, **options(daemon, compression)) as socket:
            received = [await socket.recv()]
            await socket.send(request(1, *SUBSCRIBE))
            received.append(await socket.recv())
            await socket.send(request(2, "transfer.post", payment(command_id)))
            received += [await socket.recv(), await socket.recv()]
    check(received, command_id)


@contextmanager
def typing(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A program with a user at its terminal; ended by its process id."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True) as terminal:
        try:
            yield terminal
        finally:
            terminal.kill()


def type_line(terminal: subprocess.Popen[str], line: str) -> None:
    assert terminal.stdin is not None
    terminal.stdin.write(f"{line}\n")
    terminal.stdin.flush()


def read_until(terminal: subprocess.Popen[str], wanted: str) -> str:
    """What it printed up to the line with this."""
    assert terminal.stdout is not None
    printed = ""
    while wanted not in printed:
        line = terminal.stdout.readline()
        assert line, printed
        printed += line
    return printed


def test_python_m_websockets(daemon: Daemon) -> None:
    """What the README says: type requests into ``python -m websockets``."""
    authenticate = request(1, "session.authenticate", {"token": daemon.token})
    with typing([sys.executable, "-m", "websockets", daemon.url]) as terminal:
        type_line(terminal, authenticate)
        assert '"method":"hello"' in read_until(terminal, '"principal":"operator"')


# --- npm: ws and wscat ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", ["plain", "compress"])
@pytest.mark.parametrize("carrier", ["header", "subprotocol", "method"])
def test_ws(daemon: Daemon, carrier: str, compression: str) -> None:
    command = [programs.node(), str(programs.HERE / "client.js"), daemon.url, carrier, daemon.token, compression]
    environment = {**os.environ, "NODE_PATH": str(programs.packages())}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert (seen["code"], seen["protocol"], seen["pong"], seen["binary"]) == (
        1000,
        "walletd.v1",
        "are you there",
        False,
    )
    assert ("permessage-deflate" in seen["extensions"]) == (compression == "compress")
    assert seen["hello"]["auth"]["required"] == (carrier == "method")
    assert seen["event"]["entry"]["command"]["command_id"] == f"ws-{carrier}-{compression}"
    assert seen["replies"]["3"]["result"]["sequence"] == seen["event"]["sequence"]


def test_wscat(daemon: Daemon) -> None:
    """With the token in the header, as the README has it."""
    wscat = programs.packages() / ".bin" / "wscat"
    command = [programs.node(), str(wscat), "--no-color", "-c", daemon.url]
    command += ["-H", f"Authorization: Bearer {daemon.token}"]
    with typing(command) as terminal:
        read_until(terminal, '"method":"hello"')
        type_line(terminal, request(1, "balance.get", {"wallet": "bob"}))
        read_until(terminal, '"posted":"')


# --- a browser -----------------------------------------------------------------------------------------------------


def browse(profile: Path, url: str, server: Page) -> dict[str, Any]:
    """What the page reported.  The browser is ended by its process id."""
    command = [programs.chromium(), *FLAGS, f"--user-data-dir={profile}", url]
    with (profile.parent / f"{profile.name}.log").open("w") as log:
        browser = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            return server.seen.get(timeout=SECONDS)
        finally:
            browser.terminate()
            browser.wait(timeout=SECONDS)


def test_a_browser_authenticates_by_subprotocol_and_sees_the_event(
    daemon: Daemon, origin: Page, tmp_path: Path
) -> None:
    asked = urlencode({"url": daemon.url, "protocols": f"walletd.v1,{daemon.bearer_subprotocol()}"})
    with daemon.client() as client:
        had = posted(client, "bob")
        seen = browse(tmp_path / "profile", f"{origin.origin}/?{asked}", origin)
        assert posted(client, "bob") == had + 9
    assert (seen["code"], seen["protocol"], seen["origin"]) == (1000, "walletd.v1", origin.origin)
    assert seen["hello"]["auth"]["required"] is False
    assert seen["event"]["entry"]["command"]["command_id"] == "browser"
    assert seen["replies"]["2"]["result"]["sequence"] == seen["event"]["sequence"]


def test_a_page_of_another_origin_is_kept_out_of_a_browser(daemon: Daemon, tmp_path: Path) -> None:
    with page() as foreign:
        asked = urlencode({"url": daemon.url, "protocols": f"walletd.v1,{daemon.bearer_subprotocol()}"})
        seen = browse(tmp_path / "profile", f"{foreign.origin}/?{asked}", foreign)
    assert seen["code"] == 1006, "a browser hides why; it is in the daemon's metrics"
    assert "hello" not in seen


def test_a_browser_is_told_by_a_close_code_that_its_token_or_its_subprotocol_is_unknown(
    daemon: Daemon, origin: Page, tmp_path: Path
) -> None:
    for number, (protocols, code) in enumerate((("walletd.v1,walletd.bearer.bm8", 4401), ("walletd.v9", 4406))):
        asked = urlencode({"url": daemon.url, "protocols": protocols})
        seen = browse(tmp_path / f"profile-{number}", f"{origin.origin}/?{asked}", origin)
        assert seen["code"] == code
        assert seen["reason"]
