"""The rules of a wallet's state: opening, limits and metadata, freezing, closing."""

from datetime import datetime, timedelta

import msgspec

from walletd.ledger.book import Books
from walletd.ledger.draft import Draft, Origin
from walletd.ledger.guards import (
    Verdict,
    asset_guard,
    conditions_guard,
    freeze_guard,
    maximum_guard,
    moment_from,
    moment_guard,
    open_guard,
    refuse,
    wallet_guard,
)
from walletd.vocabulary.commands import (
    CloseWallet,
    FreezeWallet,
    OpenWallet,
    UnfreezeWallet,
    UpdateWallet,
    WalletLimits,
)
from walletd.vocabulary.entries import CountedFrom, Effects, Freeze, Moved, Refusal, WalletRecord
from walletd.vocabulary.identifiers import AssetCode, Sequence, Version, WalletId
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.states import FrozenSide, WalletStatus

MAX_SWEPT_ASSETS = 4_000
"""The limit on swept assets of one wallet at its closing: more records, at 200 bytes each at least, exceed an entry."""


def open_wallet(books: Books, command: OpenWallet, now: datetime) -> Verdict:
    """Open a wallet whose name was never used: the name of a closed wallet is not reused."""
    known = books.wallets.get(command.wallet)
    if known is not None:
        return refuse(Reason.WALLET_ALREADY_EXISTS, wallet=known.wallet, opened_at=known.opened_at)
    if refusal := conditions_guard(books, command, now):
        return refusal
    # After this point it must succeed.
    record = WalletRecord(
        wallet=command.wallet,
        status=WalletStatus.OPEN,
        version=Version(1),
        opened_at=now,
        metadata=command.metadata,
    )
    return Effects(wallets=(record,))


def update_wallet(books: Books, command: UpdateWallet, now: datetime, origin: Origin) -> Verdict:
    """Set other metadata or other limits; the wallet must be within its new limits.

    Velocity concerns money that leaves from now on: a window may be set below the amount that has already left.
    """
    for asset in command.limits:
        if refusal := asset_guard(books, asset):
            return refusal
    if refusal := _state_guard(books, command, now):
        return refusal
    record = books.wallets[command.wallet].record()
    limits = {asset: limit for asset, limit in (record.limits | command.limits).items() if limit is not None}
    metadata = record.metadata if command.metadata is None else command.metadata
    draft = Draft(books, now)
    counted_from = _counted_from(record, limits, now, origin)
    changed = msgspec.structs.replace(record, limits=limits, metadata=metadata, counted_from=counted_from)
    draft.put_wallet(_at(now, changed))
    for asset in command.limits:
        draft.show(command.wallet, asset)
    for asset in command.limits:
        if refusal := _limits_guard(draft, command.wallet, asset, limits[asset].maximum if asset in limits else None):
            return refusal
    # After this point it must succeed.
    return draft.effects()


def freeze_wallet(books: Books, command: FreezeWallet, now: datetime) -> Verdict:
    """Set a freeze in place of the previous one."""
    until = moment_from(command.until, command.until_in_seconds, now)
    if refusal := _state_guard(books, command, now) or moment_guard("until", until, now):
        return refusal
    # After this point it must succeed.
    freeze = Freeze(frozen=command.frozen, why=command.why, until=until)
    record = books.wallets[command.wallet].record()
    draft = Draft(books, now)
    draft.put_wallet(msgspec.structs.replace(record, status=WalletStatus.FROZEN, freeze=freeze))
    return draft.effects()


def unfreeze_wallet(books: Books, command: UnfreezeWallet, now: datetime) -> Verdict:
    """End the freeze.  A freeze whose time has passed has no effect, and cannot be ended."""
    if refusal := _state_guard(books, command, now):
        return refusal
    if books.wallets[command.wallet].freeze_at(now) is None:
        return refuse(Reason.WALLET_NOT_FROZEN, wallet=command.wallet)
    # After this point it must succeed.
    record = books.wallets[command.wallet].record()
    draft = Draft(books, now)
    draft.put_wallet(msgspec.structs.replace(record, status=WalletStatus.OPEN, freeze=None))
    return draft.effects()


def close_wallet(books: Books, command: CloseWallet, now: datetime, leniently: bool = False) -> Verdict:
    """Sweep the balances to the named wallet, if there is one, and close.  A minimum does not keep anything back.

    A sweep of more assets than fit into an entry is refused, unless it is decided ``leniently``.
    """
    wallet, target = command.wallet, command.sweep_to
    for name in (wallet, target):
        if name is not None and (refusal := wallet_guard(books, name)):
            return refusal
    if wallet == target:
        return refuse(Reason.SELF_TRANSFER, wallet=wallet)
    if refusal := conditions_guard(books, command, now):
        return refusal
    for name in (wallet, target):
        if name is not None and (refusal := open_guard(books, name)):
            return refusal
    draft = Draft(books, now)
    sweep = _sweep(draft, wallet, target)
    if target is not None and sweep:
        refusal = freeze_guard(books, wallet, FrozenSide.DEBITS, now) or freeze_guard(
            books, target, FrozenSide.CREDITS, now
        )
        if refusal:
            return refusal
    if number := draft.open_holds(wallet):
        return refuse(Reason.HOLDS_OPEN, wallet=wallet, holds=number)
    if refusal := _empty_guard(draft, books, wallet):
        return refusal
    if refusal := maximum_guard(books, draft):
        return refusal
    if not leniently and len(sweep) > MAX_SWEPT_ASSETS:
        return refuse(Reason.ENTRY_TOO_LARGE, what="assets to sweep", number=len(sweep), limit=MAX_SWEPT_ASSETS)
    # After this point it must succeed.
    draft.moved.extend(sweep)
    record = books.wallets[wallet].record()
    for asset in record.limits:
        draft.show(wallet, asset)
    draft.put_wallet(
        msgspec.structs.replace(record, status=WalletStatus.CLOSED, freeze=None, limits={}, counted_from={})
    )
    return draft.effects()


def _counted_from(
    record: WalletRecord, limits: dict[AssetCode, WalletLimits], now: datetime, origin: Origin
) -> dict[AssetCode, CountedFrom]:
    """The start of each asset's velocity count under the new limits: longer windows start with what is remembered."""
    counted_from: dict[AssetCode, CountedFrom] = {}
    for asset, limit in limits.items():
        if not limit.velocity:
            continue
        known = record.counted_from.get(asset)
        if known is None:
            counted_from[asset] = CountedFrom(sequence=Sequence(origin.sequence), command=origin.command)
        elif limit.longest_window > (remembered := record.limits[asset].longest_window):
            after = now - timedelta(seconds=remembered)
            if known.after is not None:
                after = max(after, known.after)
            counted_from[asset] = msgspec.structs.replace(known, after=after)
        else:
            counted_from[asset] = known
    return counted_from


def _state_guard(books: Books, command: UpdateWallet | FreezeWallet | UnfreezeWallet, now: datetime) -> Refusal | None:
    return (
        wallet_guard(books, command.wallet)
        or conditions_guard(books, command, now)
        or open_guard(books, command.wallet)
    )


def _at(now: datetime, record: WalletRecord) -> WalletRecord:
    """The record without a freeze whose time has passed."""
    if record.freeze is not None and record.freeze.until is not None and record.freeze.until <= now:
        return msgspec.structs.replace(record, status=WalletStatus.OPEN, freeze=None)
    return record


def _limits_guard(draft: Draft, wallet: WalletId, asset: AssetCode, maximum: str | None) -> Refusal | None:
    posted, floor, available = draft.posted(wallet, asset), draft.floor(wallet, asset), draft.available(wallet, asset)
    if available is not None and available < 0:
        held = draft.held(wallet, asset)
        return refuse(
            Reason.LIMITS_NOT_MET, wallet=wallet, asset=asset, posted=str(posted), held=str(held), floor=str(floor)
        )
    if maximum is not None and posted > int(maximum):
        return refuse(Reason.LIMITS_NOT_MET, wallet=wallet, asset=asset, posted=str(posted), maximum=maximum)
    return None


def _sweep(draft: Draft, wallet: WalletId, target: WalletId | None) -> list[Moved]:
    """Move all balances of the wallet to the target."""
    if target is None:
        return []
    book = draft.touch(wallet)
    sweep = [
        Moved(wallet, target, asset, str(balance.posted))
        for asset, balance in sorted(book.balances.items())
        if balance.posted > 0
    ]
    for moved in sweep:
        draft.move(wallet, target, moved.asset, int(moved.amount))
    return sweep


def _empty_guard(draft: Draft, books: Books, wallet: WalletId) -> Refusal | None:
    for asset in sorted(books.wallets[wallet].balances):
        posted = draft.posted(wallet, asset)
        if posted != 0:
            return refuse(Reason.WALLET_NOT_EMPTY, wallet=wallet, asset=asset, posted=str(posted))
    return None
