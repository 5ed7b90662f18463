"""Statement lines: what one entry means to each wallet that it moved money in or out of.

for line in lines_of(entry): ...           # one for each side of each posting, in order
"""

from typing import NamedTuple

from walletd.vocabulary.commands import PostTransfer
from walletd.vocabulary.entries import Entry
from walletd.vocabulary.identifiers import AssetCode, WalletId


class Line(NamedTuple):
    """One posting as one wallet sees it: ``amount`` is signed, ``posted`` the wallet's balance after this line."""

    wallet: WalletId
    line: int
    asset: AssetCode
    amount: int
    posted: int
    counterparty: WalletId
    reference: str | None


def lines_of(entry: Entry) -> list[Line]:
    """The lines of all wallets, posting by posting; none where the entry moved nothing.

    An entry records each balance as it stands at its end, so the running balance is reckoned backwards from there.
    """
    if entry.effects is None or not isinstance(entry.command, PostTransfer):
        return []
    running = {(b.wallet, b.asset): int(b.posted) for b in entry.effects.balances}
    lines: list[Line] = []
    postings = entry.command.postings
    reference = entry.command.reference
    for index in range(len(postings) - 1, -1, -1):
        posting = postings[index]
        amount = int(posting.amount)
        for wallet, other, change in ((posting.to, posting.source, amount), (posting.source, posting.to, -amount)):
            posted = running[wallet, posting.asset]
            lines.append(Line(wallet, index, posting.asset, change, posted, other, reference))
            running[wallet, posting.asset] = posted - change
    lines.reverse()
    return lines
