"""The rules: ``decide(books, command, now, sequence)`` returns the effects of a command, or the reason against it.

    verdict = decide(books, command, now, sequence)
    match verdict:
        case Effects(): apply(books, verdict)
        case Refusal(): ...                    # an answer, journaled like any other

Guards stand in the order of the ``Reason`` enum; after the line "after this point it must succeed" nothing refuses.
Nothing is changed here: the verdict is a value.  New holds get their ids from ``sequence``, the entry's, and from the
last of ``books.histories``.
"""

from collections.abc import Generator
from datetime import datetime
from functools import partial
from typing import assert_never

from walletd.ledger.batches import Decide, batch_in_steps, execute_batch
from walletd.ledger.book import Books
from walletd.ledger.clients import create_client, revoke_client, rotate_client, update_client
from walletd.ledger.draft import Origin
from walletd.ledger.guards import Verdict, conditions_guard, expiry_guard, refuse
from walletd.ledger.holds import adjust_hold, capture_hold, expire_hold, extend_hold, place_hold, void_hold
from walletd.ledger.refunds import refund_transfer
from walletd.ledger.transfers import post_transfer
from walletd.ledger.wallets import close_wallet, freeze_wallet, open_wallet, unfreeze_wallet, update_wallet
from walletd.vocabulary import commands as c
from walletd.vocabulary.entries import AssetRecord, Effects
from walletd.vocabulary.identifiers import NOBODY, Principal, hold_id
from walletd.vocabulary.reasons import Reason


def decide(
    books: Books,
    command: c.AnyCommand,
    now: datetime,
    sequence: int,
    index: int | None = None,
    by: Principal = NOBODY,
    received: datetime | None = None,
    *,
    leniently: bool = False,
) -> Verdict:
    """The effects of the command on the books at this time, or the first reason against it, in the enum's order.

    ``index`` is the command's place in its batch, ``by`` the sender, ``received`` the arrival time, if that was before
    now.  ``books`` must hold every existing wallet of ``wallets_of(command)``, the transfers to be refunded, and all
    assets and clients.  O(postings) if no hold has expired.  Entries of earlier versions are decided again
    ``leniently``: postings are judged together, and nothing is refused for its size.
    """
    if refusal := expiry_guard(command, now, received or now):
        return refusal
    origin = Origin(sequence, index or 0)
    match command:
        case c.PostTransfer():
            return post_transfer(books, command, now, origin, leniently)
        case c.DefineAsset():
            return _define_asset(books, command, now)
        case c.OpenWallet():
            return open_wallet(books, command, now)
        case c.UpdateWallet():
            return update_wallet(books, command, now, origin)
        case c.FreezeWallet():
            return freeze_wallet(books, command, now)
        case c.UnfreezeWallet():
            return unfreeze_wallet(books, command, now)
        case c.CloseWallet():
            return close_wallet(books, command, now, leniently)
        case c.RefundTransfer():
            return refund_transfer(books, command, now, origin, leniently)
        case c.PlaceHold():
            hold = hold_id(sequence, index, books.histories[-1].mark)
            return place_hold(books, command, now, hold, origin)
        case c.CaptureHold():
            return capture_hold(books, command, now)
        case c.ExtendHold():
            return extend_hold(books, command, now)
        case c.AdjustHold():
            return adjust_hold(books, command, now, origin)
        case c.VoidHold():
            return void_hold(books, command, now)
        case c.ExecuteBatch():
            return execute_batch(books, command, now, sequence, _inner(leniently, received), leniently)
        case c.CreateClient():
            return create_client(books, command, now, by)
        case c.UpdateClient():
            return update_client(books, command, now, by)
        case c.RotateClient():
            return rotate_client(books, command, now, by)
        case c.RevokeClient():
            return revoke_client(books, command, now, by)
        case c.ExpireHold():
            return expire_hold(books, command, now)
        case _:
            assert_never(command)


def batch_foreseen(
    books: Books, command: c.ExecuteBatch, now: datetime, sequence: int, received: datetime | None = None
) -> Generator[int, None, tuple[Verdict, Books]]:
    """What ``decide`` says of a batch, and the books after it, in steps; ``books`` must not change meanwhile."""
    if refusal := expiry_guard(command, now, received or now):
        return refusal, books
    return (yield from batch_in_steps(books, command, now, sequence, _inner(False, received)))


def _inner(leniently: bool, received: datetime | None) -> Decide:
    """The function that decides the commands of a batch."""
    is_plain = not leniently and received is None
    return decide if is_plain else partial(decide, leniently=leniently, received=received)


def _define_asset(books: Books, command: c.DefineAsset, now: datetime) -> Verdict:
    known = books.assets.get(command.asset)
    if known is not None:
        return refuse(Reason.ASSET_ALREADY_DEFINED, asset=known.asset, scale=known.scale)
    if refusal := conditions_guard(books, command, now):
        return refusal
    # After this point it must succeed.
    return Effects(assets=(AssetRecord(command.asset, command.scale),))
