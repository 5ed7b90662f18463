"""A real daemon as a child process, and a client that knows nothing but the protocol.

with Daemon(directory) as daemon, daemon.client() as client:
    client.call("session.ping")
"""

import base64
import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.contract.witness import Witness
from tests.daemon.forked import Forked, can_fork, ran

START_SECONDS = 120
REPLY_SECONDS = 120
ADDRESS = re.compile(r"wss?://[\w.\[\]:]+:\d+")
ADMIN_ADDRESS = re.compile(r"(http://\S+)/metrics")


def bare_environment() -> dict[str, str]:
    """The environment without what would configure a daemon; WALLETD_KILLS and the like are for the tests."""
    return {name: value for name, value in os.environ.items() if not name.startswith("WALLETD_")}


def free_port() -> int:
    """A port for a daemon that is told one, or that is started again at it.

    Nothing else takes it meanwhile: it is below the ports that the kernel chooses from for connections and for port 0.
    """
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.SystemRandom().randrange(max(1024, lowest // 2), max(2048, lowest))
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class Daemon:
    """One ``walletd serve`` on its own data folder and a free port.  Always ended, by its process id."""

    is_forked = False
    """Whether it is forked from a process that has imported everything, which takes a tenth of a start."""

    def __init__(self, data: Path, *arguments: str, environment: dict[str, str] | None = None) -> None:
        self.data = data
        self.arguments = arguments
        self.environment = environment or {}
        self.program = ["-m", "walletd"]
        """What Python runs; another one may plant bugs first."""
        self.popen: dict[str, Any] = {}
        """What else ``subprocess.Popen`` is told, such as other streams."""
        self.process: subprocess.Popen[str] | Forked | None = None
        self.url = ""
        self.admin_url = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def launch(self) -> subprocess.Popen[str] | Forked:
        """Start the process without waiting for it to serve."""
        arguments = ["serve", "--data", str(self.data), "--port", "0", *self.arguments]
        if "stderr" not in self.popen:
            self.popen["stderr"] = (self.data.parent / f"{self.data.name}.log").open("a")
        environment = {**bare_environment(), "WALLETD_ADMIN_PORT": "0", **self.environment}
        if self.is_forked and self.program[0] != "-c" and self.popen.keys() == {"stderr"} and can_fork(environment):
            program = [] if self.program[0] == "-m" else self.program
            self.process = Forked(arguments, environment, program=program, stderr=self.popen["stderr"].fileno())
            return self.process
        options: dict[str, Any] = {"stdout": subprocess.PIPE, "stdin": subprocess.DEVNULL, "env": environment}
        self.process = subprocess.Popen(
            [sys.executable, *self.program, *arguments], text=True, **(options | self.popen)
        )
        return self.process

    def start(self) -> None:
        """Start the process and wait until it says where it listens."""
        self.launch()
        self.served()

    def served(self) -> None:
        """Wait until the process says where it listens."""
        process = self.process
        assert process is not None
        assert process.stdout is not None
        for line in process.stdout:
            found = ADDRESS.search(line)
            if found:
                self.url = found.group()
            if found := ADMIN_ADDRESS.search(line):
                self.admin_url = found.group(1)
                return
        raise AssertionError(f"the daemon ended with {process.wait()}: {self.log()}")

    def log(self) -> str:
        """What the daemon wrote to stderr so far."""
        return (self.data.parent / f"{self.data.name}.log").read_text()

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self.wait()

    def signal(self, number: int) -> None:
        """Send the process a signal, if it still runs."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)

    def wait(self) -> int:
        """The exit code, once it has ended."""
        assert self.process is not None
        code = self.process.wait(timeout=START_SECONDS)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    @property
    def token(self) -> str:
        """The operator's token."""
        return (self.data / "operator.token").read_text().strip()

    def client(self, **options: Any) -> "Client":
        """A client that carries the operator's token in a header."""
        options.setdefault("additional_headers", {"Authorization": f"Bearer {self.token}"})
        return Client(connect(self.url, proxy=None, compression=None, legacy=True, **options))

    def bearer_subprotocol(self) -> str:
        """The token as browsers carry it."""
        return "walletd.bearer." + base64.urlsafe_b64encode(self.token.encode()).decode().rstrip("=")


def run_to_its_end(data: Path, *arguments: str, environment: dict[str, str] | None = None) -> tuple[int, str]:
    """Start a daemon that is expected to refuse: its exit code and what it said on stderr."""
    words = ["serve", "--data", str(data), "--port", "0", *arguments]
    ended = ran(words, environment={**bare_environment(), "WALLETD_ADMIN_PORT": "0", **(environment or {})})
    return ended.returncode, ended.stderr


class Client:
    """JSON-RPC over one websocket, each frame as the contract has it; notifications are kept in ``pushed``."""

    def __init__(self, websocket: ClientConnection) -> None:
        self.websocket = websocket
        self.pushed: deque[dict[str, Any]] = deque()
        self._replies: dict[Any, dict[str, Any]] = {}
        self._asked = 0
        self._witness = Witness()
        self.hello = self.next_pushed("hello")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.websocket.close()

    def send(self, method: str, **params: Any) -> int:
        """Send a request without waiting; its id."""
        self._asked += 1
        request = {"jsonrpc": "2.0", "id": self._asked, "method": method, "params": params}
        self._say(json.dumps(request))
        return self._asked

    def reply(self, request_id: Any) -> dict[str, Any]:
        """The response to this request."""
        while request_id not in self._replies:
            self._receive()
        return self._replies.pop(request_id)

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a request and wait for its response, whole."""
        return self.reply(self.send(method, **params))

    def arrived(self) -> dict[Any, dict[str, Any]]:
        """The responses that arrived and were not asked for yet, by request id."""
        return self._replies

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a request that succeeds."""
        response = self.ask(method, **params)
        assert "result" in response, response
        return dict(response["result"])

    def refused(self, method: str, **params: Any) -> dict[str, Any]:
        """The error of a request that does not."""
        response = self.ask(method, **params)
        assert "error" in response, response
        return dict(response["error"])

    def raw(self, text: str | bytes) -> dict[str, Any]:
        """Send a frame as it is; the next response, whichever id it has."""
        self._say(text)
        while not self._replies:
            self._receive()
        return self._replies.pop(next(iter(self._replies)))

    def next_pushed(self, method: str) -> dict[str, Any]:
        """The params of the next notification of this kind."""
        while True:
            for index, pushed in enumerate(self.pushed):
                if pushed["method"] == method:
                    del self.pushed[index]
                    return dict(pushed["params"])
            self._receive()

    def close_code(self) -> int | None:
        """The code with which the server closes, once it does."""
        try:
            while True:
                self._receive()
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd else None
            self._witness.closed(code)
            return code

    def _say(self, text: str | bytes) -> None:
        self._witness.sent(text)
        self.websocket.send(text)

    def _receive(self) -> None:
        frame = self.websocket.recv(timeout=REPLY_SECONDS)
        self._witness.received(frame)
        message = json.loads(frame)
        if "method" in message:
            self.pushed.append(message)
        else:
            self._replies[message["id"]] = message


def transfer(command_id: str, source: str, to: str, amount: int, asset: str = "EUR", **more: Any) -> dict[str, Any]:
    """The params of a transfer with one posting."""
    posting = {"from": source, "to": to, "asset": asset, "amount": str(amount)}
    return {"command_id": command_id, "postings": [posting], **more}


def furnish(client: Client, *wallets: str, amount: int = 0) -> None:
    """Define EUR and open wallets, each with this amount."""
    client.ask("asset.define", command_id="define-EUR", asset="EUR", scale=2)
    for wallet in wallets:
        client.call("wallet.open", command_id=f"open-{wallet}", wallet=wallet)
        if amount:
            client.call("transfer.post", **transfer(f"fund-{wallet}", "@external", wallet, amount))


def posted(client: Client, wallet: str, asset: str = "EUR") -> int:
    """The posted balance."""
    (balance,) = client.call("balance.get", wallet=wallet, asset=asset)["balances"]
    return int(balance["posted"])
