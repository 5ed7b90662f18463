"""The rules of transfers: money moves along all postings, in their order, or along none."""

from datetime import datetime

from walletd.ledger.book import Books
from walletd.ledger.draft import Draft, Origin
from walletd.ledger.guards import (
    Steps,
    Verdict,
    conditions_guard,
    funds_guard,
    maximum_guard,
    postings_guard,
    refuse,
    velocity_guard,
)
from walletd.vocabulary.commands import PostTransfer
from walletd.vocabulary.reasons import Reason


def post_transfer(
    books: Books, command: PostTransfer, now: datetime, origin: Origin, leniently: bool = False
) -> Verdict:
    """Move money along the postings one after the other: each must be covered in its turn."""
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
    if refusal := conditions_guard(books, command, now) or postings_guard(books, postings, now):
        return refusal
    draft = Draft(books, now)
    steps = Steps(draft, books, len(postings))
    for index, posting in enumerate(postings):
        amount = int(posting.amount)
        draft.move(posting.source, posting.to, posting.asset, amount)
        draft.let_go(posting.source, posting.asset, amount, origin)
        steps.judge(index, posting, amount)
    if leniently:
        refusal = funds_guard(draft) or velocity_guard(draft, books) or maximum_guard(books, draft)
    else:
        refusal = steps.funds or velocity_guard(draft, books) or steps.maximum
    if refusal:
        return refusal
    # After this point it must succeed.
    return draft.effects()
