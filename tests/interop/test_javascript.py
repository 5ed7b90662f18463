"""The JavaScript client: its package, its own tests, and the examples that use it, with a real daemon."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.daemon.process import Client, Daemon, free_port, furnish, posted, transfer
from tests.interop import programs
from tests.interop.chromium import chromium

SOURCE = programs.ROOT / "clients" / "javascript"
EXAMPLES = programs.ROOT / "examples"
SECONDS = 120
WALLETD = json.dumps([sys.executable, "-m", "walletd"])


def run(command: list[str], cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_package_has_types_and_passes_its_own_tests(tmp_path: Path) -> None:
    """As a registry would have it: packed, unpacked, and tested with the daemon of this checkout."""
    node, modules = programs.node(), programs.packages(SOURCE)
    checkout = tmp_path / "checkout"
    shutil.copytree(SOURCE, checkout, ignore=shutil.ignore_patterns("node_modules", "types"))
    (checkout / "node_modules").symlink_to(modules)
    run(["npm", "pack", "--pack-destination", str(tmp_path)], checkout)
    (packed,) = tmp_path.glob("walletd-client-*.tgz")
    with tarfile.open(packed) as archive:
        archive.extractall(tmp_path, filter="data")
    package = tmp_path / "package"
    assert (package / "LICENSE").read_text() == (programs.ROOT / "LICENSE").read_text()
    assert {path.name for path in package.iterdir()} == {"LICENSE", "README.md", "package.json", "src", "types"}
    shutil.copytree(SOURCE / "test", package / "test")
    shutil.copy(SOURCE / "tsconfig.json", package)
    (package / "node_modules").symlink_to(modules)
    run([node, str(modules / "typescript" / "bin" / "tsc"), "-p", "test"], package)
    tests = [str(path) for path in sorted((package / "test").glob("*.test.js"))]
    said = run([node, "--test", *tests], package, WALLETD=WALLETD)
    assert re.search(r"^# fail 0$", said, re.MULTILINE), said


def test_no_file_of_the_package_names_a_registry() -> None:
    """A lock with addresses would bind everybody to the registry of the one who wrote it."""
    lock = json.loads((SOURCE / "package-lock.json").read_text())
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("javascript") / "var") as daemon:
        yield daemon


def test_the_blocks_of_the_page_are_a_program_that_prints_what_they_say(tmp_path: Path, daemon: Daemon) -> None:
    page = (programs.ROOT / "docs" / "do" / "javascript.md").read_text()
    program = "".join(re.findall(r"```js\n(.*?)```", page, re.DOTALL)).replace("ws://127.0.0.1:7878", daemon.url)
    home = with_client(tmp_path / "program")
    (home / "program.mjs").write_text(program)
    (home / "var").symlink_to(daemon.data)
    said = run([programs.node(), "program.mjs"], home)
    for line in ("true true", "12.50 EUR", "missing: 987.49", "refund 450n shop", "shop open", "2950n", "tip"):
        assert f"{line}\n" in said, said


# --- the examples ----------------------------------------------------------------------------------------------------


def install(example: str, folder: Path) -> Path:
    """A copy of an example."""
    shutil.copytree(EXAMPLES / example, folder / example, ignore=shutil.ignore_patterns("node_modules"))
    return with_client(folder / example)


def with_client(home: Path) -> Path:
    """The folder, with the client and ``ws`` as npm would install them."""
    package = home / "node_modules" / "walletd-client"
    shutil.copytree(SOURCE / "src", package / "src")
    shutil.copy(SOURCE / "package.json", package)
    (home / "node_modules" / "ws").symlink_to(programs.packages(SOURCE) / "ws")
    return home


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The origin of a folder's files."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def key(client: Client, name: str, *scopes: str) -> str:
    """The token of a new client."""
    token = f"walletd_{name}"
    digest = hashlib.sha256(token.encode()).hexdigest()
    client.call("client.create", command_id=f"key-{name}", client=name, scopes=list(scopes), token_sha256=digest)
    return token


def test_the_browser_wallet_shows_payments_live_and_through_a_kill(tmp_path: Path) -> None:
    home = install("browser-wallet", tmp_path)
    with served(home) as origin:
        (tmp_path / "walletd.toml").write_text(f'allowed_origins = ["{origin}"]\n')
        arguments = ("--config", str(tmp_path / "walletd.toml"), "--port", str(free_port()))
        with Daemon(tmp_path / "data", *arguments) as daemon:
            with daemon.client() as client:
                furnish(client, "alice", "bob", amount=10_000)
                token = key(client, "page", "view:bob")
            with chromium(tmp_path) as browser:
                browser.open(f"{origin}/#url={daemon.url}&token={token}")
                browser.wait_for(seen("balances", "100.00 EUR"))
                assert browser.evaluate("location.hash") == "", "the key does not stay in the address"
                with daemon.client() as client:
                    client.call("transfer.post", **transfer("p-1", "alice", "bob", 1250), reference="dinner")
                browser.wait_for(seen("balances", "112.50 EUR"))
                browser.wait_for(seen("movements", "dinner"))
                assert browser.evaluate("document.getElementById('state').textContent") == "live"
                daemon.kill()
                browser.wait_for(seen("state", "connecting"))
                again = Daemon(tmp_path / "data", *arguments)
                with again, again.client() as client:
                    client.call("hold.place", command_id="h-1", wallet="bob", asset="EUR", amount="500")
                    browser.wait_for(seen("balances", "107.50 EUR"))
                    browser.wait_for(seen("balances", "5.00 EUR are held"))
                    if picture := os.environ.get("TEST_PICTURE"):
                        browser.picture(Path(picture))


def seen(place: str, text: str) -> str:
    """A condition of the page."""
    return f"document.getElementById({json.dumps(place)}).textContent.includes({json.dumps(text)})"


def put(url: str, **body: str) -> tuple[int, Any]:
    """The status and the answer of a PUT."""
    request = Request(url, method="PUT", data=json.dumps(body).encode() if body else b"")
    try:
        with urlopen(request, timeout=SECONDS) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)


@contextmanager
def open_shop(home: Path, daemon: Daemon, token: str) -> Iterator[str]:
    (home / "shop.token").write_text(token)
    environment = {**os.environ, "WALLETD_URL": daemon.url, "PORT": "0"}
    command = [programs.node(), "shop.js"]
    with subprocess.Popen(command, cwd=home, env=environment, stdout=subprocess.PIPE, text=True) as shop:
        try:
            assert shop.stdout is not None
            yield shop.stdout.readline().split()[-1]
        finally:
            shop.terminate()


def test_the_node_shop_takes_an_order_once_and_ships_or_cancels_it(tmp_path: Path, daemon: Daemon) -> None:
    home = install("node-shop", tmp_path)
    with daemon.client() as client:
        furnish(client, "customer", amount=10_000)
        client.ask("wallet.open", command_id="open-shop", wallet="shop")
        had = posted(client, "shop")
        client.call("wallet.open", command_id="open-fees", wallet="@fees")
        token = key(client, "shop", "spend:customer")
        with open_shop(home, daemon, token) as shop:
            order = {"customer": "customer", "amount": "40.00"}
            status, first = put(f"{shop}/orders/4711", **order)
            assert (status, first["state"], first["repeated"]) == (200, "reserved", False)
            assert put(f"{shop}/orders/4711", **order) == (200, {**first, "repeated": True})
            status, refused = put(f"{shop}/orders/4712", customer="customer", amount="80.00")
            assert (status, refused["reason"]) == (409, "insufficient_funds")
            assert put(f"{shop}/orders/4713", customer="customer", amount="1,50")[0] == 400
            assert put(f"{shop}/orders/4711/shipment")[1]["state"] == "shipped"
            assert put(f"{shop}/orders/4711/shipment")[1]["repeated"] is True
            assert put(f"{shop}/orders/4711/cancellation")[1]["reason"] == "hold_not_open"
            assert put(f"{shop}/orders/4714", customer="customer", amount="60.00")[0] == 200
            assert put(f"{shop}/orders/4714/cancellation")[1]["state"] == "cancelled"
            assert put(f"{shop}/orders/9/shipment")[1]["reason"] == "entry_not_found"
            assert put(f"{shop}/nothing")[0] == 404
        assert (posted(client, "customer"), posted(client, "shop") - had, posted(client, "@fees")) == (6000, 3880, 120)
