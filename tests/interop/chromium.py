"""A headless Chromium, driven by the protocol of its developer tools.

with chromium(folder) as browser:
    browser.open("http://127.0.0.1:8000/")
    browser.wait_for("document.title === 'Wallet'")
    browser.picture(folder / "page.png")
"""

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from websockets.sync.client import ClientConnection, connect

from tests.interop import programs

SECONDS = 60

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
]

POLL = """
new Promise((resolve) => {
  const look = () => {
    const seen = CONDITION;
    if (seen) { watcher.disconnect(); resolve(seen); }
  };
  const watcher = new MutationObserver(look);
  watcher.observe(document, { attributes: true, childList: true, characterData: true, subtree: true });
  look();
})
"""


class Browser:
    """One page of a browser."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._asked = 0

    def open(self, url: str) -> None:
        """Go to a page, and wait until it is loaded."""
        self._ask("Page.enable")
        self._ask("Page.navigate", url=url)
        self._receive(lambda message: message.get("method") == "Page.loadEventFired")

    def wait_for(self, condition: str) -> Any:
        """The value of a condition in JavaScript, once it is true of the page."""
        return self.evaluate(POLL.replace("CONDITION", condition))

    def evaluate(self, expression: str) -> Any:
        """The value of an expression; of a promise, what it brings."""
        options = {"awaitPromise": True, "returnByValue": True}
        answer = self._ask("Runtime.evaluate", expression=expression, **options)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def picture(self, file: Path) -> None:
        """What the page looks like."""
        file.write_bytes(base64.b64decode(self._ask("Page.captureScreenshot", format="png")["data"]))

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        self._asked += 1
        asked = self._asked
        self._socket.send(json.dumps({"id": asked, "method": method, "params": params}))
        answer = self._receive(lambda message: message.get("id") == asked)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def _receive(self, is_wanted: Any) -> dict[str, Any]:
        while True:
            message: dict[str, Any] = json.loads(self._socket.recv(timeout=SECONDS))
            if is_wanted(message):
                return message


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """A browser with a profile of its own, ended by its process id."""
    command = [programs.chromium(), *FLAGS, f"--user-data-dir={folder / 'profile'}", "--window-size=480,760"]
    log = folder / "chromium.log"
    with (
        log.open("w") as output,
        subprocess.Popen(command, stdout=output, stderr=subprocess.PIPE, text=True) as process,
    ):
        try:
            with connect(_page(process), proxy=None, compression=None, max_size=None) as socket:
                yield Browser(socket)
        finally:
            process.terminate()


def _page(process: "subprocess.Popen[str]") -> str:
    """The address of the first page's tools."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        _, found, address = line.partition("DevTools listening on ws://")
        if found:
            with urlopen(f"http://{address.partition('/')[0]}/json/list") as answer:
                pages = json.load(answer)
            return str(next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page"))
    raise AssertionError(said)
