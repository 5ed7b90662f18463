"""Request rates: token buckets for the session, for its principal, and for sessions that have not authenticated.

    book = RateBook(Rates(session=100, principal=500, guest=20))
    throttle = book.throttle()
    throttle.now = now                                  # once for all frames of a read
    match throttle.take(principal):
        case 0: ...                                     # go on
        case retry_after_ms: ...                        # refuse: nothing was looked up, nothing was decided

A session that continues at full speed although it is refused is warned once, and then ``is_worn_out``.  There is no
clock here.
"""

from math import ceil
from typing import Final, NamedTuple

from walletd.vocabulary.identifiers import Principal

BURST_SECONDS: Final = 1.0
"""The seconds' worth of requests that may come at once."""

PATIENCE_SECONDS: Final = 2.0
"""The seconds' worth of refused requests that are answered before the session is closed."""

KEPT_PRINCIPALS: Final = 4096
"""The number of principals whose buckets are remembered: reconnecting does not fill them."""


MAX_WAIT_SECONDS: Final = 60.0

_WHOLE: Final = 1 - 1e-6
_LOST_MS: Final = 1e-6
"""The tolerance for rounding of floats: a client that waits as long as it was told finds a token."""


class Rates(NamedTuple):
    """Requests per second: of one session, of all sessions of a principal, of a session that is not authenticated."""

    session: float
    principal: float
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
        self._refused = max(0.0, self._refused - earned)
        self._at = now
        if level >= self._size:
            level = self._size
        if level >= _WHOLE:
            self._level = max(0.0, level - 1)
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


class RateBook:
    """The current rates, the buckets of principals, and the number of refusals: ``limited``."""

    def __init__(self, rates: Rates) -> None:
        self.rates = rates
        self.limited = 0
        self.warned = 0
        self._principals: dict[Principal, TokenBucket] = {}

    def throttle(self) -> "Throttle":
        """The throttle of a new session."""
        return Throttle(self)

    def of_principal(self, principal: Principal) -> TokenBucket:
        """The bucket that all sessions of a principal share; the oldest one is forgotten first."""
        bucket = self._principals.get(principal)
        if bucket is None:
            if len(self._principals) >= KEPT_PRINCIPALS:
                del self._principals[next(iter(self._principals))]
            bucket = self._principals[principal] = _bucket(self.rates.principal)
        return bucket


class Throttle:
    """The throttle of one session.  ``now`` is set before each read's frames."""

    __slots__ = ("_book", "_patience", "_principal", "_session", "_shared", "_was_warned", "is_worn_out", "now")

    def __init__(self, book: RateBook) -> None:
        self._book = book
        self._principal: Principal | None = None
        self._shared: TokenBucket | None = None
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
        if not wait and self._shared is not None:
            wait = self._shared.take(self.now)
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
        self._shared = None if principal is None else self._book.of_principal(principal)


def _bucket(rate: float) -> TokenBucket:
    return TokenBucket(rate, rate * BURST_SECONDS)


def _patience(rate: float) -> TokenBucket:
    """The patience with a session.  A client that waits as told is refused at most once per request, which is
    forgiven.
    """
    return TokenBucket(rate, rate * PATIENCE_SECONDS)
