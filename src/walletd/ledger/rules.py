"""The rules: ``decide(books, command, now)`` says what a command does, or why it may not.

    verdict = decide(books, command, now)
    match verdict:
        case Effects(): apply(books, verdict)
        case Refusal(): ...                    # an answer, journaled like any other

Guards stand in the order of the ``Reason`` enum; behind the line "after this point it must succeed" nothing refuses.
Nothing is changed here: the verdict is a value.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, assert_never

import msgspec

from walletd.ledger.book import Book, Books, balance_record
from walletd.vocabulary.commands import AnyCommand, DefineAsset, OpenWallet, Posting, PostTransfer
from walletd.vocabulary.entries import AssetRecord, Effects, Refusal, WalletRecord
from walletd.vocabulary.error_codes import Reason
from walletd.vocabulary.identifiers import AssetCode, Version, WalletId
from walletd.vocabulary.lifecycle import WalletStatus

Verdict = Effects | Refusal


def decide(books: Books, command: AnyCommand, now: datetime) -> Verdict:
    """What the command does to the books at this moment, or the first reason, in the enum's order, against it.

    ``books`` must hold every wallet of ``wallets_of(command)`` that exists.  O(postings).
    """
    if command.valid_until is not None and now > command.valid_until:
        return refuse(Reason.COMMAND_EXPIRED, valid_until=command.valid_until, time=now)
    match command:
        case DefineAsset():
            return _define_asset(books, command)
        case OpenWallet():
            return _open_wallet(books, command, now)
        case PostTransfer():
            return _post_transfer(books, command)
        case _:
            assert_never(command)


def refuse(reason: Reason, **facts: Any) -> Refusal:
    """The refusal for this reason, with the facts that explain it: as plain as the journal gives them back."""
    assert reason.is_refusal
    return Refusal(reason, msgspec.to_builtins(facts))


def _define_asset(books: Books, command: DefineAsset) -> Verdict:
    known = books.assets.get(command.asset)
    if known is not None:
        return refuse(Reason.ASSET_ALREADY_DEFINED, asset=known.asset, scale=known.scale)
    if refusal := _version_guard(books, command):
        return refusal
    # After this point it must succeed.
    return Effects(assets=(AssetRecord(command.asset, command.scale),))


def _open_wallet(books: Books, command: OpenWallet, now: datetime) -> Verdict:
    known = books.wallets.get(command.wallet)
    if known is not None:
        return refuse(Reason.WALLET_ALREADY_EXISTS, wallet=known.wallet, opened_at=known.opened_at)
    if refusal := _version_guard(books, command):
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


def _post_transfer(books: Books, command: PostTransfer) -> Verdict:
    postings = command.postings
    for index, posting in enumerate(postings):
        if posting.asset not in books.assets:
            return refuse(Reason.ASSET_NOT_FOUND, asset=posting.asset, posting=index)
    for index, posting in enumerate(postings):
        for wallet in (posting.source, posting.to):
            if wallet not in books.wallets:
                return refuse(Reason.WALLET_NOT_FOUND, wallet=wallet, posting=index)
    for index, posting in enumerate(postings):
        if posting.source == posting.to:
            return refuse(Reason.SELF_TRANSFER, wallet=posting.to, posting=index)
    if refusal := _version_guard(books, command):
        return refusal
    for index, posting in enumerate(postings):
        for wallet in (posting.source, posting.to):
            if books.wallets[wallet].status is WalletStatus.CLOSED:
                return refuse(Reason.WALLET_CLOSED, wallet=wallet, posting=index)
    changes = _net_changes(postings)
    for (wallet, asset), change in changes.items():
        if change < 0 and (refusal := _funds_guard(books.wallets[wallet], asset, -change)):
            return refusal
    # After this point it must succeed.
    return Effects(
        balances=tuple(
            balance_record(book, asset, balance.posted + change, balance.held, book.version + 1)
            for (wallet, asset), change in changes.items()
            for book in (books.wallets[wallet],)
            for balance in (book.balance(asset),)
        )
    )


def _version_guard(books: Books, command: AnyCommand) -> Refusal | None:
    for wallet, demanded in command.if_version.items():
        book = books.wallets.get(wallet)
        version = book.version if book else 0
        if version != demanded:
            return refuse(Reason.VERSION_MISMATCH, wallet=wallet, version=version, demanded=demanded)
    return None


def _funds_guard(book: Book, asset: AssetCode, required: int) -> Refusal | None:
    available = book.available(asset)
    if available is None or required <= available:
        return None
    return refuse(
        Reason.INSUFFICIENT_FUNDS,
        wallet=book.wallet,
        asset=asset,
        available=str(available),
        required=str(required),
        short_by=str(required - available),
    )


def _net_changes(postings: Iterable[Posting]) -> dict[tuple[WalletId, AssetCode], int]:
    """What each wallet gains or loses of each asset over all the postings; their sum per asset is zero."""
    changes: dict[tuple[WalletId, AssetCode], int] = {}
    for posting in postings:
        amount = int(posting.amount)
        payer, payee = (posting.source, posting.asset), (posting.to, posting.asset)
        changes[payer] = changes.get(payer, 0) - amount
        changes[payee] = changes.get(payee, 0) + amount
    return changes
