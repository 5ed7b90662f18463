"""Guards: the conditions that several commands share, each answering with a refusal or None.

if refusal := conditions_guard(books, command, now):
    return refusal
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from walletd.ledger.book import Books
from walletd.ledger.draft import Draft
from walletd.vocabulary.commands import AnyCommand, BalanceCondition, Posting, Window
from walletd.vocabulary.entries import Effects, Refusal
from walletd.vocabulary.identifiers import AssetCode, WalletId
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.states import FrozenSide, WalletStatus

Verdict = Effects | Refusal


def refuse(reason: Reason, **facts: Any) -> Refusal:
    """The refusal for this reason, with the facts that explain it, in the plain form that the journal returns."""
    assert reason.is_refusal
    return Refusal(reason, msgspec.to_builtins(facts))


def expiry_guard(command: AnyCommand, now: datetime, received: datetime) -> Refusal | None:
    """The command is still valid."""
    if command.valid_until is not None and now > command.valid_until:
        return refuse(Reason.COMMAND_EXPIRED, valid_until=command.valid_until, time=now)
    if command.valid_for_seconds is not None:
        last = received + timedelta(seconds=command.valid_for_seconds)
        if now > last:
            return refuse(Reason.COMMAND_EXPIRED, valid_until=last, time=now)
    return None


def moment_from(moment: datetime | None, seconds: int | None, now: datetime) -> datetime | None:
    """The time that a command means: the one that it names, or this many seconds after its decision."""
    return moment if seconds is None else now + timedelta(seconds=seconds)


def asset_guard(books: Books, asset: AssetCode) -> Refusal | None:
    """The asset is defined."""
    return None if asset in books.assets else refuse(Reason.ASSET_NOT_FOUND, asset=asset)


def wallet_guard(books: Books, wallet: WalletId) -> Refusal | None:
    """The wallet was opened."""
    return None if wallet in books.wallets else refuse(Reason.WALLET_NOT_FOUND, wallet=wallet)


def conditions_guard(books: Books, command: AnyCommand, now: datetime) -> Refusal | None:
    """Every wallet is at the required version, and every balance meets the command's conditions."""
    for wallet, demanded in command.if_version.items():
        book = books.wallets.get(wallet)
        version = book.version if book else 0
        if version != demanded:
            return refuse(Reason.VERSION_MISMATCH, wallet=wallet, version=version, demanded=demanded)
    for index, condition in enumerate(command.if_balance):
        if refusal := _balance_guard(books, condition, now, index):
            return refusal
    return None


def _balance_guard(books: Books, condition: BalanceCondition, now: datetime, index: int) -> Refusal | None:
    """A system wallet without a floor has more available than any condition can ask; an unopened wallet has nothing."""
    book = books.wallets.get(condition.wallet)
    record = None if book is None else book.balance_record(condition.asset, now)
    has = "0" if record is None else record.posted if condition.amount == "posted" else record.available
    is_met = (
        (condition.gte is None or has is None or int(has) >= int(condition.gte))
        and (condition.lte is None or (has is not None and int(has) <= int(condition.lte)))
        and (condition.eq is None or (has is not None and int(has) == int(condition.eq)))
    )
    if is_met:
        return None
    return refuse(
        Reason.BALANCE_MISMATCH,
        wallet=condition.wallet,
        asset=condition.asset,
        amount=condition.amount,
        stands=has,
        condition=index,
    )


def open_guard(books: Books, wallet: WalletId) -> Refusal | None:
    """The wallet is not closed."""
    if books.wallets[wallet].status is WalletStatus.CLOSED:
        return refuse(Reason.WALLET_CLOSED, wallet=wallet)
    return None


def freeze_guard(books: Books, wallet: WalletId, side: FrozenSide, now: datetime, **facts: Any) -> Refusal | None:
    """No freeze stops this side of the wallet now."""
    book = books.wallets[wallet]
    freeze = None if book.freeze is None else book.freeze_at(now)
    if freeze is None or freeze.frozen not in (side, FrozenSide.BOTH):
        return None
    return refuse(
        Reason.WALLET_FROZEN, wallet=wallet, frozen=freeze.frozen, why=freeze.why, until=freeze.until, **facts
    )


def moment_guard(field: str, moment: datetime | None, now: datetime) -> Refusal | None:
    """The moment lies in the future."""
    if moment is not None and moment <= now:
        return refuse(Reason.MOMENT_PASSED, field=field, moment=moment, time=now)
    return None


def postings_guard(books: Books, postings: Iterable[Posting], now: datetime) -> Refusal | None:
    """No wallet of the postings is closed, and no freeze stops any of them."""
    wallets = books.wallets
    is_any_frozen = False
    for index, posting in enumerate(postings):
        for wallet in (posting.source, posting.to):
            book = wallets[wallet]
            if book.status is WalletStatus.CLOSED:
                return refuse(Reason.WALLET_CLOSED, wallet=wallet, posting=index)
            if book.freeze is not None:
                is_any_frozen = True
    if not is_any_frozen:
        return None
    for index, posting in enumerate(postings):
        for wallet, side in ((posting.source, FrozenSide.DEBITS), (posting.to, FrozenSide.CREDITS)):
            if refusal := freeze_guard(books, wallet, side, now, posting=index):
                return refusal
    return None


def funds_guard(draft: Draft) -> Refusal | None:
    """Every wallet that loses or holds more has that amount available."""
    for (wallet, asset), change in draft.changes.items():
        taken = change.held - change.posted
        if taken > 0 and (refusal := covered_guard(draft, wallet, asset, taken)):
            return refusal
    return None


def covered_guard(draft: Draft, wallet: WalletId, asset: AssetCode, taken: int, **facts: Any) -> Refusal | None:
    """The wallet had the amount available that was taken from it."""
    left = draft.available(wallet, asset)
    if left is not None and left < 0:
        available, required = left + taken, taken
        return refuse(
            Reason.INSUFFICIENT_FUNDS,
            wallet=wallet,
            asset=asset,
            available=str(available),
            required=str(required),
            short_by=str(required - available),
            **facts,
        )
    return None


class Steps:
    """A sequence of postings, each judged in its turn: earlier ones have happened, later ones have not.

    The reasons keep their order over the whole sequence: ``funds`` of any posting precedes ``maximum`` of any other.
    """

    __slots__ = ("_books", "_draft", "_number", "funds", "maximum")

    def __init__(self, draft: Draft, books: Books, number: int) -> None:
        self._draft = draft
        self._books = books
        self._number = number
        """The number of postings: if there are several, a refusal names the one that failed."""
        self.funds: Refusal | None = None
        self.maximum: Refusal | None = None

    def judge(self, index: int, posting: Posting, amount: int) -> None:
        """Check the posting's two wallets right after the draft has moved it."""
        facts = {"posting": index} if self._number > 1 else {}
        self.funds = self.funds or covered_guard(self._draft, posting.source, posting.asset, amount, **facts)
        self.maximum = self.maximum or gain_guard(self._books, self._draft, posting.to, posting.asset, **facts)


def velocity_guard(draft: Draft, books: Books) -> Refusal | None:
    """No velocity window is exceeded."""
    for (wallet, asset), required in draft.let_out.items():
        for window in books.wallets[wallet].limits[asset].velocity:
            used, limit = draft.used(wallet, asset, window), int(window.amount)
            if used > limit:
                before = used - required
                return refuse(
                    Reason.VELOCITY_EXCEEDED,
                    wallet=wallet,
                    asset=asset,
                    window_seconds=window.seconds,
                    limit=window.amount,
                    used=str(before),
                    remaining=str(max(0, limit - before)),
                    required=str(required),
                    fits_at=_fits_at(draft, books),
                )
    return None


def _fits_at(draft: Draft, books: Books) -> datetime | None:
    """The time from which every window would permit it, if nothing else is sent meanwhile; None for never."""
    latest = draft.now
    for (wallet, asset), required in draft.let_out.items():
        for window in books.wallets[wallet].limits[asset].velocity:
            if draft.used(wallet, asset, window) > int(window.amount):
                moment = _window_fits_at(draft, books, wallet, asset, window, required)
                if moment is None:
                    return None
                latest = max(latest, moment)
    return latest


def _window_fits_at(
    draft: Draft, books: Books, wallet: WalletId, asset: AssetCode, window: Window, required: int
) -> datetime | None:
    outflows = (books.wallets[wallet].outflows or {}).get(asset)
    if required > int(window.amount) or outflows is None:
        return None
    surplus = outflows.used(window.seconds, draft.now) + required - int(window.amount)
    return outflows.frees(window.seconds, draft.now, surplus)


def maximum_guard(books: Books, draft: Draft) -> Refusal | None:
    """No wallet that gains anything exceeds its maximum afterwards."""
    for (wallet, asset), change in draft.changes.items():
        if change.posted > 0 and (refusal := gain_guard(books, draft, wallet, asset)):
            return refusal
    return None


def gain_guard(books: Books, draft: Draft, wallet: WalletId, asset: AssetCode, **facts: Any) -> Refusal | None:
    """The wallet, which gained something, does not exceed its maximum."""
    limits = books.wallets[wallet].limits.get(asset)
    if limits is None or limits.maximum is None:
        return None
    posted = draft.posted(wallet, asset)
    if posted > int(limits.maximum):
        return refuse(
            Reason.ABOVE_MAXIMUM,
            wallet=wallet,
            asset=asset,
            maximum=limits.maximum,
            would_have=str(posted),
            **facts,
        )
    return None
