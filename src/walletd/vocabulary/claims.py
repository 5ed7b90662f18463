"""Claims: what a command takes, before anything is decided: the turns of wallets, and the ids that it uses up.

claims_of(command)                                 # ["alice", "bob"]: the turns, in the order of claiming
ids_of(command)                                    # its own id, and those of the commands in a batch
kind_of(command)                                   # "transfer.post"
"""

from typing import get_args

from walletd.vocabulary.commands import (
    AnyCommand,
    CaptureHold,
    CloseWallet,
    CreateClient,
    DefineAsset,
    ExecuteBatch,
    PostTransfer,
    RecordedCommand,
    RefundTransfer,
    RefusedCommand,
    RevokeClient,
    RotateClient,
    UpdateClient,
)
from walletd.vocabulary.identifiers import CommandId, WalletId

_KIND_OF = {kind: str(kind.__struct_config__.tag) for kind in get_args(AnyCommand)}


def kind_of(command: RecordedCommand) -> str:
    """The command's method."""
    if isinstance(command, RefusedCommand):
        return command.kind
    return _KIND_OF[type(command)]


def wallets_of(command: AnyCommand) -> list[WalletId]:
    """Every wallet whose turn the command needs, sorted and without duplicates: the order in which they are claimed."""
    wallets: set[WalletId] = set()
    _gather(command, wallets)
    return sorted(wallets)


def _gather(command: AnyCommand, wallets: set[WalletId]) -> None:
    """Add the command's wallets to these."""
    match command:
        case PostTransfer(postings=postings) | RefundTransfer(postings=postings):
            for posting in postings:
                wallets.add(posting.source)
                wallets.add(posting.to)
        case DefineAsset() | CreateClient() | UpdateClient() | RotateClient() | RevokeClient():
            pass
        case ExecuteBatch(commands=commands):
            for inner in commands:
                _gather(inner, wallets)
        case CloseWallet(wallet=wallet, sweep_to=target) if target is not None:
            wallets.add(wallet)
            wallets.add(target)
        case CaptureHold(wallet=wallet, parts=parts):
            wallets.add(wallet)
            wallets.update(part.to for part in parts)
        case _:
            wallets.add(command.wallet)
    if command.if_version:
        wallets.update(command.if_version)
    if command.if_balance:
        wallets.update(condition.wallet for condition in command.if_balance)


TRANSFER_MARK = "~"
"""The prefix of a claim on a transfer to be refunded, among the claims on wallets; no wallet's name begins with it."""


def claims_of(command: AnyCommand) -> list[WalletId]:
    """Every turn that the command needs, sorted: its wallets and, behind the mark, the transfer that it refunds."""
    if isinstance(command, PostTransfer) and len(command.postings) == 1:  # Most commands are.
        source, to = command.postings[0].source, command.postings[0].to
        if source != to and not command.if_version and not command.if_balance:
            return [source, to] if source < to else [to, source]
        return wallets_of(command)
    if not isinstance(command, (RefundTransfer, ExecuteBatch)):
        return wallets_of(command)
    refunds = {inner.transfer for inner in parts_of(command) if isinstance(inner, RefundTransfer)}
    return wallets_of(command) + [WalletId(TRANSFER_MARK + transfer) for transfer in sorted(refunds)]


def parts_of(command: AnyCommand) -> tuple[AnyCommand, ...]:
    """The commands of a batch; for any other command, the command itself."""
    return command.commands if isinstance(command, ExecuteBatch) else (command,)


def ids_of(command: RecordedCommand) -> list[CommandId]:
    """The command ids that the command uses up: its own first, then those of the commands in it."""
    if isinstance(command, RefusedCommand):
        return [command.command_id, *command.commands]
    if isinstance(command, ExecuteBatch):
        return [command.command_id, *(inner.command_id for inner in command.commands)]
    return [command.command_id]


def is_short_lived(command: AnyCommand) -> bool:
    """True if the command, or one in it, is valid for a number of seconds from its arrival."""
    if command.valid_for_seconds is not None:
        return True
    return isinstance(command, ExecuteBatch) and any(inner.valid_for_seconds is not None for inner in command.commands)
