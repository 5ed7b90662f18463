"""The deeds of the people in the town: each is a transfer with its expected outcome.

    deed = Dealer(town, chance, past).next()

Most deeds should be applied, some must be refused; the expectation is fixed before the daemon is asked.
"""

from collections import deque
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from walletd.cli.demo.town import Town
from walletd.client import Leg
from walletd.vocabulary.identifiers import EXTERNAL
from walletd.vocabulary.reasons import Reason

FEE_DIVISOR = 50
"""The town takes a fiftieth of every purchase, two per cent, rounded down, and at least the smallest unit."""

LOW_EUR = 30_00
MAX_PAST_PURCHASES = 2000
BEYOND_ALL_MEANS = 10**12

PRICES = {"EUR": (80, 60_00), "BTC": (2_000, 90_000), "ETH": (10**13, 10**16)}
DEPOSITS = {"EUR": (100_00, 900_00), "BTC": (500_000, 9_000_000), "ETH": (10**16, 10**18)}


class Deed(NamedTuple):
    """A transfer, its purpose and, if it must be refused, the expected reason."""

    kind: str
    legs: tuple[Leg, ...]
    reference: str
    must_be_refused: Reason | None = None


class Dealer:
    """Chooses the next deed: at random, but sensible for the present balances."""

    def __init__(self, town: Town, chance: Random, purchases: deque[Deed]) -> None:
        self._town = town
        self._chance = chance
        self._purchases = purchases
        deeds: tuple[tuple[int, Callable[[], Deed]], ...] = (
            (58, self._purchase),
            (12, self._tip),
            (8, self._refund),
            (7, self._exchange),
            (6, self._deposit),
            (3, self._overspend),
            (2, self._pay_nobody),
            (1, self._pay_oneself),
        )
        self._weights = [weight for weight, _ in deeds]
        self._kinds = [kind for _, kind in deeds]

    def next(self) -> Deed:
        """The next deed."""
        (kind,) = self._chance.choices(self._kinds, self._weights)
        return kind()

    def first_deposit(self, customer: str, asset: str) -> Deed:
        """The money with which a customer comes to town."""
        return self._deposit_of(customer, asset)

    def _purchase(self) -> Deed:
        customer, shop = self._customer(), self._chance.choice(self._town.shops)
        asset = self._chance.choices(("EUR", "BTC", "ETH"), (80, 12, 8))[0]
        price = self._price(asset)
        if self._town.has(customer, asset) < price:
            return self._deposit_of(customer, asset)
        fee = max(1, price // FEE_DIVISOR)
        legs = (Leg(customer, shop, price, asset), Leg(shop, self._town.fees, fee, asset))
        return Deed("purchase", legs, "purchase")

    def _tip(self) -> Deed:
        giver, taker = self._chance.sample(self._town.customers, 2)
        tip = self._chance.randint(50, 5_00)
        if self._town.has(giver, "EUR") < tip:
            return self._deposit_of(giver, "EUR")
        return Deed("tip", (Leg(giver, taker, tip, "EUR"),), "tip")

    def _refund(self) -> Deed:
        """Undo a recent purchase: first the fee, then the price, which the shop pays from both."""
        if not self._purchases:
            return self._purchase()
        purchase = self._purchases.popleft()
        back = tuple(Leg(leg.to, leg.source, leg.amount, leg.asset) for leg in reversed(purchase.legs))
        return Deed("refund", back, "refund")

    def _exchange(self) -> Deed:
        """Euros for coins in one transfer: both move or neither does."""
        customer, exchange = self._customer(), self._town.exchange
        euros = self._chance.randint(5_00, 40_00)
        if self._town.has(customer, "EUR") < euros:
            return self._deposit_of(customer, "EUR")
        coin = self._chance.choice(("BTC", "ETH"))
        coins = euros * (20 if coin == "BTC" else 5 * 10**11) + self._chance.randint(0, 9)
        legs = (Leg(customer, exchange, euros, "EUR"), Leg(exchange, customer, coins, coin))
        return Deed("exchange", legs, f"EUR to {coin}")

    def _deposit(self) -> Deed:
        customer = self._customer()
        asset = "EUR" if self._town.has(customer, "EUR") < LOW_EUR else self._chance.choice(tuple(DEPOSITS))
        return self._deposit_of(customer, asset)

    def _deposit_of(self, customer: str, asset: str) -> Deed:
        return Deed("deposit", (Leg(EXTERNAL, customer, self._chance.randint(*DEPOSITS[asset]), asset),), "deposit")

    def _overspend(self) -> Deed:
        legs = (Leg(self._customer(), self._chance.choice(self._town.shops), BEYOND_ALL_MEANS, "EUR"),)
        return Deed("overspending", legs, "a yacht", Reason.INSUFFICIENT_FUNDS)

    def _pay_nobody(self) -> Deed:
        legs = (Leg(self._customer(), self._town.nobody, self._price("EUR"), "EUR"),)
        return Deed("payment to no wallet", legs, "lost", Reason.WALLET_NOT_FOUND)

    def _pay_oneself(self) -> Deed:
        customer = self._customer()
        legs = (Leg(customer, customer, self._price("EUR"), "EUR"),)
        return Deed("payment to oneself", legs, "left pocket, right pocket", Reason.SELF_TRANSFER)

    def _customer(self) -> str:
        return self._chance.choice(self._town.customers)

    def _price(self, asset: str) -> int:
        lowest, highest = PRICES[asset]
        return self._chance.randint(lowest, highest)
