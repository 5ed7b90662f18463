"""The life of a ledger that is larger than every cache and every bound, and a naive model of what it must then show.

    with Life(directory, seed, entries, small=True) as life:
        life.whole()                                   # raises AssertionError where a promise was broken
    life.measures                                      # how much there was of what is bounded

It is loaded, compacted by its policy and by command, backed up, killed, built again from the snapshot and from the
journal, asked for what it had been told, read from the first page of everything to the last and streamed from 0, and
restored.  What a command does follows from its number, so that a dictionary is the model.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec
from bench.wire import Connection, answers, id_of, request

from tests.daemon.process import Daemon
from tests.faults import small
from tests.faults.bounds import CONSTANTS, Crossed, small_settings

AT_ONCE = 48
"""Commands that are sent in one write; at true defaults more."""

AT_ONCE_AT_DEFAULTS = 512
HELD_SECONDS = 10
"""From the placing of the holds to the one moment at which all of them end."""

PATIENCE_SECONDS = 60
PATIENCE_SECONDS_AT_DEFAULTS = 3600
PATIENCE_SECONDS_WITH_A_BUG = 30
SECONDS_BETWEEN_LOOKS = 0.1
NOTE = "x" * 480
ABSURD = "9" * 30
MESSAGE_BYTES = 1024 * 1024
"""What a client takes by default; nothing that is sent may be larger.  Where bounds are small, it is that of them."""


class Size(NamedTuple):
    """How much of everything there is, for so many entries."""

    wallets: int
    assets: int
    holds: int
    commands: int
    replayed: int
    at_once: int

    @classmethod
    def of(cls, entries: int, *, is_small: bool) -> "Size":
        """About so many entries."""
        wallets = max(100, entries // 30)
        assets, holds = (60, 120) if is_small else (2_000, 2_100)
        commands = max(500, entries - wallets - 2 * assets - holds)
        return cls(wallets, assets, holds, commands, min(commands, 2_000), AT_ONCE if is_small else AT_ONCE_AT_DEFAULTS)


class Command(NamedTuple):
    """A command of the load: what is asked, whether it is applied, and what it moves."""

    method: str
    params: dict[str, Any]
    is_applied: bool
    moves: tuple[tuple[str, str, int], ...]


def command(seed: int, number: int, wallets: int) -> Command:
    """The command of this number."""
    chance = (number * 2_654_435_761 + seed * 40_503) % 2**32
    kind, one, other = chance % 64, chance // 64 % wallets, chance // 7919 % wallets
    source = "hot" if chance // 3 % 4 == 0 else f"w{one}"
    to = f"w{other}" if f"w{other}" != source else f"w{(other + 1) % wallets}"
    amount, name = chance // 101 % 1000 + 1, f"c{number}"
    if kind == 0:
        postings = [{"from": source, "to": to, "asset": "EUR", "amount": ABSURD}]
        return Command("transfer.post", {"command_id": name, "postings": postings}, False, ())
    if kind == 1:
        metadata = {"number": str(number), "note": NOTE}
        return Command("wallet.update", {"command_id": name, "wallet": f"w{one}", "metadata": metadata}, True, ())
    moves = (("@external", source, amount), (source, to, max(1, amount // 2)))
    postings = [{"from": a, "to": b, "asset": "EUR", "amount": str(units)} for a, b, units in moves]
    if kind == 2:
        commands = [{"method": "transfer.post", "command_id": f"{name}-0", "postings": postings}]
        return Command("batch.execute", {"command_id": name, "commands": commands, "atomic": True}, True, moves)
    return Command("transfer.post", {"command_id": name, "postings": postings}, True, moves)


class Life:
    """A daemon, what it was told, and the model."""

    def __init__(self, directory: Path, seed: int, entries: int, *, is_small: bool, bug: str = "") -> None:
        self.size = Size.of(entries, is_small=is_small)
        self.measures: Counter[str] = Counter()
        self.seconds: dict[str, float] = {}
        self._directory = directory
        self._seed = seed
        self._is_small = is_small
        self._patience = PATIENCE_SECONDS if is_small else PATIENCE_SECONDS_AT_DEFAULTS
        if bug:
            self._patience = PATIENCE_SECONDS_WITH_A_BUG
        self._bug = bug
        self._daemon = self._daemon_on(directory / "data")
        self._told = array("Q")
        """For each command of the load the sequence that it was answered with; of a refusal, too."""
        self._posted: dict[tuple[str, str], int] = defaultdict(int)
        self._hot_lines = 0
        self._placed: Counter[str] = Counter()
        """How many holds each wallet has."""

    def __enter__(self) -> Self:
        self._daemon.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._daemon.process is not None:
            self._daemon.kill()

    def whole(self) -> None:
        """Everything that happens to a ledger, in turn.  Raises AssertionError."""
        self._step("load", self._load)
        self._step("compaction by policy", self._compacted_by_policy)
        self._step("compaction by command", self._compact)
        self._step("walks", self._look)
        self._step("backup", self._back_up)
        self._step("stream", self._stream)
        self._step("restart", lambda: self._again())
        self._step("replays", self._replay)
        self._step("from the snapshot", lambda: self._again("state.db*"))
        self._step("from the journal", lambda: self._again("state.db*", "snapshot-*"))
        self._step("stream of what was built again", self._stream)
        self._step("end", self._end)
        self._step("verify", lambda: self._walletd("verify", str(self._daemon.data)))
        self._step("restore", self._restore)

    def _step(self, name: str, step: Any) -> None:
        began = time.monotonic()
        try:
            step()
        except (ConnectionError, OSError) as cut_off:
            raise AssertionError(f"the daemon lives, but in {name}: {self._daemon.log()[-1500:]}") from cut_off
        self.seconds[name] = round(time.monotonic() - began, 1)

    # --- load ------------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        with self._connection() as connection:
            connection.do("asset.define", command_id="EUR", asset="EUR", scale=2)
            names = ["hot", "holder", "collector", *(f"w{number}" for number in range(self.size.wallets))]
            opened = [Command("wallet.open", _opening(name), True, ()) for name in names]
            self._ask_all(connection, opened)
            self._hold(connection)
            every = (command(self._seed, number, self.size.wallets) for number in range(self.size.commands))
            self._told.extend(self._ask_all(connection, every))
            self._collect(connection)
            self._subscribe_too_often(connection)
        self.measures["wallets"] = len(names)
        self.measures["commands sent at once"] = self.size.at_once
        self.measures["entries"] = self._head()

    def _ask_all(self, connection: "Asker", commands: Any) -> Iterator[int]:
        """Have each command answered as the model has it, some at once; the sequences, in order."""
        sequences: list[int] = []
        waiting: list[Command] = []
        for one in commands:
            waiting.append(one)
            if len(waiting) == self.size.at_once:
                sequences += self._answered(connection, waiting)
                waiting = []
        if waiting:
            sequences += self._answered(connection, waiting)
        return iter(sequences)

    def _answered(self, connection: "Asker", commands: list[Command]) -> list[int]:
        payloads = [request(n + 1, one.method, one.params) for n, one in enumerate(commands)]
        self.measures["bytes sent at once"] = max(self.measures["bytes sent at once"], sum(map(len, payloads)))
        sequences = []
        for one, answer in zip(commands, connection.ask(payloads), strict=True):
            shown = answer["result"] if "result" in answer else answer["error"]["data"]
            assert ("result" in answer) == one.is_applied, f"an answer is the model's: {one} {answer}"
            sequences.append(int(shown["sequence"]))
            for source, to, amount in one.moves:
                self._posted[source, "EUR"] -= amount
                self._posted[to, "EUR"] += amount
                self._hot_lines += "hot" in (source, to)
        return sequences

    def _hold(self, connection: "Asker") -> None:
        """Many holds that end at the same moment, each with as much to say as it may have: half are of one wallet."""
        holders = self._holders()
        for first in range(0, len(holders), 50):
            paid = [_posting("@external", holder, "EUR", 10**6) for holder in holders[first : first + 50]]
            connection.do("transfer.post", command_id=f"f{first}", postings=paid)
        for holder in holders:
            self._move("@external", holder, "EUR", 10**6)
        words = {f"key-{number}": NOTE for number in range(4 if self._is_small else 16)}
        ends = datetime.now(UTC) + timedelta(seconds=HELD_SECONDS * (1 if self._is_small else 2))
        places = [holders[n // 2 % (len(holders) - 1) + 1 if n % 2 else 0] for n in range(self.size.holds)]
        asked = [request(n + 1, "hold.place", _hold(f"h{n}", place, ends, words)) for n, place in enumerate(places)]
        step = max(1, self.size.at_once // 8)
        for first in range(0, len(asked), step):
            outcomes = connection.ask(asked[first : first + step], first)
            self._placed.update(place for place, one in zip(places[first:], outcomes, strict=False) if "result" in one)
        self.measures["holds that end at one moment"] = self._placed.total()
        size = self._placed["holder"] * sum(map(len, words.values()))
        self.measures["bytes of holds of one wallet that end at one moment"] = size
        assert self._placed.total() > self.size.holds // 2, "too slow to place the holds"

    def _holders(self) -> list[str]:
        return ["holder", *(f"w{number}" for number in range(min(self.size.holds // 2, self.size.wallets)))]

    def _collect(self, connection: "Asker") -> None:
        """One wallet has something of many assets."""
        names = [f"A{number}" for number in range(self.size.assets)]
        self._ask_all(connection, [Command("asset.define", _asset(name), True, ()) for name in names])
        paid = [
            Command(
                "transfer.post",
                {"command_id": f"p{n}", "postings": [_posting("@external", "collector", n, 7)]},
                True,
                (),
            )
            for n in names
        ]
        self._ask_all(connection, paid)
        for name in names:
            self._move("@external", "collector", name, 7)
        self.measures["assets"] = len(names)

    def _move(self, source: str, to: str, asset: str, amount: int) -> None:
        self._posted[source, asset] -= amount
        self._posted[to, asset] += amount

    def _subscribe_too_often(self, connection: "Asker") -> None:
        if self._is_small:
            asked = [request(n + 1, "stream.subscribe", {"wallets": ["w0"]}) for n in range(6)]
            refused = sum("error" in answer for answer in connection.ask(asked))
            assert refused == 2, "only so many subscriptions are accepted"
            self.measures["subscriptions asked for"] = 6

    # --- compaction and backup -------------------------------------------------------------------------------------

    def _compacted_by_policy(self) -> None:
        """At true defaults only where the journal has grown to a gigabyte."""
        if self._is_small:
            self._until("the policy compacts", lambda: self._compaction().get("runs", 0) > 0)

    def _compact(self) -> None:
        self._until("no compaction is under way", lambda: self._compaction()["step"] == "idle")
        before = self._compaction().get("runs", 0)
        with self._connection() as connection:
            connection.do("daemon.compact", keep_entries=50)
        self._until("every compaction finishes", lambda: self._compaction().get("runs", 0) > before)
        self.measures["compactions"] = self._compaction()["runs"]
        *_, newest = sorted(self._daemon.data.glob("snapshot-*.db"))
        self.measures["KiB of read tables"] = newest.stat().st_size // 1024
        files = list((self._daemon.data / "archive").iterdir())
        self.measures["KiB of archive"] = sum(file.stat().st_size for file in files) // 1024
        assert not self._is_small or len(files) > 2, "no constant of a module was made small"

    def _compaction(self) -> dict[str, Any]:
        with self._connection() as connection:
            found: dict[str, Any] = connection.do("daemon.status")["compaction"]
        assert not found.get("failures"), f"every compaction finishes, but: {found}"
        return found

    def _until(self, what: str, holds: Any) -> None:
        """Look again and again whether it holds, for as long as the daemon lives."""
        deadline = time.monotonic() + self._patience
        while not holds():
            assert time.monotonic() < deadline, f"{what}: not after {self._patience} s"
            assert self._daemon.process is not None
            with suppress(subprocess.TimeoutExpired):
                ended = self._daemon.process.wait(timeout=SECONDS_BETWEEN_LOOKS)
                raise AssertionError(f"the daemon lives, but it ended with {ended}: {self._daemon.log()[-1500:]}")

    def _back_up(self) -> None:
        self._walletd("backup", str(self._directory / "backup"), "--url", self._daemon.url)

    def _restore(self) -> None:
        restored = self._directory / "restored"
        self._walletd("restore", str(self._directory / "backup"), str(restored), "--yes")
        shutil.copy(self._daemon.data / "operator.token", restored)
        self._daemon = self._daemon_on(restored)
        self._daemon.start()
        self._look()
        self._replay()
        self._end()

    def _again(self, *without: str) -> None:
        """kill -9, maybe lose some files, and start again."""
        self._daemon.kill()
        for pattern in without:
            for file in self._daemon.data.glob(pattern):
                file.unlink()
        self._daemon.start()
        self._look()

    def _end(self) -> None:
        self._daemon.signal(signal.SIGTERM)
        assert self._daemon.wait() == 0, f"it ends as it was told: {self._daemon.log()[-1500:]}"
        wrong = [line for line in self._daemon.log().splitlines() if " ERROR " in line or "Traceback" in line]
        assert not wrong, f"no fault is in the log: {wrong[:3]}"

    # --- looking ---------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Walk over everything, page by page, and compare it with the model."""
        with self._connection() as connection:
            self._walk_wallets(connection)
            self._walk_statement(connection)
            self._walk_holds(connection)
            audit = connection.do("daemon.audit")
            assert not audit["violations"], f"the books add up: {audit['violations'][:3]}"
            self.measures["kinds of questions"] = 4

    def _walk_wallets(self, connection: "Asker") -> None:
        posted: dict[tuple[str, str], int] = {}
        names: list[str] = []
        for page in connection.pages("wallet.list", "after", limit=100):
            for wallet in page["wallets"]:
                names.append(wallet["wallet"])
                if names[-1] not in ("@external", "collector"):
                    posted |= {(names[-1], one["asset"]): int(one["posted"]) for one in wallet["balances"]}
        assert names == sorted(set(names)), "a walk shows each wallet once"
        assert len(names) == self.size.wallets + 4, f"a walk shows every wallet: {len(names)}"
        for wallet in ("@external", "collector"):
            for page in connection.pages("balance.get", "after", wallet=wallet):
                posted |= {(wallet, one["asset"]): int(one["posted"]) for one in page["balances"]}
        expected = {key: amount for key, amount in self._posted.items() if amount}
        found = {key: amount for key, amount in posted.items() if amount}
        other = sorted(key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key))
        assert not other, f"balances are the model's, but {other[:5]}"

    def _walk_statement(self, connection: "Asker") -> None:
        walks = []
        for newest_first in (False, True):
            lines: list[tuple[int, int, int, int]] = []
            for page in connection.pages(
                "statement.get", "cursor", wallet="hot", newest_first=newest_first, limit=1000
            ):
                lines += [
                    (one["sequence"], one["line"], int(one["amount"]), int(one["posted"])) for one in page["lines"]
                ]
            walks.append(lines)
        forward, backward = walks
        assert forward == backward[::-1], "a statement is the same from both ends"
        assert len(forward) == self._hot_lines, f"a statement has every line: {len(forward)} of {self._hot_lines}"
        total = 0
        for _, _, amount, posted in forward:
            total += amount
            assert posted == total, "each line goes on from the one before"
        assert total == self._posted["hot", "EUR"]
        self.measures["lines of one statement"] = len(forward)

    def _walk_holds(self, connection: "Asker") -> None:
        def states(wallet: str) -> Counter[str]:
            pages = connection.pages("hold.list", "after", wallet=wallet, also_closed=True, limit=100)
            return Counter(hold["state"] for page in pages for hold in page["holds"])

        for wallet, count in self._placed.items():
            assert states(wallet).total() == count, f"a walk shows every hold of {wallet}"
            self._until("every hold expires", lambda wallet=wallet, count=count: states(wallet) == {"expired": count})
            balances = connection.do("balance.get", wallet=wallet, asset="EUR")["balances"]
            assert [one["held"] for one in balances] == ["0"], "nothing is held any more"

    def _replay(self) -> None:
        """Some commands of the whole load again, and all of a piece of it."""
        step = max(1, len(self._told) // self.size.replayed)
        with self._connection() as connection:
            chosen = range(0, len(self._told), step)
            for first in range(0, len(chosen), self.size.at_once):
                numbers = chosen[first : first + self.size.at_once]
                asked = [command(self._seed, number, self.size.wallets) for number in numbers]
                payloads = [request(n + 1, one.method, one.params) for n, one in enumerate(asked)]
                for number, answer in zip(numbers, connection.ask(payloads), strict=True):
                    shown = answer["result"] if "result" in answer else answer["error"]["data"]
                    told = (shown.get("replayed"), shown["sequence"])
                    assert told == (True, self._told[number]), f"what is asked again is answered again: {answer}"
        self.measures["replays"] += len(chosen)

    def _stream(self) -> None:
        """Every entry from the first, without a gap; what was told is in it; nothing in it is too large."""
        most = MESSAGE_BYTES
        if self._is_small:
            bound = CONSTANTS["vocabulary.sizes"]["MAX_FRAME_BYTES"]
            assert isinstance(bound, Crossed)
            most = bound.small
        head, expired, largest, size, expected = self._head(), Counter[str](), 0, 0, 1
        with self._connection() as connection:
            connection.send_only(request(1, "stream.subscribe", {"all": True, "after": 0}))
            for message in connection.events(self._patience):
                assert len(message) <= most, f"every event fits into a message: {len(message)} bytes"
                event = _event(message)
                assert event.sequence == expected, f"a stream from 0 shows every entry, but not {expected}"
                expected, size, largest = expected + 1, size + len(message), max(largest, len(message))
                expired.update(event.expired)
                if expected > head and expired.total() >= self._placed.total():
                    break
        assert expected > head, f"a stream from 0 shows every entry, but only {expected - 1} of {head}"
        assert expired.total() == len(expired), "a hold expires once"
        assert len(expired) == self._placed.total(), f"every hold expires, but only {len(expired)}"
        self.measures["bytes of the journal"] = size
        self.measures["MiB of the journal"] = size // 2**20
        self.measures["bytes of the largest event"] = largest

    def _head(self) -> int:
        with self._connection() as connection:
            return int(connection.do("daemon.status")["head"])

    # --- processes -------------------------------------------------------------------------------------------------

    def _daemon_on(self, data: Path) -> Daemon:
        environment = {"TEST_BUG": self._bug, "WALLETD_LOG_FORMAT": "console"}
        if self._is_small:
            environment |= {"TEST_SMALL": "1", **small_settings()}
        daemon = Daemon(data, environment=environment)
        daemon.program = small.PROGRAM
        return daemon

    def _connection(self) -> "Asker":
        return Asker(self._daemon.url, self._daemon.token)

    def _walletd(self, *arguments: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("WALLETD_")}
        if self._daemon.process is not None:
            environment["WALLETD_TOKEN"] = self._daemon.token
        command = [sys.executable, "-m", "walletd", *arguments]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, f"walletd {arguments[0]} succeeds: {ended.stderr[-1500:]}"


class Event(NamedTuple):
    """Of an event: which entry it is, and which holds expired with it."""

    sequence: int
    expired: list[str]


class _Hold(msgspec.Struct):
    hold: str
    state: str


class _Effects(msgspec.Struct):
    holds: list[_Hold] = []


class _Entry(msgspec.Struct):
    effects: _Effects | None = None


class _Params(msgspec.Struct):
    sequence: int
    entry: _Entry


class _Pushed(msgspec.Struct):
    params: _Params


_decode_pushed = msgspec.json.Decoder(_Pushed).decode


def _event(message: bytes) -> Event:
    params = _decode_pushed(message).params
    holds = params.entry.effects.holds if params.entry.effects is not None else []
    return Event(params.sequence, [hold.hold for hold in holds if hold.state == "expired"])


class Asker:
    """A connection that asks again for what the daemon was too busy for."""

    def __init__(self, address: str, token: str) -> None:
        self._connection = Connection(address, token)
        self._early: list[bytes] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, payloads: list[bytes], first: int = 0) -> list[dict[str, Any]]:
        """The answers to requests whose ids go up by one from ``first`` + 1, in that order."""
        found: dict[int, dict[str, Any]] = {}
        left = list(range(len(payloads)))
        while left:
            self._connection.send([payloads[place] for place in left])
            waiting = len(left)
            while waiting:
                for message in answers(self._connection.take()):
                    waiting -= 1
                    answer = json.loads(message)
                    if answer.get("error", {}).get("data", {}).get("reason") not in ("overloaded", "rate_limited"):
                        found[id_of(message) - first - 1] = answer
            left = [place for place in left if place not in found]
        return [found[place] for place in range(len(payloads))]

    def do(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a request that succeeds."""
        (answer,) = self.ask([request(1, method, params)])
        assert "result" in answer, f"{method} succeeds: {str(answer)[:1000]}"
        return dict(answer["result"])

    def pages(self, method: str, behind: str, **params: Any) -> Iterator[dict[str, Any]]:
        """Every page from the first to the last; ``behind`` is the parameter that takes ``next``."""
        page = self.do(method, **params)
        yield page
        while (following := page.get("next")) is not None:
            page = self.do(method, **params, **{behind: following})
            yield page

    def send_only(self, payload: bytes) -> None:
        self._connection.send([payload])

    def events(self, patience: float) -> Iterator[bytes]:
        """The events of streams as they come, for so many seconds."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            for message in self._connection.take():
                if b'"stream.event"' in message[:64]:
                    yield message


def _opening(name: str) -> dict[str, Any]:
    return {"command_id": f"open-{name}", "wallet": name, "metadata": {"name": name, "note": NOTE[:100]}}


def _asset(name: str) -> dict[str, Any]:
    return {"command_id": f"define-{name}", "asset": name, "scale": 0}


def _hold(name: str, wallet: str, ends: datetime, words: dict[str, str]) -> dict[str, Any]:
    expires_at = ends.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {
        "command_id": name,
        "wallet": wallet,
        "asset": "EUR",
        "amount": "1",
        "expires_at": expires_at,
        "metadata": words,
    }


def _posting(source: str, to: str, asset: str, amount: int) -> dict[str, str]:
    return {"from": source, "to": to, "asset": asset, "amount": str(amount)}
