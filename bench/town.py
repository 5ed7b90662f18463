"""Wallets with money, and what their clients ask for: makers of requests, each by its number."""

import random
from collections.abc import Callable
from typing import Any

from wire import request

from daemon import Daemon

Make = Callable[[int], bytes]
BATCH = 1000


class Town:
    """Wallets with money, and transfers between them."""

    def __init__(self, daemon: Daemon, wallets: int) -> None:
        self.daemon = daemon
        self.chance = random.Random(7)
        self.wallets = [f"bench.{n}" for n in range(wallets)]
        self.run = 0
        connection = daemon.connect()
        connection.call("asset.define", {"command_id": "eur", "asset": "EUR", "scale": 2})
        for wallet in self.wallets:
            connection.call("wallet.open", {"command_id": f"open-{wallet}", "wallet": wallet})
            connection.call("transfer.post", self._pay(f"fund-{wallet}", "@external", wallet, 10**9))
        connection.close()

    def transfers(self, to: str | None = None) -> Make:
        """Payments between two wallets by chance, or to one that everybody pays."""
        self.run += 1
        run = self.run

        def make(number: int) -> bytes:
            source, other = self.chance.sample(self.wallets[1:], 2)
            return request(number, "transfer.post", self._pay(f"{run}-{number}", source, to or other, 1))

        return make

    def batches(self) -> Make:
        """A thousand transfers in each."""
        self.run += 1
        run = self.run

        def make(number: int) -> bytes:
            commands = []
            for index in range(BATCH):
                source, other = self.chance.sample(self.wallets[1:], 2)
                inner = self._pay(f"{run}-{number}.{index}", source, other, 1)
                commands.append({"method": "transfer.post", **inner})
            return request(number, "batch.execute", {"command_id": f"{run}-{number}", "commands": commands})

        return make

    def mixed(self) -> Make:
        """Four reads of balances to each transfer."""
        transfer = self.transfers()

        def make(number: int) -> bytes:
            if number % 5 == 0:
                return transfer(number)
            return request(number, "balance.get", {"wallet": self.chance.choice(self.wallets)})

        return make

    def limit_velocity(self) -> None:
        """Let each payer let out at most so much within a minute: more than it does, so that nothing is refused."""
        connection = self.daemon.connect()
        for wallet in self.wallets[1:]:
            limits = {"EUR": {"velocity": [{"seconds": 60, "amount": str(10**9)}]}}
            connection.call("wallet.update", {"command_id": f"limit-{wallet}", "wallet": wallet, "limits": limits})
        connection.close()

    @staticmethod
    def _pay(command_id: str, source: str, to: str, amount: int) -> dict[str, Any]:
        return {
            "command_id": command_id,
            "postings": [{"from": source, "to": to, "asset": "EUR", "amount": str(amount)}],
        }


def ping(number: int) -> bytes:
    """What the gateway answers without the journal: the echo beside which commands are measured."""
    return request(number, "session.ping", {})
