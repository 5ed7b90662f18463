"""An honest client beside a hostile one: what it asks, one thing after the other, and what it waits for each.

    scene = furnish(host)                              # two clients, their wallets and their past
    honest = Honest(host, scene)
    with hostile(host, scene, ("replays",)): ...
    waits = honest.do(20)                              # by act: seconds of the clock and of the daemon's processor

A wait in seconds of the daemon's processor is what the daemon itself worked between the question and its answer, for
whomever: on a machine that does nothing else it is the time on the clock, and on a busy one it is the same.
"""

import hashlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bench import processes
from bench.tenants import MALLORY, OLD_COMMANDS, old_payment
from bench.wire import Connection, request

HONEST = "alice"
STREAM_EVENTS = 50
"""The events that a resume catches up with, and the commands that are repeated."""

PAST = 50
"""Payments before these."""

PIPELINED = 500
CPU_CLOCK = 2


def committed_bytes(log: Path) -> int:
    """The size of the database whose write-ahead log this is, as its newest commit says; 0 where the log has none.

    A header of 8 words, then frames of 6 words and a page each; a commit's last frame says in its second word how many
    pages there are then, and its salts are those of the header (https://www.sqlite.org/fileformat2.html#walformat).
    """
    if not log.exists():
        return 0
    with log.open("rb") as file:
        header, pages = file.read(32), 0
        if len(header) < 32:
            return 0
        page_bytes = int.from_bytes(header[8:12], "big")
        while len(frame := file.read(24)) == 24 and frame[8:16] == header[16:24]:
            pages = int.from_bytes(frame[4:8], "big") or pages
            file.seek(page_bytes, os.SEEK_CUR)
    return pages * page_bytes


class Host(NamedTuple):
    """A daemon, for those that talk to it and look at its process."""

    address: str
    operator: str
    pid: int
    data: Path

    def memory(self) -> int:
        """Resident bytes."""
        return processes.memory([self.pid])

    def peak(self) -> int:
        """The most resident bytes since ``forget_peak``."""
        return int(Path(f"/proc/{self.pid}/status").read_text().split("VmHWM:")[1].split()[0]) * 1024

    def forget_peak(self) -> None:
        """Have the kernel begin with ``peak`` at what is resident now."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def journal_bytes(self) -> int:
        """The size of the journal as of its newest commit: pages that still lie in the log count, and none twice."""
        database = self.data / "journal.db"
        return committed_bytes(Path(f"{database}-wal")) or database.stat().st_size

    def processor_seconds(self) -> float:
        """The processor time of all its threads so far, to the nanosecond: the process's clock, as Linux numbers it."""
        return time.clock_gettime((~self.pid << 3) | CPU_CLOCK)


class Scene(NamedTuple):
    """The tokens of the two clients, and the cursor of an old stream of the honest one."""

    honest: str
    hostile: str
    cursor: dict[str, int]


class Wait(NamedTuple):
    """What one act took: on the clock, and of the daemon's processor."""

    clock: float
    processor: float


def furnish(host: Host) -> Scene:
    """Make the clients and their past: payments of both, the hostile one's wallet empty in the end."""
    operator = Connection(host.address, host.operator)
    operator.call("asset.define", {"command_id": "EUR", "asset": "EUR", "scale": 2})
    tokens = {}
    for name in (HONEST, MALLORY):
        tokens[name] = hashlib.sha256(name.encode()).hexdigest()
        params = {
            "command_id": f"client-{name}",
            "client": name,
            "scopes": [f"spend:{name}*", f"view:{name}*"],
            "token_sha256": hashlib.sha256(tokens[name].encode()).hexdigest(),
        }
        _done(operator.call("client.create", params))
        for wallet in (name, f"{name}:b"):
            _done(operator.call("wallet.open", {"command_id": f"open-{wallet}", "wallet": wallet}))
    _fund(operator, HONEST, 1_000_000_000)
    _fund(operator, MALLORY, OLD_COMMANDS)
    _pay(operator, HONEST, range(OLD_COMMANDS, OLD_COMMANDS + PAST))
    status = operator.call("daemon.status", {})["result"]
    cursor = {"epoch": status["epoch"], "sequence": status["head"]}
    honest, hostile = Connection(host.address, tokens[HONEST]), Connection(host.address, tokens[MALLORY])
    _pay(honest, HONEST, range(STREAM_EVENTS))
    _pay(hostile, MALLORY, range(OLD_COMMANDS))
    for number in range(3):
        commands = [
            {"method": "wallet.open", "command_id": f"other-{number}-{index}", "wallet": f"other:{number}:{index}"}
            for index in range(1000)
        ]
        _done(operator.call("batch.execute", {"command_id": f"others-{number}", "commands": commands}))
    for connection in (operator, honest, hostile):
        connection.close()
    return Scene(tokens[HONEST], tokens[MALLORY], cursor)


def _fund(operator: Connection, wallet: str, amount: int) -> None:
    posting = {"from": "@external", "to": wallet, "asset": "EUR", "amount": str(amount)}
    _done(operator.call("transfer.post", {"command_id": f"fund-{wallet}", "postings": [posting]}))


def _pay(connection: Connection, wallet: str, numbers: range) -> None:
    """Make these payments; one beyond the client's budget is sent again when it says."""
    left = list(numbers)
    while left:
        some, left = left[:PIPELINED], left[PIPELINED:]
        connection.send([request(number, "transfer.post", old_payment(wallet, number)) for number in some])
        answered, wait_ms = 0, 0
        while answered < len(some):
            for message in connection.take():
                answered += 1
                if b'"error"' in message:
                    response = json.loads(message)
                    facts = response["error"]["data"]
                    assert facts["reason"] == "quota_exceeded", message
                    wait_ms = max(wait_ms, facts["retry_after_ms"])
                    left.append(response["id"])
        time.sleep(wait_ms / 1000)


def _done(response: dict[str, Any]) -> None:
    assert "result" in response, response


class Honest:
    """One session of the honest client."""

    def __init__(self, host: Host, scene: Scene, patience_seconds: float | None = None) -> None:
        """``patience_seconds``: raise TimeoutError where nothing comes for so long."""
        self._host = host
        self._scene = scene
        self._connection = Connection(host.address, scene.honest)
        self._connection.socket.settimeout(patience_seconds)
        self._numbers = itertools.count(1)
        self._arrived: list[bytes] = []

    def do(self, times: int) -> dict[str, list[Wait]]:
        """Every act in turn, so many times; what each waited."""
        waits: dict[str, list[Wait]] = defaultdict(list)
        acts = (self.payment, self.repetition, self.statement, self.resume, self.subscription)
        for _ in range(times):
            for act in acts:
                waits[act.__name__].append(self.timed(act))
        return waits

    def do_for(self, seconds: float) -> dict[str, list[Wait]]:
        """The same for so many seconds."""
        waits: dict[str, list[Wait]] = defaultdict(list)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            for act, found in self.do(1).items():
                waits[act] += found
        return waits

    def timed(self, act: Callable[[], None]) -> Wait:
        """Do it, and measure."""
        began, used = time.perf_counter(), self._host.processor_seconds()
        act()
        return Wait(time.perf_counter() - began, self._host.processor_seconds() - used)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def payment(self) -> None:
        """A payment of a cent."""
        self._ask("transfer.post", self._fresh_payment())

    def repetition(self) -> None:
        """A payment that was made long ago, sent again."""
        answer = self._ask("transfer.post", old_payment(HONEST, next(self._numbers) % STREAM_EVENTS))
        assert answer.get("replayed"), answer

    def statement(self) -> None:
        """Fifty lines of a statement."""
        assert len(self._ask("statement.get", {"wallet": HONEST, "limit": 50})["lines"]) == 50

    def resume(self) -> None:
        """A stream that goes on from an old cursor, until it has sent some events."""
        asked = self._ask("stream.subscribe", {"wallets": [f"{HONEST}:b"], "after": self._scene.cursor})
        self._take_events(STREAM_EVENTS)
        self._ask("stream.unsubscribe", {"subscription": asked["subscription"]})
        self._arrived.clear()

    def subscription(self) -> None:
        """A stream from now on, and the event of a payment."""
        asked = self._ask("stream.subscribe", {"wallets": [HONEST]})
        self._ask("transfer.post", self._fresh_payment())
        self._take_events(1)
        self._ask("stream.unsubscribe", {"subscription": asked["subscription"]})
        self._arrived.clear()

    def _fresh_payment(self) -> dict[str, object]:
        posting = {"from": HONEST, "to": f"{HONEST}:b", "asset": "EUR", "amount": "1"}
        return {"command_id": f"new-{time.time_ns()}", "postings": [posting]}

    def _ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        number = next(self._numbers)
        self._connection.send([request(number, method, params)])
        response = json.loads(self._next(lambda message: message.startswith(b'{"jsonrpc":"2.0","id":%d,' % number)))
        assert "result" in response, response
        result: dict[str, Any] = response["result"]
        return result

    def _take_events(self, count: int) -> None:
        for _ in range(count):
            self._next(lambda message: b'"stream.event"' in message[:60])

    def _next(self, is_wanted: Callable[[bytes], bool]) -> bytes:
        """The next such message; others that arrive meanwhile are kept."""
        while True:
            for place, message in enumerate(self._arrived):
                if is_wanted(message):
                    return self._arrived.pop(place)
            self._arrived += self._connection.take()


@contextmanager
def hostile(host: Host, scene: Scene, kinds: tuple[str, ...]) -> Iterator[list[subprocess.Popen[str]]]:
    """A process for each of these kinds, at work until the end of the block."""
    program = str(Path(__file__).parent / "tenants.py")
    attackers = [
        subprocess.Popen(
            [sys.executable, program, kind, host.address, scene.hostile],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for kind in kinds
    ]
    try:
        for attacker in attackers:
            assert attacker.stdout is not None
            assert attacker.stdout.readline() == "ready\n"
        yield attackers
        assert all(attacker.poll() is None for attacker in attackers), "an attacker gave up"
    finally:
        for attacker in attackers:
            assert attacker.stdin is not None
            assert attacker.stdout is not None
            attacker.stdin.close()
            attacker.kill()
            attacker.wait()
            attacker.stdout.close()


def revoke(host: Host) -> Wait:
    """The operator revokes the hostile client; what that waits for."""
    began, used = time.perf_counter(), host.processor_seconds()
    operator = Connection(host.address, host.operator)
    _done(operator.call("client.revoke", {"command_id": f"revoke-{time.time_ns()}", "client": MALLORY}))
    operator.close()
    return Wait(time.perf_counter() - began, host.processor_seconds() - used)


def quantile(values: list[float], part: float) -> float:
    """The value that this part of all does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]
