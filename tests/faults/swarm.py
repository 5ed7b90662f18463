"""Many clients in one thread: each sends transfers and readings, comes back when its connection breaks, asks again for
what was not answered with the same command ids, and notes what it was told and when.

    swarm = Swarm(address, token, chance, clients=64, window=8)
    swarm.run(until=lambda: swarm.answered >= 100_000)
    swarm.settle()                                     # until everything that was ever asked is answered
"""

import json
import random
import selectors
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

from bench.wire import Connection, request

from tests.daemon.process import transfer
from tests.faults.claims import Reading, Told, Transfer

WALLETS = [f"w{number}" for number in range(24)]
HOT = WALLETS[0]
FUNDS = 5000
PATIENCE_SECONDS = 10.0


@dataclass
class Asked:
    """One request that is not answered yet; how often it was sent."""

    params: dict[str, Any]
    invoked: int
    sendings: int = 0
    shed: int = 0
    """How often it was said not to have been applied."""

    @property
    def is_transfer(self) -> bool:
        return "command_id" in self.params


class Client:
    """One client's connection and its open requests, by request id."""

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self.open: dict[int, Asked] = {}
        self.again: deque[Asked] = deque()


class Swarm:
    """All clients, and what they were told."""

    def __init__(self, address: str, token: str, chance: random.Random, clients: int, window: int) -> None:
        self.address = address
        self.token = token
        self.window = window
        self.transfers: list[Transfer] = []
        self.readings: list[Reading] = []
        self.breaks = 0
        self.replayed = 0
        self.refused = 0
        """How often a command was not taken, to be sent again."""
        self.strange: list[str] = []
        """Answers that no client should get."""
        self._chance = chance
        self._clients = [Client() for _ in range(clients)]
        self._tick = count()
        self._number = count(1)
        self._selector = selectors.DefaultSelector()
        self._asks_new = True

    @property
    def answered(self) -> int:
        return len(self.transfers) + len(self.readings)

    def has_answered(self, number: int) -> bool:
        """Whether so many answers came."""
        return self.answered >= number

    def has_broken_since(self, before: int) -> bool:
        """Whether a connection broke after so many had."""
        return self.breaks > before

    def run(self, until: Callable[[], bool]) -> None:
        """Ask and listen until it is enough."""
        self._asks_new = True
        self._loop(until)

    def settle(self) -> None:
        """Ask nothing new, until everything is answered."""
        self._asks_new = False
        self._loop(lambda: not any(client.open or client.again for client in self._clients))
        for client in self._clients:
            self._hang_up(client)

    def _loop(self, until: Callable[[], bool]) -> None:
        while not until():
            for client in self._clients:
                if client.connection is None:
                    self._connect(client)
                if client.connection is not None:
                    self._ask(client)
            for key, _ in self._selector.select(timeout=PATIENCE_SECONDS):
                self._listen(key.data)

    def _connect(self, client: Client) -> None:
        try:
            client.connection = Connection(self.address, self.token)
        except (OSError, AssertionError):
            self.breaks += 1
            return
        client.connection.socket.settimeout(PATIENCE_SECONDS)
        self._selector.register(client.connection.socket, selectors.EVENT_READ, client)

    def _hang_up(self, client: Client) -> None:
        """The connection is over; what was not answered will be asked again."""
        if client.connection is not None:
            self._selector.unregister(client.connection.socket)
            client.connection.close()
            client.connection = None
        client.again.extend(asked for asked in client.open.values())
        client.open.clear()

    def _ask(self, client: Client) -> None:
        assert client.connection is not None
        frames = []
        while len(client.open) < self.window and (client.again or self._asks_new):
            asked = client.again.popleft() if client.again else self._new()
            asked.sendings += 1
            number = next(self._number)
            client.open[number] = asked
            frames.append(request(number, "transfer.post" if asked.is_transfer else "balance.get", asked.params))
        if frames:
            try:
                client.connection.send(frames)
            except OSError:
                self.breaks += 1
                self._hang_up(client)

    def _new(self) -> Asked:
        invoked = next(self._tick)
        if self._chance.random() < 0.2:
            return Asked({"wallet": self._chance.choice(WALLETS), "asset": "EUR"}, invoked)
        payer, payee = self._chance.sample(WALLETS, 2)
        if self._chance.random() < 0.3 and payer != HOT:
            payee = HOT
        return Asked(transfer(f"c{invoked}", payer, payee, self._chance.randint(1, 400)), invoked)

    def _listen(self, client: Client) -> None:
        assert client.connection is not None
        try:
            messages = client.connection.take()
        except OSError:
            self.breaks += 1
            self._hang_up(client)
            return
        for message in messages:
            answer = json.loads(message)
            if "id" in answer and answer["id"] in client.open:
                self._note(client, client.open.pop(answer["id"]), answer)
            elif answer.get("method") not in ("hello", "lifecycle", "warning"):
                self.strange.append(f"no request has the answer {answer}")

    def _note(self, client: Client, asked: Asked, answer: dict[str, Any]) -> None:
        body = answer.get("result") or answer["error"]["data"]
        if "error" in answer and body["reason"] != "insufficient_funds":
            if body["outcome"] == "not_applied" and body["retry"] == "same_command_id":
                self.refused += 1
                asked.shed += 1
                client.again.append(asked)
            else:
                self.strange.append(f"{asked.params} was answered {answer}")
            return
        returned = next(self._tick)
        if not asked.is_transfer:
            (balance,) = body["balances"]
            told = Told(balance["wallet"], int(balance["posted"]), balance["version"])
            self.readings.append(Reading(told, asked.invoked, returned, body["sequence"]))
            return
        self.replayed += bool(body.get("replayed"))
        if body.get("replayed") and asked.sendings == asked.shed + 1:
            self.strange.append(f"{asked.params} was never taken, and its answer is a replay")
        (posting,) = asked.params["postings"]
        told_balances = tuple(
            Told(balance["wallet"], int(balance["posted"]), balance["version"]) for balance in body.get("balances", ())
        )
        self.transfers.append(
            Transfer(
                posting["from"],
                posting["to"],
                int(posting["amount"]),
                asked.invoked,
                returned,
                body["sequence"],
                int(body["available"]) if "error" in answer else None,
                told_balances,
            )
        )
