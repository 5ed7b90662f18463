"""Request rates: token buckets for the session, for its client's account, and for sessions that have not authenticated.

    book = RateBook(Rates(session=100, guest=20))
    throttle = book.throttle(budgets.account)           # its bucket is shared by all sessions of the client
    throttle.now = now                                  # once for all frames of a read
    match throttle.take(principal):
        case 0: ...                                     # go on
        case retry_after_ms: ...                        # refuse: nothing was looked up, nothing was decided

A session that continues at full speed although it is refused is warned once, and then ``is_worn_out``.  There is no
clock here.
"""

from collections.abc import Callable
from math import ceil
from typing import Final, NamedTuple, Protocol

from walletd.vocabulary.identifiers import Principal

BURST_SECONDS: Final = 1.0
"""The seconds' worth of requests that may come at once."""

PATIENCE_SECONDS: Final = 2.0
"""The seconds' worth of refused requests that are answered before the session is closed."""

MAX_WAIT_SECONDS: Final = 60.0

_WHOLE: Final = 1 - 1e-6
_LOST_MS: Final = 1e-6
"""The tolerance for rounding of floats: a client that waits as long as it was told finds a token."""


class Rates(NamedTuple):
    """Requests per second: of one session, and of one that is not authenticated.  Those of all sessions of a client are
    in its budget.
    """

    session: float
    guest: float


class TokenBucket:
    """Fills at a rate up to its size.  A refused request is told when its turn will be, behind those refused before."""

    __slots__ = ("_at", "_level", "_rate", "_refused", "_size")

    def __init__(self, rate: float, size: float) -> None:
        self._rate = rate
        self._size = max(1.0, size)
        self._level = self._size
        self._refused = 0.0
        """The number of refused requests whose time to return has not come yet."""
        self._at = 0.0

    def take(self, now: float) -> float:
        """Take one token: 0, or the seconds until there is one."""
        earned = (now - self._at) * self._rate
        level = self._level + earned
        if self._refused:
            self._refused = max(0.0, self._refused - earned)
        self._at = now
        if level >= self._size:
            level = self._size
        if level >= _WHOLE:
            level -= 1
            self._level = level if level > 0 else 0.0
            return 0.0
        self._level = level
        wait = (1 - level + self._refused) / self._rate
        self._refused += 1
        return min(wait, MAX_WAIT_SECONDS)

    def give_back(self) -> None:
        """Return a token that was taken and not used."""
        self._level = min(self._size, self._level + 1)

    def level(self, now: float) -> float:
        """The filled fraction, from 0 to 1."""
        return min(self._size, self._level + (now - self._at) * self._rate) / self._size


class Payer(Protocol):
    """The account of a client, as a throttle sees it."""

    requests: TokenBucket | None
    """The bucket that all its sessions share; None: no limit."""


AccountOf = Callable[[Principal], Payer]


class RateBook:
    """The current rates, and the number of refusals: ``limited``."""

    def __init__(self, rates: Rates) -> None:
        self.rates = rates
        self.limited = 0
        self.warned = 0

    def throttle(self, account_of: AccountOf) -> "Throttle":
        """The throttle of a new session."""
        return Throttle(self, account_of)


class Throttle:
    """The throttle of one session.  ``now`` is set before each read's frames."""

    __slots__ = ("_account_of", "_book", "_patience", "_principal", "_session", "_was_warned", "is_worn_out", "now")

    def __init__(self, book: RateBook, account_of: AccountOf) -> None:
        self._book = book
        self._account_of = account_of
        self._principal: Principal | None = None
        self._session = _bucket(book.rates.guest)
        self._patience = _patience(book.rates.guest)
        self._was_warned = False
        self.is_worn_out = False
        """True if it was refused so often that it should be closed."""
        self.now = 0.0

    def take(self, principal: Principal | None) -> int:
        """Count one request: 0, or the milliseconds after which it may come again."""
        if principal != self._principal:
            self._become(principal)
        wait = self._session.take(self.now)
        if not wait and principal is not None:
            shared = self._account_of(principal).requests
            if shared is not None:
                wait = shared.take(self.now)
                if wait:
                    self._session.give_back()
        if not wait:
            return 0
        self._book.limited += 1
        if self._patience.level(self.now) == 1:
            self._was_warned = False
        self.is_worn_out = self._patience.take(self.now) > 0
        return ceil(wait * 1000 - _LOST_MS)

    def needs_warning(self) -> bool:
        """True if half of the patience is used up and no warning was sent since it was full."""
        if self._was_warned or self._patience.level(self.now) > 0.5:
            return False
        self._was_warned = True
        self._book.warned += 1
        return True

    def _become(self, principal: Principal | None) -> None:
        self._principal = principal
        rates = self._book.rates
        rate = rates.guest if principal is None else rates.session
        self._session, self._patience = _bucket(rate), _patience(rate)


def _bucket(rate: float) -> TokenBucket:
    return TokenBucket(rate, rate * BURST_SECONDS)


def _patience(rate: float) -> TokenBucket:
    """The patience with a session.  A client that waits as told is refused at most once per request, which is
    forgiven.
    """
    return TokenBucket(rate, rate * PATIENCE_SECONDS)
