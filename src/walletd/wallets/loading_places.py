"""Loading places: how many wallets' books may be loading at once, in all and for one sender; and who pays for claims.

places = LoadingPlaces(payments)
if places.are_taken_for(claim): ...                # shed it, unless all its wallets are warm
places.take(sender)
places.give(sender)
"""

from collections import Counter
from collections.abc import Callable
from time import perf_counter
from typing import NamedTuple

from walletd.vocabulary.identifiers import Principal
from walletd.wallets.actor import Claim

MAX_LOADING = 20_000
"""The actors whose books may be loading at once, about a kilobyte each; beyond it, claims on cold wallets are shed."""

MAX_LOADING_OF_ONE = MAX_LOADING // 4
"""Those of one sender that is not trusted: beyond it, its claims on cold wallets are shed, and no one else's."""

FEW_WALLETS = 10
"""A claim on more of them is shed when half of the places are taken: the others are for payments between a few."""


class Payments(NamedTuple):
    """Who pays for the work on claims: ``is_trusted`` tells whose loading has no bound of its own, and ``charge``
    settles the seconds, by this clock, of a claim that did not run on its arrival.
    """

    is_trusted: Callable[[Principal], bool]
    charge: Callable[[Principal, float], None]
    seconds: Callable[[], float] = perf_counter


FREE = Payments(lambda principal: True, lambda principal, seconds: None)


class LoadingPlaces:
    """The places of actors whose books are not loaded yet."""

    __slots__ = ("_of", "payments", "taken")

    def __init__(self, payments: Payments) -> None:
        self.payments = payments
        self.taken = 0
        """The number of places taken."""
        self._of: Counter[Principal] = Counter()

    def are_taken_for(self, claim: Claim) -> bool:
        """True if the claim may have no wallet loaded now.  O(1)."""
        most = MAX_LOADING if len(claim.wallets) <= FEW_WALLETS else MAX_LOADING // 2
        if self.taken < MAX_LOADING_OF_ONE:
            return False
        if self.taken >= most:
            return True
        return self._of[claim.sender] >= MAX_LOADING_OF_ONE and not self.payments.is_trusted(claim.sender)

    def take(self, sender: Principal) -> None:
        """An actor that this sender wants begins to load."""
        self.taken += 1
        self._of[sender] += 1

    def give(self, sender: Principal) -> None:
        """It is loaded, or could not be."""
        self.taken -= 1
        self._of[sender] -= 1
        if not self._of[sender]:
            del self._of[sender]
