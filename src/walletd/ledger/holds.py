"""The rules of holds: money reserved at once, paid later in parts or released.

A hold counts against the available balance from its placing, so a capture within it takes nothing more and cannot fail
for lack of funds.  From ``expires_at`` on it reserves nothing, whether or not an entry has recorded that.  Velocity
counts a hold when it is placed or raised, so a capture cannot fail for it either; an amount that it releases no longer
counts.
"""

from datetime import datetime
from itertools import islice

import msgspec

from walletd.ledger.book import MAX_OPEN_HOLDS, Books, reserved
from walletd.ledger.draft import Draft, Origin
from walletd.ledger.entry_size import has_lapsed, in_turn
from walletd.ledger.guards import (
    Verdict,
    asset_guard,
    conditions_guard,
    freeze_guard,
    funds_guard,
    maximum_guard,
    moment_from,
    moment_guard,
    open_guard,
    postings_guard,
    refuse,
    velocity_guard,
    wallet_guard,
)
from walletd.vocabulary.commands import AdjustHold, CaptureHold, ExpireHold, ExtendHold, PlaceHold, Posting, VoidHold
from walletd.vocabulary.entries import HoldRecord, Moved, Refusal
from walletd.vocabulary.histories import about_lost
from walletd.vocabulary.identifiers import AssetCode, HoldId
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.states import FrozenSide, HoldState


def place_hold(books: Books, command: PlaceHold, now: datetime, hold: HoldId, origin: Origin) -> Verdict:
    """Reserve an amount under a new hold."""
    wallet, expires_at = command.wallet, moment_from(command.expires_at, command.expires_in_seconds, now)
    if refusal := (
        asset_guard(books, command.asset)
        or wallet_guard(books, wallet)
        or conditions_guard(books, command, now)
        or open_guard(books, wallet)
        or freeze_guard(books, wallet, FrozenSide.DEBITS, now)
        or moment_guard("expires_at", expires_at, now)
    ):
        return refusal
    draft = Draft(books, now)
    if draft.open_holds(wallet) >= MAX_OPEN_HOLDS:
        return refuse(Reason.TOO_MANY_HOLDS, wallet=wallet, limit=MAX_OPEN_HOLDS)
    draft.reserve(wallet, command.asset, int(command.amount))
    draft.let_go(wallet, command.asset, int(command.amount), origin, hold)
    if refusal := funds_guard(draft) or velocity_guard(draft, books):
        return refusal
    # After this point it must succeed.
    draft.put_hold(
        HoldRecord(
            hold=hold,
            wallet=wallet,
            asset=command.asset,
            amount=command.amount,
            state=HoldState.OPEN,
            placed_at=now,
            expires_at=expires_at,
            reference=command.reference,
            metadata=command.metadata,
        )
    )
    return draft.effects()


def capture_hold(books: Books, command: CaptureHold, now: datetime) -> Verdict:
    """Pay parts of the reserved amount; the rest stays reserved, unless this capture is final."""
    wallet = command.wallet
    for name in (wallet, *(part.to for part in command.parts)):
        if refusal := wallet_guard(books, name):
            return refusal
    for index, part in enumerate(command.parts):
        if part.to == wallet:
            return refuse(Reason.SELF_TRANSFER, wallet=wallet, posting=index)
    if refusal := conditions_guard(books, command, now):
        return refusal
    draft = Draft(books, now)
    hold = draft.open_hold(wallet, command.hold)
    # Freezes and closings come before the hold, and do not depend on its asset.
    asset = AssetCode("") if hold is None else hold.asset
    postings = [Posting(wallet, part.to, asset, part.amount) for part in command.parts]
    if refusal := postings_guard(books, postings, now):
        return refusal
    if hold is None:
        return _not_open(books, wallet, command.hold)
    taken, left = sum(int(part.amount) for part in command.parts), reserved(hold)
    if taken > left:
        facts = {"asset": hold.asset, "reserved": str(left), "required": str(taken)}
        return refuse(Reason.CAPTURE_EXCEEDS_HOLD, wallet=wallet, hold=hold.hold, **facts)
    for posting in postings:
        draft.move(posting.source, posting.to, posting.asset, int(posting.amount))
        draft.moved.append(Moved(posting.source, posting.to, posting.asset, posting.amount))
    is_over = command.final or taken == left
    draft.reserve(wallet, hold.asset, -left if is_over else -taken)
    if is_over:
        draft.give_back(hold, left - taken)
    if refusal := maximum_guard(books, draft):
        return refusal
    # After this point it must succeed.
    state = HoldState.CAPTURED if is_over else HoldState.OPEN
    draft.put_hold(msgspec.structs.replace(hold, captured=str(int(hold.captured) + taken), state=state))
    return draft.effects()


def extend_hold(books: Books, command: ExtendHold, now: datetime) -> Verdict:
    """Set another expiry, later or earlier, but not in the past."""
    if refusal := _state_guard(books, command, now):
        return refusal
    draft = Draft(books, now)
    hold = draft.open_hold(command.wallet, command.hold)
    if hold is None:
        return _not_open(books, command.wallet, command.hold)
    named = None if command.expires_at is msgspec.UNSET else command.expires_at
    expires_at = moment_from(named, command.expires_in_seconds, now)
    if refusal := moment_guard("expires_at", expires_at, now):
        return refusal
    # After this point it must succeed.
    draft.show(command.wallet, hold.asset)
    draft.put_hold(msgspec.structs.replace(hold, expires_at=expires_at))
    return draft.effects()


def adjust_hold(books: Books, command: AdjustHold, now: datetime, origin: Origin) -> Verdict:
    """Reserve more or less from now on.  Only an increase can fail, for a freeze or for lack of funds."""
    if refusal := _state_guard(books, command, now):
        return refusal
    draft = Draft(books, now)
    hold = draft.open_hold(command.wallet, command.hold)
    more = 0 if hold is None else int(command.amount) - reserved(hold)
    if more > 0 and (refusal := freeze_guard(books, command.wallet, FrozenSide.DEBITS, now)):
        return refusal
    if hold is None:
        return _not_open(books, command.wallet, command.hold)
    draft.reserve(command.wallet, hold.asset, more)
    if more > 0:
        draft.let_go(command.wallet, hold.asset, more, origin, hold.hold)
    else:
        draft.give_back(hold, -more)
    if refusal := funds_guard(draft) or velocity_guard(draft, books):
        return refusal
    # After this point it must succeed.
    amount = int(hold.captured) + int(command.amount)
    draft.put_hold(msgspec.structs.replace(hold, amount=str(amount)))
    return draft.effects()


def void_hold(books: Books, command: VoidHold, now: datetime) -> Verdict:
    """Release what the hold still reserves.  No freeze stops it."""
    if refusal := _state_guard(books, command, now):
        return refusal
    draft = Draft(books, now)
    hold = draft.open_hold(command.wallet, command.hold)
    if hold is None:
        return _not_open(books, command.wallet, command.hold)
    # After this point it must succeed.
    draft.reserve(command.wallet, hold.asset, -reserved(hold))
    draft.give_back(hold, reserved(hold))
    draft.put_hold(msgspec.structs.replace(hold, state=HoldState.VOIDED))
    return draft.effects()


def expire_hold(books: Books, command: ExpireHold, now: datetime) -> Verdict:
    """Record the expiry of this hold and of the wallet's other expired holds, or of as many of them as the command
    says.
    """
    if refusal := wallet_guard(books, command.wallet) or conditions_guard(books, command, now):
        return refusal
    book = books.wallets[command.wallet]
    if not has_lapsed(book, now, command.hold):
        return _not_open(books, command.wallet, command.hold)
    # After this point it must succeed.
    draft = Draft(books, now)
    taken_in = islice(in_turn(book, now, command.hold), command.most)
    draft.expire(command.wallet, sorted(taken_in, key=lambda hold: (len(hold.hold), hold.hold)))
    return draft.effects()


def _state_guard(books: Books, command: ExtendHold | AdjustHold | VoidHold, now: datetime) -> Refusal | None:
    return (
        wallet_guard(books, command.wallet)
        or conditions_guard(books, command, now)
        or open_guard(books, command.wallet)
    )


def _not_open(books: Books, wallet: str, hold: HoldId) -> Refusal:
    return refuse(Reason.HOLD_NOT_OPEN, wallet=wallet, hold=hold, **about_lost(books.histories, hold))
