"""One hostile client beside an honest one: both have tokens, and the hostile one does its worst with what it may do.

    python bench/tenants.py dry_runs ws://127.0.0.1:7878 TOKEN       # goes on until its stdin ends

Each kind of hostility is a row of walletd's threat model: what an authenticated client may cost the others.  It has
several sessions, keeps each of them full of requests, and reads what it is answered only to send more.
"""

import contextlib
import select
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.wire import Connection, framed, request

MALLORY = "mallory"
"""Its wallet, its name, and the beginning of every name that it may use."""

OLD_COMMANDS = 2_500
"""The payments of its past: what it repeats, and the lines of its statement."""

PAUSE_SECONDS = 0.05


class Kind(NamedTuple):
    """One kind of hostility: how many sessions, how many requests each has on their way, and which."""

    sessions: int
    window: int
    requests: Callable[[int], Iterator[bytes]]


def _numbered(template: bytes) -> Iterator[bytes]:
    """The same request again and again, each with a number of its own for every #."""
    number = time.time_ns()
    while True:
        number += 1
        yield template.replace(b"#", b"%d" % number)


def _payments(count: int, to: str = "mallory:b") -> list[dict[str, object]]:
    posting = {"from": MALLORY, "to": to, "asset": "EUR", "amount": "1"}
    return [{"method": "transfer.post", "command_id": f"#-{index}", "postings": [posting]} for index in range(count)]


def refused_batches(session: int) -> Iterator[bytes]:
    """Batches of a thousand payments from an empty wallet, each with ids of its own."""
    return _numbered(request(1, "batch.execute", {"command_id": "#", "commands": _payments(1000)}))


def long_batches(session: int) -> Iterator[bytes]:
    """Batches of refused payments with all the metadata that there may be, which the journal keeps."""
    metadata = {f"key-{number}": "x" * 200 for number in range(5)}
    commands = [payment | {"metadata": metadata} for payment in _payments(150)]
    return _numbered(request(1, "batch.execute", {"command_id": "#", "commands": commands, "atomic": False}))


def dry_runs(session: int) -> Iterator[bytes]:
    """Dry runs of a thousand payments."""
    return _numbered(
        request(1, "batch.execute", {"command_id": "#", "commands": _payments(1000), "atomic": False, "dry_run": True})
    )


def absent_payees(session: int) -> Iterator[bytes]:
    """Dry runs that pay 2,500 wallets that do not exist, other ones each time."""
    commands = [
        {
            "method": "transfer.post",
            "command_id": f"#-{index}",
            "postings": [
                {"from": MALLORY, "to": f"m{index}-{place}-#", "asset": "EUR", "amount": "1"} for place in range(100)
            ],
        }
        for index in range(25)
    ]
    return _numbered(request(1, "batch.execute", {"command_id": "#", "commands": commands, "dry_run": True}))


def absent_names(session: int) -> Iterator[bytes]:
    """The balances of a hundred wallets that do not exist, other ones each time."""
    return _numbered(request(1, "balance.get", {"wallets": [f"mallory:{number}-#" for number in range(100)]}))


def filtered_statements(session: int) -> Iterator[bytes]:
    """Statements of which no line matches."""
    return _numbered(request(1, "statement.get", {"wallet": MALLORY, "counterparty": "no-one", "limit": 1000}))


def replays(session: int) -> Iterator[bytes]:
    """Old commands, again and again."""
    number = session * 997
    while True:
        number = (number + 1) % OLD_COMMANDS
        yield request(1, "transfer.post", old_payment(MALLORY, number))


def streams(session: int) -> Iterator[bytes]:
    """A hundred streams from the beginning, and then others."""
    subscription = 0
    while True:
        yield request(1, "stream.subscribe", {"wallets": [MALLORY], "after": 0})
        subscription += 1
        if subscription > 99:
            yield request(1, "stream.unsubscribe", {"subscription": subscription - 99})


def prefixes(session: int) -> Iterator[bytes]:
    """A hundred streams of a prefix from the beginning, for which the whole journal is read."""
    subscription = 0
    while True:
        yield request(1, "stream.subscribe", {"prefix": "mallory", "after": 0})
        subscription += 1
        if subscription > 99:
            yield request(1, "stream.unsubscribe", {"subscription": subscription - 99})


def long_windows(session: int) -> Iterator[bytes]:
    """As many payments on their way as a session may have, all of them refused."""
    posting = {"from": MALLORY, "to": "mallory:b", "asset": "EUR", "amount": "1"}
    return _numbered(request(1, "transfer.post", {"command_id": "#", "postings": [posting]}))


def old_payment(wallet: str, number: int) -> dict[str, object]:
    """A payment of the past, which its client may send again."""
    posting = {"from": wallet, "to": f"{wallet}:b", "asset": "EUR", "amount": "1"}
    return {"command_id": f"old-{number}", "postings": [posting]}


KINDS = {
    "refused_batches": Kind(8, 4, refused_batches),
    "long_batches": Kind(8, 4, long_batches),
    "dry_runs": Kind(8, 4, dry_runs),
    "absent_payees": Kind(8, 4, absent_payees),
    "absent_names": Kind(16, 200, absent_names),
    "filtered_statements": Kind(16, 200, filtered_statements),
    "replays": Kind(16, 1000, replays),
    "streams": Kind(10, 100, streams),
    "prefixes": Kind(10, 100, prefixes),
    "long_windows": Kind(16, 4096, long_windows),
}


class Hostile:
    """One session that is kept full."""

    def __init__(self, connection: Connection, requests: Iterator[bytes], window: int) -> None:
        self.connection = connection
        self.socket = connection.socket
        self.socket.setblocking(False)
        self._requests = requests
        self._unsent = b""
        self._room = window

    def fileno(self) -> int:
        """For select."""
        return self.socket.fileno()

    @property
    def wants_to_write(self) -> bool:
        """Whether there is something to send."""
        return bool(self._unsent) or self._room > 0

    def write(self) -> None:
        """Send as much as the daemon takes."""
        while not self._unsent and self._room > 0:
            self._unsent = framed(next(self._requests))
            self._room -= 1
            self._push()
        self._push()

    def _push(self) -> None:
        with contextlib.suppress(BlockingIOError):
            if self._unsent:
                self._unsent = self._unsent[self.socket.send(self._unsent) :]

    def read(self) -> None:
        """Take what is there; each answer makes room for a request.  Raises ConnectionError at the end."""
        with contextlib.suppress(BlockingIOError):
            self._room += sum(b'"id":1' in message[:40] for message in self.connection.take())


def attack(name: str, address: str, token: str) -> None:
    """Keep some sessions full until one of them is cut off."""
    kind = KINDS[name]
    sessions = [
        Hostile(Connection(address, token), kind.requests(number), kind.window) for number in range(kind.sessions)
    ]
    while not _is_over():
        readable, writable, _ = select.select(sessions, [one for one in sessions if one.wants_to_write], [], 1)
        for session in readable:
            session.read()
        for session in writable:
            session.write()


def churn(address: str, token: str) -> None:
    """Connections that come and go as fast as they may, and as many as there may be."""
    kept: list[Connection] = []
    while not _is_over():
        kept.append(Connection(address, token))
        if len(kept) >= 100:
            kept.pop(0).close()


def _is_over() -> bool:
    return bool(select.select([sys.stdin], [], [], 0)[0])


def main() -> None:
    """Attack until stdin ends; begin again whenever the daemon cuts it off."""
    name, address, token = sys.argv[1:]
    print("ready", flush=True)
    while not _is_over():
        with contextlib.suppress(OSError, AssertionError):
            if name == "connections":
                churn(address, token)
            else:
                attack(name, address, token)
        if select.select([sys.stdin], [], [], PAUSE_SECONDS)[0]:
            return


if __name__ == "__main__":
    main()
