"""What the reads must say, found the long way: every question folds all the entries again, from the first.

Nothing here is shared with the read tables but the entries: lines are added up forwards, holds looked at one by one.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from walletd.ledger.statement import movements_of
from walletd.vocabulary.entries import Entry, HoldRecord, WalletRecord
from walletd.vocabulary.identifiers import AssetCode
from walletd.vocabulary.states import HoldState, WalletStatus


class Had(NamedTuple):
    """What a wallet had of an asset; ``available`` is None without a floor."""

    asset: str
    posted: int
    held: int
    available: int | None
    version: int


class Line(NamedTuple):
    """A movement as the wallet saw it."""

    sequence: int
    line: int
    asset: str
    amount: int
    posted: int
    counterparty: str
    kind: str


def last_at(entries: Sequence[Entry], time: datetime) -> int:
    """The last entry of this time or before it."""
    return max((entry.sequence for entry in entries if entry.time <= time), default=0)


def had(entries: Sequence[Entry], wallet: str, asset: str | None, sequence: int, time: datetime) -> list[Had] | None:
    """What the wallet had right after this entry, at that time; None where it was not open yet."""
    record: WalletRecord | None = None
    version, posted, holds = 0, dict[str, int](), dict[str, HoldRecord]()
    for entry in entries[:sequence]:
        effects = entry.effects
        if effects is None:
            continue
        for changed in effects.wallets:
            if changed.wallet == wallet:
                record, version = changed, changed.version
        for balance in effects.balances:
            if balance.wallet == wallet:
                posted.setdefault(balance.asset, 0)
                version = balance.version
        for movement in movements_of(entry):
            for side, sign in ((movement.source, -1), (movement.to, 1)):
                if side == wallet:
                    posted[movement.asset] = posted.get(movement.asset, 0) + sign * movement.amount
        holds.update((hold.hold, hold) for hold in effects.holds if hold.wallet == wallet)
    if record is None:
        return None
    found = []
    for code in sorted(posted) if asset is None else [asset]:
        held = sum(int(h.amount) - int(h.captured) for h in holds.values() if h.asset == code and _reserves(h, time))
        floor = _floor(record, code)
        available = None if floor is None else posted.get(code, 0) - held - floor
        found.append(Had(code, posted.get(code, 0), held, available, version))
    return found


def lines(entries: Sequence[Entry], wallet: str) -> list[Line]:
    """All that ever moved in the wallet, oldest first."""
    found: list[Line] = []
    posted: dict[str, int] = {}
    for entry in entries:
        for movement in movements_of(entry):
            for side, other, sign in ((movement.source, movement.to, -1), (movement.to, movement.source, 1)):
                if side == wallet:
                    amount = sign * movement.amount
                    posted[movement.asset] = posted.get(movement.asset, 0) + amount
                    of = (movement.line, movement.asset, amount, posted[movement.asset], other, movement.kind)
                    found.append(Line(entry.sequence, *of))
    return found


def first_since(entries: Sequence[Entry], since: int | datetime | None) -> int:
    """The first sequence of a range that begins here."""
    if isinstance(since, datetime):
        return last_at(entries, since - timedelta(microseconds=1)) + 1
    return since or 1


def last_until(entries: Sequence[Entry], until: int | datetime | None) -> int:
    """The last sequence of a range that ends before this."""
    if isinstance(until, datetime):
        return last_at(entries, until - timedelta(microseconds=1))
    return len(entries) if until is None else min(until - 1, len(entries))


def wallets_at(entries: Sequence[Entry], now: datetime) -> dict[str, tuple[WalletStatus, dict[str, str]]]:
    """Every wallet's status at this moment and its metadata, by name."""
    found: dict[str, WalletRecord] = {}
    for entry in entries:
        if entry.effects is not None:
            found.update((record.wallet, record) for record in entry.effects.wallets)
    return {name: (_status(record, now), record.metadata) for name, record in sorted(found.items())}


def _reserves(hold: HoldRecord, time: datetime) -> bool:
    return hold.state is HoldState.OPEN and (hold.expires_at is None or time < hold.expires_at)


def _floor(record: WalletRecord, asset: str) -> int | None:
    limits = record.limits.get(AssetCode(asset))
    if limits is not None and limits.minimum is not None:
        return int(limits.minimum)
    if limits is not None and limits.credit_limit is not None:
        return -int(limits.credit_limit)
    return None if record.wallet.startswith("@") else 0


def _status(record: WalletRecord, now: datetime) -> WalletStatus:
    freeze = record.freeze
    return (
        WalletStatus.OPEN if freeze is not None and freeze.until is not None and freeze.until <= now else record.status
    )
