"""The town of the demonstration: its wallets, and the balances that follow from all answers so far.

    town = Town.founded("demo-k3x9", wallets=300)
    town.apply(legs)                      # once for each transfer that the daemon says it applied
    town.posted["demo-k3x9/ada-001", "EUR"]

Amounts are whole numbers of smallest units.
"""

from collections import defaultdict
from collections.abc import Iterable
from random import Random

from walletd.client import Leg
from walletd.vocabulary.identifiers import EXTERNAL

SCALES = {"EUR": 2, "BTC": 8, "ETH": 18}

TRADES = ("bakery", "books", "cafe", "cinema", "flowers", "grocer", "kiosk", "pharmacy", "records", "tailor")
NAMES = ("ada", "ben", "chloe", "dev", "emre", "fatou", "goran", "hana", "ivo", "june", "kofi", "lena", "mei", "noor")

CUSTOMERS_PER_SHOP = 9


class Town:
    """Shops, customers, the wallet that collects fees and the wallet that exchanges money."""

    def __init__(self, run: str, shops: list[str], customers: list[str]) -> None:
        self.run = run
        self.shops = shops
        self.customers = customers
        self.fees = f"@fees:{run}"
        self.exchange = f"@exchange:{run}"
        self.nobody = f"{run}/nobody"
        self.posted: dict[tuple[str, str], int] = defaultdict(int)

    @classmethod
    def founded(cls, run: str, wallets: int) -> "Town":
        """A town with this many shops and customers, before any wallet is open."""
        shop_count = max(1, wallets // (CUSTOMERS_PER_SHOP + 1))
        shops = [f"{run}/shop/{TRADES[i % len(TRADES)]}-{i + 1:02}" for i in range(shop_count)]
        customers = [f"{run}/{NAMES[i % len(NAMES)]}-{i + 1:03}" for i in range(max(2, wallets - shop_count))]
        return cls(run, shops, customers)

    @property
    def prefix(self) -> str:
        """The prefix of all names of shops and customers, and of no others."""
        return f"{self.run}/"

    @property
    def wallets(self) -> list[str]:
        """Every wallet that the demonstration opens."""
        return [self.fees, self.exchange, *self.shops, *self.customers]

    def apply(self, legs: Iterable[Leg]) -> None:
        """Record movements that the daemon applied."""
        for leg in legs:
            assert isinstance(leg.amount, int)
            if leg.source != EXTERNAL:
                self.posted[leg.source, leg.asset] -= leg.amount
            if leg.to != EXTERNAL:
                self.posted[leg.to, leg.asset] += leg.amount

    def has(self, wallet: str, asset: str) -> int:
        """The balance that follows from all answers so far; commands in flight may have changed it already."""
        return self.posted.get((wallet, asset), 0)


PREFIX = "demo-"
"""The beginning of the names of all runs."""


def run_name(chance: Random) -> str:
    """A name that no earlier run had: its wallets stay in the ledger permanently."""
    return PREFIX + "".join(chance.choices("abcdefghjkmnpqrstuvwxyz23456789", k=6))
