"""Statement lines: the meaning of one entry for each wallet that it moved money in or out of.

for line in lines_of(entry): ...           # one for each side of each posting, in order
"""

from collections.abc import Iterable
from typing import NamedTuple

from walletd.vocabulary.commands import (
    AnyCommand,
    CaptureHold,
    CloseWallet,
    ExecuteBatch,
    PostTransfer,
    RefundTransfer,
    RefusedCommand,
)
from walletd.vocabulary.entries import Entry, Moved
from walletd.vocabulary.identifiers import AssetCode, TransferId, WalletId, transfer_id

TRANSFER, REFUND, CAPTURE, SWEEP = "transfer", "refund", "capture", "sweep"


class Movement(NamedTuple):
    """Money that an entry moved: the transfer and posting, the kind of command, and the purpose."""

    line: int
    source: WalletId
    to: WalletId
    asset: AssetCode
    amount: int
    kind: str
    transfer: TransferId
    reference: str | None


class Line(NamedTuple):
    """One movement as one wallet sees it: ``amount`` is signed, ``posted`` is the wallet's balance after this line."""

    wallet: WalletId
    line: int
    asset: AssetCode
    amount: int
    posted: int
    counterparty: WalletId
    reference: str | None
    kind: str
    transfer: TransferId


def movements_of(entry: Entry) -> list[Movement]:
    """All money that the entry moved, in order; none if it was refused."""
    command = entry.command
    if entry.effects is None or isinstance(command, RefusedCommand):
        return []
    if not isinstance(command, ExecuteBatch):
        return _movements(command, entry.effects.moved, transfer_id(entry.sequence, None, entry.history), 0)
    unsaid: dict[int | None, list[Moved]] = {}
    for moved in entry.effects.moved:
        unsaid.setdefault(moved.command, []).append(moved)
    movements: list[Movement] = []
    for index, inner in enumerate(command.commands):
        if entry.effects.outcomes and entry.effects.outcomes[index] is not None:
            continue
        transfer = transfer_id(entry.sequence, index, entry.history)
        movements += _movements(inner, unsaid.get(index, ()), transfer, len(movements))
    return movements


def transfer_of(entry: Entry) -> TransferId | None:
    """The transfer that the entry posted; None if it moved nothing, or is a batch with a transfer for each part."""
    if entry.effects is None or isinstance(entry.command, ExecuteBatch):
        return None
    is_said = isinstance(entry.command, (PostTransfer, RefundTransfer))
    return transfer_id(entry.sequence, None, entry.history) if is_said or entry.effects.moved else None


def _movements(command: AnyCommand, unsaid: Iterable[Moved], transfer: TransferId, first_line: int) -> list[Movement]:
    """The movements of one applied command: those that it names or, if it names none, those recorded beside it."""
    match command:
        case PostTransfer(postings=postings, reference=reference):
            moved, kind = [(p.source, p.to, p.asset, p.amount) for p in postings], TRANSFER
        case RefundTransfer(postings=postings, reference=reference):
            moved, kind = [(p.source, p.to, p.asset, p.amount) for p in postings], REFUND
        case CaptureHold(reference=reference):
            moved, kind = [(m.source, m.to, m.asset, m.amount) for m in unsaid], CAPTURE
        case CloseWallet():
            moved, kind = [(m.source, m.to, m.asset, m.amount) for m in unsaid], SWEEP
            reference = None
        case _:
            return []
    return [
        Movement(line, source, to, asset, int(amount), kind, transfer, reference)
        for line, (source, to, asset, amount) in enumerate(moved, first_line)
    ]


def lines_of(entry: Entry) -> list[Line]:
    """The lines of all wallets, movement by movement; none if the entry moved nothing.

    An entry records each balance as of its end, so running balances are computed backwards from there.
    """
    movements = movements_of(entry)
    if not movements or entry.effects is None:
        return []
    running = {(b.wallet, b.asset): int(b.posted) for b in entry.effects.balances}
    lines: list[Line] = []
    for line, source, to, asset, amount, kind, transfer, reference in reversed(movements):
        for wallet, other, change in ((to, source, amount), (source, to, -amount)):
            posted = running[wallet, asset]
            lines.append(Line(wallet, line, asset, change, posted, other, reference, kind, transfer))
            running[wallet, asset] = posted - change
    lines.reverse()
    return lines
