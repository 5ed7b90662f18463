"""Wallets with money, and what is asked of them.

    town = Town(daemon, wallets=10_000)
    town.transfers()                                   # between two wallets by chance
    town.transfers(to=town.hot)                        # to one that everybody pays

An asking is called for each request; it is made from a template, because it must cost the generator almost nothing.
"""

import bisect
import random
from collections.abc import Sequence
from itertools import accumulate

from bench.asking import Asking
from bench.daemon import Daemon
from bench.wire import Connection, answers, id_of, request

ASSET = "EUR"
FUNDS = 10**12
VELOCITY_SECONDS = 3600
VELOCITY_AMOUNT = 10**12
PAIRS = 1 << 16
"""How many choices of wallets are made beforehand, and then come around again."""

BATCH = 1000
MAX_POSTINGS = 100
STATEMENT_LINES = 20

_POST = (
    b'{"jsonrpc":"2.0","id":%d,"method":"transfer.post","params":{"command_id":"%b-%d",'
    b'"postings":[{"from":"%b","to":"%b","asset":"EUR","amount":"1"}]}}'
)
_BATCH = (
    b'{"jsonrpc":"2.0","id":%d,"method":"batch.execute","params":{"command_id":"%b-%d","atomic":%b,"commands":[%b]}}'
)
_BATCHED = (
    b'{"method":"transfer.post","command_id":"%b-%d-%d",'
    b'"postings":[{"from":"%b","to":"%b","asset":"EUR","amount":"1"}]}'
)
_PLACE = (
    b'{"jsonrpc":"2.0","id":%d,"method":"hold.place","params":{"command_id":"%b-%d","wallet":"%b","asset":"EUR",'
    b'"amount":"1"}}'
)
_CAPTURE = (
    b'{"jsonrpc":"2.0","id":%d,"method":"hold.capture","params":{"command_id":"%b-%d","wallet":"%b","hold":"%b",'
    b'"parts":[{"to":"%b","amount":"1"}],"final":true}}'
)
_BALANCE = b'{"jsonrpc":"2.0","id":%d,"method":"balance.get","params":{"wallet":"%b"}}'
_STATEMENT = b'{"jsonrpc":"2.0","id":%d,"method":"statement.get","params":{"wallet":"%b","limit":%d}}'
_PING = b'{"jsonrpc":"2.0","id":%d,"method":"session.ping","params":{}}'

Pair = tuple[bytes, bytes]


class Town:
    """The wallets ``w0``, ``w1``...; the last of them is ``hot``.  Funded unless they are there already."""

    def __init__(self, daemon: Daemon, wallets: int, *, is_there: bool = False) -> None:
        self.names = [f"w{number}" for number in range(wallets)]
        self.hot = self.names[-1].encode()
        self._chance = random.Random(7)
        self._runs = 0
        self._daemon = daemon
        if not is_there:
            connection = daemon.connect()
            _tell(connection, "asset.define", {"command_id": "asset", "asset": ASSET, "scale": 2})
            _open_all(connection, self.names)
            _fund_all(connection, self.names)
            connection.close()

    def limit_velocity(self) -> None:
        """Every wallet lets out no more than so much an hour from now on; it is more than anyone will spend."""
        connection = self._daemon.connect()
        limits = {ASSET: {"velocity": [{"seconds": VELOCITY_SECONDS, "amount": str(VELOCITY_AMOUNT)}]}}
        _tell_all(
            connection,
            [
                ("wallet.update", {"command_id": f"limit-{name}", "wallet": name, "limits": limits})
                for name in self.names
            ],
        )
        connection.close()

    def transfers(self, to: bytes | None = None) -> "Transfers":
        """Payments between two wallets by chance, or to one that everybody pays."""
        return Transfers(self._run(), self.pairs(to))

    def zipf_transfers(self, exponent: float = 1.0) -> "Transfers":
        """Payments between wallets chosen by Zipf's law: the n-th busiest as often as 1 / n ** exponent.

        Who is the n-th busiest is by chance, too, so that neighbours in the tables are not neighbours in rank.
        """
        ranked = [name.encode() for name in self.names]
        self._chance.shuffle(ranked)
        chosen = zipf(ranked, 2 * PAIRS, exponent, self._chance)
        pairs = [(one, other) for one, other in zip(chosen[::2], chosen[1::2], strict=True) if one != other]
        return Transfers(self._run(), pairs)

    def batches(self, *, atomic: bool) -> "Batches":
        """A thousand payments in one request: all or none of them, or each for itself."""
        return Batches(self._run(), self.pairs(), atomic=atomic)

    def holds(self) -> "Holds":
        """A hold, and then the capture of it to another wallet."""
        return Holds(self._run(), self.pairs())

    def mixed(self) -> "Mixed":
        """Of ten requests five payments, four readings of a balance, one of a statement's newest lines."""
        return Mixed(self._run(), self.pairs())

    def ask_all(self, asking: Asking, count: int, window: int = 1000) -> None:
        """Ask so many times, some under way at a time; what the daemon was too busy for is not asked for again."""
        connection = self._daemon.connect()
        for start in range(1, count + 1, window):
            part = range(start, min(start + window, count + 1))
            connection.send([asking(number, None) for number in part])
            answered = 0
            while answered < len(part):
                answered += len(answers(connection.take()))
        connection.close()

    def pairs(self, to: bytes | None = None) -> list[Pair]:
        """Two different wallets, many times; none of them is the hot one unless it is the one that is paid."""
        names = [name.encode() for name in self.names[:-1]]
        sample = self._chance.sample
        if to is not None:
            return [(self._chance.choice(names), to) for _ in range(PAIRS)]
        return [(one, other) for one, other in (sample(names, 2) for _ in range(PAIRS))]

    def _run(self) -> bytes:
        self._runs += 1
        return b"r%d" % self._runs


class Pings:
    """What the gateway answers without the journal: the echo beside which commands are measured."""

    commands = 1

    def __call__(self, number: int, after: bytes | None) -> bytes:
        return _PING % number


class Transfers:
    """``transfer.post`` with one posting."""

    commands = 1

    def __init__(self, run: bytes, pairs: Sequence[Pair]) -> None:
        self._run = run
        self._pairs = pairs
        self._count = len(pairs)

    def __call__(self, number: int, after: bytes | None) -> bytes:
        source, to = self._pairs[number % self._count]
        return _POST % (number, self._run, number, source, to)


class Batches:
    """``batch.execute`` with a thousand transfers.

    A hundred bodies are made beforehand but for their ids, so that the generator is not what is measured.
    """

    commands = BATCH

    def __init__(self, run: bytes, pairs: Sequence[Pair], *, atomic: bool) -> None:
        self._run = run
        self._atomic = b"true" if atomic else b"false"
        self._bodies = [
            b",".join(
                _BATCHED % (b"@RUN@", 0, index, *pairs[(batch * BATCH + index) % len(pairs)]) for index in range(BATCH)
            )
            for batch in range(16)
        ]

    def __call__(self, number: int, after: bytes | None) -> bytes:
        body = self._bodies[number % len(self._bodies)].replace(b"@RUN@-0", b"%b-%d" % (self._run, number))
        return _BATCH % (number, self._run, number, self._atomic, body)


class Holds:
    """``hold.place``, and behind its answer ``hold.capture``: two commands, one after the other."""

    commands = 1

    def __init__(self, run: bytes, pairs: Sequence[Pair]) -> None:
        self._run = run
        self._pairs = pairs
        self._placed: dict[int, Pair] = {}

    def __call__(self, number: int, after: bytes | None) -> bytes:
        if after is not None:
            placed = self._placed.pop(id_of(after), None)
            if placed is not None and (hold := _hold_in(after)):
                return _CAPTURE % (number, self._run, number, placed[0], hold, placed[1])
        pair = self._pairs[number % len(self._pairs)]
        self._placed[number] = pair
        return _PLACE % (number, self._run, number, pair[0])


class Mixed:
    """Payments, balances and statements, 5 : 4 : 1."""

    commands = 1

    def __init__(self, run: bytes, pairs: Sequence[Pair]) -> None:
        self._transfers = Transfers(run, pairs)
        self._pairs = pairs

    def __call__(self, number: int, after: bytes | None) -> bytes:
        kind = number % 10
        if kind < 5:
            return self._transfers(number, None)
        wallet = self._pairs[number % len(self._pairs)][0]
        return _BALANCE % (number, wallet) if kind < 9 else _STATEMENT % (number, wallet, STATEMENT_LINES)


def zipf(ranked: Sequence[bytes], count: int, exponent: float, chance: random.Random) -> list[bytes]:
    """So many choices; the n-th of ``ranked`` weighs 1 / n ** exponent."""
    bounds = list(accumulate(1 / (rank**exponent) for rank in range(1, len(ranked) + 1)))
    return [ranked[bisect.bisect(bounds, chance.random() * bounds[-1])] for _ in range(count)]


def _open_all(connection: Connection, names: Sequence[str]) -> None:
    _tell_all(connection, [("wallet.open", {"command_id": f"open-{name}", "wallet": name}) for name in names])


def _fund_all(connection: Connection, names: Sequence[str]) -> None:
    asked: list[tuple[str, dict[str, object]]] = []
    for start in range(0, len(names), MAX_POSTINGS):
        postings = [
            {"from": "@external", "to": name, "asset": ASSET, "amount": str(FUNDS)}
            for name in names[start : start + MAX_POSTINGS]
        ]
        asked.append(("transfer.post", {"command_id": f"fund-{start}", "postings": postings}))
    _tell_all(connection, asked)


def _tell_all(connection: Connection, asked: Sequence[tuple[str, dict[str, object]]], window: int = 500) -> None:
    """Every command applied, some hundreds of them under way at a time."""
    for start in range(0, len(asked), window):
        part = asked[start : start + window]
        connection.send([request(number, method, params) for number, (method, params) in enumerate(part)])
        answered = 0
        while answered < len(part):
            for message in answers(connection.take()):
                assert b'"result"' in message, message
                answered += 1


def _tell(connection: Connection, method: str, params: dict[str, object]) -> None:
    _tell_all(connection, [(method, params)])


def _hold_in(message: bytes) -> bytes | None:
    start = message.find(b'"hold":"')
    return None if start < 0 else message[start + 8 : message.index(b'"', start + 8)]
