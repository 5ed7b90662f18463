"""The rules: ``decide(books, command, now, sequence)`` says what a command does, or why it may not.

    verdict = decide(books, command, now, sequence)
    match verdict:
        case Effects(): apply(books, verdict)
        case Refusal(): ...                    # an answer, journaled like any other

Guards stand in the order of the ``Reason`` enum; behind the line "after this point it must succeed" nothing refuses.
Nothing is changed here: the verdict is a value.  ``sequence`` is the entry's, from which, with the
last of ``books.histories``, new holds get their ids.
"""

from datetime import datetime
from functools import partial
from typing import assert_never

from walletd.ledger.batches import execute_batch
from walletd.ledger.book import Books
from walletd.ledger.clients import create_client, revoke_client, rotate_client
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
    """What the command does to the books at this moment, or the first reason, in the enum's order, against it.

    ``index`` is the command's in its batch, ``by`` is who sent it, ``received`` when it came, if that was before now.
    ``books`` must hold every wallet of ``wallets_of(command)`` that exists, the transfers that are refunded, and all
    assets and clients.  O(postings), where no hold has expired.  Entries of earlier versions are decided again
    ``leniently``: postings are judged together, and nothing is refused for its size.
    """
    if refusal := expiry_guard(command, now, received or now):
        return refusal
    match command:
        case c.PostTransfer():
            return post_transfer(books, command, now, Origin(sequence, index or 0), leniently)
        case c.DefineAsset():
            return _define_asset(books, command, now)
        case c.OpenWallet():
            return open_wallet(books, command, now)
        case c.UpdateWallet():
            return update_wallet(books, command, now, Origin(sequence, index or 0))
        case c.FreezeWallet():
            return freeze_wallet(books, command, now)
        case c.UnfreezeWallet():
            return unfreeze_wallet(books, command, now)
        case c.CloseWallet():
            return close_wallet(books, command, now, leniently)
        case c.RefundTransfer():
            return refund_transfer(books, command, now, Origin(sequence, index or 0), leniently)
        case c.PlaceHold():
            hold = hold_id(sequence, index, books.histories[-1].mark)
            return place_hold(books, command, now, hold, Origin(sequence, index or 0))
        case c.CaptureHold():
            return capture_hold(books, command, now)
        case c.ExtendHold():
            return extend_hold(books, command, now)
        case c.AdjustHold():
            return adjust_hold(books, command, now, Origin(sequence, index or 0))
        case c.VoidHold():
            return void_hold(books, command, now)
        case c.ExecuteBatch():
            is_plain = not leniently and received is None
            inner = decide if is_plain else partial(decide, leniently=leniently, received=received)
            return execute_batch(books, command, now, sequence, inner, leniently)
        case c.CreateClient():
            return create_client(books, command, now, by)
        case c.RotateClient():
            return rotate_client(books, command, now, by)
        case c.RevokeClient():
            return revoke_client(books, command, now, by)
        case c.ExpireHold():
            return expire_hold(books, command, now)
        case _:
            assert_never(command)


def _define_asset(books: Books, command: c.DefineAsset, now: datetime) -> Verdict:
    known = books.assets.get(command.asset)
    if known is not None:
        return refuse(Reason.ASSET_ALREADY_DEFINED, asset=known.asset, scale=known.scale)
    if refusal := conditions_guard(books, command, now):
        return refusal
    # After this point it must succeed.
    return Effects(assets=(AssetRecord(command.asset, command.scale),))
