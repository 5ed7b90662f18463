"""Budgets in use: one account for each principal, shared by all its sessions, and one for all guests together.

    account = budgets.account(principal)               # one look-up; None: guests
    match account.journal_refusal(now):
        case None: ...                                 # go on
        case facts: ...                                # quota_exceeded, before anything is decided or journaled
    account.charge_journal(len(record), now)           # what the entry took; a debt is paid by waiting
    account.charge_processor(seconds, now)
    account.due(now)                                   # seconds until the processor is its again; 0: now
    account.take_request(len(frame)), account.give_request(len(frame))
    account.take("subscriptions"), account.give("subscriptions")

An amount is charged once it is known, so that no estimate undercharges: a principal with anything left may take one
more step, and then waits until the debt is paid.  A viewing key of a client whose budget is a stranger's uses that
client's account, because its owner makes as many keys as it likes.  There is no clock here.
"""

from collections.abc import Callable, Iterable, Mapping
from math import ceil
from typing import Any, Final, Literal, NamedTuple, get_args

from walletd.sessions.rates import BURST_SECONDS, TokenBucket
from walletd.vocabulary.budgets import STRANGERS, TRUSTED, Budget, BudgetField
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.entries import ClientRecord
from walletd.vocabulary.identifiers import Principal, owner_of
from walletd.vocabulary.reasons import Reason

KEPT_ACCOUNTS: Final = 4_096
"""Beyond so many accounts, those that are idle go: nothing of theirs is left to remember."""

SWEPT_ACCOUNTS: Final = 16
"""The number of accounts looked at for that whenever one more is opened."""

PROCESSOR_BURST_SECONDS: Final = 1.0
"""The seconds' worth of the processor that a principal may use at once after a quiet time."""

CROWD_SECONDS: Final = 1.0
"""Others wait for the processor if they used it within this time: then shares count."""

DAY_SECONDS: Final = 86_400.0

PLACE_RETRY_SECONDS: Final = 0.1
"""The wait that is told to a principal whose places are taken: one may be free by then."""

MAX_RETRY_MS: Final = 60_000
"""The longest wait that a client is told; it asks again then."""

TRUSTED_SCOPES: Final = ("admin", "operate")


Place = Literal["subscriptions"]
"""What is counted while it lasts; the field of the budget that bounds it."""

PLACES: Final[tuple[Place, ...]] = get_args(Place)


class Allowance:
    """Fills at a rate up to its size; what is charged may lead into debt.  A rate of 0 has no limit."""

    __slots__ = ("_at", "_level", "_rate", "_size")

    def __init__(self, rate: float, size: float) -> None:
        self._rate = rate
        self._size = size
        self._level = size
        self._at = 0.0

    @property
    def is_unlimited(self) -> bool:
        """True if nothing that is charged leads to a wait."""
        return self._rate == 0

    def charge(self, amount: float, now: float) -> None:
        """Take this much, whatever is left."""
        if self._rate:
            self._refill(now)
            self._level -= amount

    def wait(self, now: float) -> float:
        """0 if anything is left, or the seconds until something is."""
        if not self._rate or self._level > 0:
            return 0.0
        self._refill(now)
        return 0.0 if self._level > 0 else -self._level / self._rate + 1e-3

    def is_full(self, now: float) -> bool:
        """True if nothing of it is used."""
        self._refill(now)
        return self._level >= self._size

    def _refill(self, now: float) -> None:
        self._level = min(self._size, self._level + (now - self._at) * self._rate)
        self._at = now


class Account:
    """What one principal has used of its budget."""

    __slots__ = (
        "_day",
        "_places",
        "_processor",
        "_second",
        "budget",
        "is_bounded",
        "is_rationed",
        "journaled",
        "name",
        "open_bytes",
        "open_requests",
        "processor_seconds",
        "requests",
    )

    def __init__(self, name: str, budget: Budget) -> None:
        self.name = name
        self.journaled = 0
        """Bytes of journal entries since the account was opened."""
        self.processor_seconds = 0.0
        """Seconds of the event loop, as charged since then."""
        self.open_requests = 0
        """Requests that are not answered yet, and the bytes of their frames."""
        self.open_bytes = 0
        self._places: dict[Place, int] = dict.fromkeys(PLACES, 0)
        self.adopt(budget)

    def adopt(self, budget: Budget) -> None:
        """Go on with another budget, whose allowances are full."""
        self.budget = budget
        rate = budget.journal_bytes_per_second or 0
        self._second = Allowance(rate, max(1, budget.journal_burst_bytes or rate))
        half_a_day = (budget.journal_bytes_per_day or 0) / 2
        self._day = Allowance(half_a_day / DAY_SECONDS, half_a_day)
        self.is_bounded = not (self._second.is_unlimited and self._day.is_unlimited)
        """True if its bytes of the journal have a limit."""
        share = (budget.processor_ms_per_second or 0) / 1000
        self._processor = Allowance(share, share * PROCESSOR_BURST_SECONDS)
        self.is_rationed = not self._processor.is_unlimited
        """True if its share of the processor has a limit."""
        rate = budget.requests_per_second or 0
        self.requests = TokenBucket(rate, rate * BURST_SECONDS) if rate else None
        """The bucket of requests; None: no limit."""

    # --- the journal -------------------------------------------------------------------------------------------------

    def charge_journal(self, count: int, now: float) -> None:
        """Settle what an entry took."""
        self.journaled += count
        self._second.charge(count, now)
        self._day.charge(count, now)

    def journal_refusal(self, now: float) -> dict[str, Any] | None:
        """The facts of the refusal if nothing of the budget is left; None if an entry may be made."""
        wait = self._second.wait(now)
        if wait:
            return _facts("journal_bytes_per_second", self.budget.journal_bytes_per_second, wait)
        wait = self._day.wait(now)
        if wait:
            return _facts("journal_bytes_per_day", self.budget.journal_bytes_per_day, wait)
        return None

    # --- the processor -----------------------------------------------------------------------------------------------

    def charge_processor(self, seconds: float, now: float) -> None:
        """Settle the measured time of a step."""
        self.processor_seconds += seconds
        self._processor.charge(seconds, now)

    def due(self, now: float) -> float:
        """The seconds until the account is within its share of the processor again; 0 if it is."""
        return self._processor.wait(now)

    # --- places ------------------------------------------------------------------------------------------------------

    def take(self, place: Place) -> dict[str, Any] | None:
        """Take one place: None, or the facts of the refusal if all of them are taken."""
        limit: int = getattr(self.budget, place)
        if limit and self._places[place] >= limit:
            return _facts(place, limit, PLACE_RETRY_SECONDS)
        self._places[place] += 1
        return None

    def give(self, place: Place) -> None:
        """Give one place back."""
        assert self._places[place] > 0
        self._places[place] -= 1

    def take_request(self, size: int) -> dict[str, Any] | None:
        """Take the places of a request of this size: None, or the facts of the refusal.  One always has places."""
        if self.open_requests:
            budget = self.budget
            if budget.in_flight and self.open_requests >= budget.in_flight:
                return _facts("in_flight", budget.in_flight, PLACE_RETRY_SECONDS)
            if budget.in_flight_bytes and self.open_bytes + size > budget.in_flight_bytes:
                return _facts("in_flight_bytes", budget.in_flight_bytes, PLACE_RETRY_SECONDS)
        self.open_requests += 1
        self.open_bytes += size
        return None

    def give_request(self, size: int) -> None:
        """The request was answered, or dropped."""
        assert self.open_requests > 0
        self.open_requests -= 1
        self.open_bytes -= size

    def taken(self, place: Place) -> int:
        """The number of places taken."""
        return self._places[place]

    def is_idle(self, now: float) -> bool:
        """True if a fresh account would be the same."""
        return (
            not self.open_requests
            and not any(self._places.values())
            and self._second.is_full(now)
            and self._day.is_full(now)
            and self._processor.is_full(now)
            and (self.requests is None or self.requests.level(now) == 1)
        )


class Defaults(NamedTuple):
    """The budgets of clients that have none of their own."""

    strangers: Budget = STRANGERS
    trusted: Budget = TRUSTED

    def of(self, record: ClientRecord | None) -> Budget:
        """The budget of a client, every field filled in; a sender that is no client is the daemon's own."""
        if record is None:
            return self.trusted
        is_trusted = any(scope in TRUSTED_SCOPES for scope in record.scopes)
        default = self.trusted if is_trusted else self.strangers
        return default if record.budget is None else record.budget.over(default)


USUAL = Defaults()
NO_CLIENTS: Mapping[Principal, ClientRecord] = {}


class Budgets:
    """The accounts of the principals that have used anything lately.

    ``records``: the clients as they are now.  ``seconds``: the clock of all accounts.
    """

    __slots__ = (
        "_accounts",
        "_last",
        "_last_at",
        "_others_at",
        "_records",
        "defaults",
        "guests",
        "refused",
        "seconds",
    )

    def __init__(
        self,
        seconds: Callable[[], float],
        records: Mapping[Principal, ClientRecord] = NO_CLIENTS,
        defaults: Defaults = USUAL,
    ) -> None:
        self.seconds = seconds
        self.defaults = defaults
        self._records = records
        self._accounts: dict[Principal, Account] = {}
        self.guests = Account("guests", defaults.strangers)
        """The account of all sessions that have not authenticated."""
        self.refused: dict[str, int] = {}
        """The number of refusals, by the budget that was exceeded."""
        self._last = self.guests
        """The account that used the processor last, when that was, and when another one did before it."""
        self._last_at = self._others_at = -CROWD_SECONDS

    def __len__(self) -> int:
        return len(self._accounts)

    def account(self, principal: Principal | None) -> Account:
        """The account that this principal uses; None: the guests'."""
        if principal is None:
            return self.guests
        account = self._accounts.get(principal)
        return account if account is not None else self._opened(principal)

    def is_trusted(self, principal: Principal) -> bool:
        """True if the principal is a client with one of ``TRUSTED_SCOPES``."""
        record = self._records.get(principal)
        return record is not None and any(scope in TRUSTED_SCOPES for scope in record.scopes)

    def journal_refusal(self, principal: Principal) -> dict[str, Any] | None:
        """The facts of the refusal if the principal has nothing left to journal; None if it may."""
        account = self.account(principal)
        if not account.is_bounded:
            return None
        facts = account.journal_refusal(self.seconds())
        if facts is not None:
            self.note(facts)
        return facts

    def charge_journal(self, principal: Principal, count: int) -> None:
        """Settle what an entry of this principal took."""
        account = self.account(principal)
        if account.is_bounded:
            account.charge_journal(count, self.seconds())
        else:
            account.journaled += count

    def charge_processor(self, account: Account | None, seconds: float) -> None:
        """Settle the measured time of a step; None: the guests'.  It counts only while others use the processor, too:
        what is left over belongs to the one that asks for it.
        """
        account = account if account is not None else self.guests
        now = self.seconds()
        if account is not self._last:
            self._last, self._others_at = account, self._last_at
        self._last_at = now
        if now - self._others_at < CROWD_SECONDS:
            account.charge_processor(seconds, now)
        else:
            account.processor_seconds += seconds

    def processor_wait(self, account: Account | None) -> float:
        """The seconds until the account is within its share of the processor again; 0 if it is, or if no other account
        has used the processor lately.
        """
        account = account if account is not None else self.guests
        if not account.is_rationed:
            return 0.0
        now = self.seconds()
        others_at = self._others_at if account is self._last else self._last_at
        return account.due(now) if now - others_at < CROWD_SECONDS else 0.0

    def processor_refusal(self, account: Account) -> dict[str, Any] | None:
        """The facts of the refusal if the account is beyond its share of the processor; None if it is not."""
        wait = self.processor_wait(account)
        if not wait:
            return None
        facts = _facts("processor_ms_per_second", account.budget.processor_ms_per_second, wait)
        self.note(facts)
        return facts

    def refusal(self, budget: BudgetField, limit: int, wait: float) -> Declined:
        """The refusal of what one more of would exceed this budget; it is counted."""
        facts = _facts(budget, limit, wait)
        self.note(facts)
        return Declined(Reason.QUOTA_EXCEEDED, facts)

    def note(self, facts: Mapping[str, Any]) -> None:
        """Count a refusal with these facts."""
        budget = facts["budget"]
        self.refused[budget] = self.refused.get(budget, 0) + 1

    def top(self, most: int) -> list[Account]:
        """The accounts that journaled most, the largest first.  O(accounts)."""
        accounts = {id(account): account for account in self._accounts.values()}.values()
        return sorted(accounts, key=lambda account: -account.journaled)[:most]

    def review(self, records: Iterable[ClientRecord]) -> None:
        """These clients changed: go on with the budgets that they have now."""
        for record in records:
            account = self._accounts.get(record.client)
            if account is not None and account.name == record.client:
                budget = self.defaults.of(record)
                if budget != account.budget:
                    account.adopt(budget)

    def _opened(self, principal: Principal) -> Account:
        if len(self._accounts) >= KEPT_ACCOUNTS:
            self._sweep(self.seconds())
        account = self._shared(principal) or Account(principal, self.defaults.of(self._records.get(principal)))
        self._accounts[principal] = account
        return account

    def _shared(self, principal: Principal) -> Account | None:
        """The owner's account, if this is a viewing key of a stranger."""
        owner = owner_of(principal)
        if owner is None or self.is_trusted(owner):
            return None
        return self.account(owner)

    def _sweep(self, now: float) -> None:
        for _ in range(min(SWEPT_ACCOUNTS, len(self._accounts))):
            principal = next(iter(self._accounts))
            account = self._accounts.pop(principal)
            if not account.is_idle(now):
                self._accounts[principal] = account


def _facts(budget: str, limit: int | None, wait: float) -> dict[str, Any]:
    return {"budget": budget, "limit": limit, "retry_after_ms": min(MAX_RETRY_MS, ceil(wait * 1000))}
