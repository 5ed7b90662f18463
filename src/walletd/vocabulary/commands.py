"""Commands: what a client asks to change.  Imperatives, frozen, exactly as sent.

A command is both the ``params`` of its method on the wire and the ``command`` of its journal entry, so that a
command sent again can be compared field by field with the one that was decided.

    >>> PostTransfer(command_id="c1", postings=(Posting("alice", "bob", "EUR", "1250"),))
"""

from datetime import datetime
from typing import Annotated, Any

import msgspec

from walletd.vocabulary.identifiers import AssetName, CommandName, VersionNumber, WalletId, WalletName
from walletd.vocabulary.money import AmountText, Scale

MAX_POSTINGS = 100
"""A transfer is one turn of every wallet in it; a hundred keeps that turn well below a millisecond."""

Metadata = Annotated[
    dict[
        Annotated[str, msgspec.Meta(min_length=1, max_length=40)],
        Annotated[str, msgspec.Meta(max_length=500)],
    ],
    msgspec.Meta(max_length=16),
]
"""Free words of the client's own about a wallet or a transfer; at most 16 keys."""

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""A moment in RFC 3339 with its offset, to the microsecond."""


class Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What every command carries: its id, and what must hold for it to be decided at all."""

    command_id: CommandName
    if_version: Annotated[dict[WalletName, VersionNumber], msgspec.Meta(max_length=2 * MAX_POSTINGS)] = {}
    valid_until: Instant | None = None
    dry_run: bool = False


class DefineAsset(Command, frozen=True, kw_only=True, tag_field="method", tag="asset.define"):
    """Define an asset and, for ever, how many decimal places its main unit has."""

    asset: AssetName
    scale: Scale


class OpenWallet(Command, frozen=True, kw_only=True, tag_field="method", tag="wallet.open"):
    """Open a wallet.  A name that starts with ``@`` makes a system wallet, which may go below zero."""

    wallet: WalletName
    metadata: Metadata = {}


class Posting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One movement: ``amount`` smallest units of ``asset`` leave one wallet and reach another."""

    source: WalletName = msgspec.field(name="from")
    to: WalletName
    asset: AssetName
    amount: AmountText


class PostTransfer(Command, frozen=True, kw_only=True, tag_field="method", tag="transfer.post"):
    """Move money along all the postings at once, or along none.

    The postings are judged together: a wallet must be able to pay what it gives, less what it gets, in each asset.
    """

    postings: Annotated[tuple[Posting, ...], msgspec.Meta(min_length=1, max_length=MAX_POSTINGS)]
    reference: Annotated[str, msgspec.Meta(min_length=1, max_length=128)] | None = None
    metadata: Metadata = {}


AnyCommand = DefineAsset | OpenWallet | PostTransfer


def wallets_of(command: AnyCommand) -> list[WalletId]:
    """Every wallet whose turn the command needs, sorted and without doubles: the order in which they are claimed."""
    match command:
        case DefineAsset():
            wallets: set[WalletId] = set()
        case OpenWallet(wallet=wallet):
            wallets = {wallet}
        case PostTransfer(postings=postings):
            wallets = {posting.source for posting in postings}
            wallets.update(posting.to for posting in postings)
    if command.if_version:
        wallets.update(command.if_version)
    return sorted(wallets)


def first_difference(one: AnyCommand, other: AnyCommand) -> str | None:
    """The name of the first field in which two commands differ, ``method`` included; None where they are equal."""
    if type(one) is not type(other):
        return "method"
    for field in msgspec.structs.fields(one):
        if getattr(one, field.name) != getattr(other, field.name):
            return _first_inner_difference(field.encode_name, getattr(one, field.name), getattr(other, field.name))
    return None


def _first_inner_difference(path: str, one: Any, other: Any) -> str:
    if isinstance(one, tuple) and isinstance(other, tuple) and len(one) == len(other):
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            if left != right:
                return _first_inner_difference(f"{path}[{index}]", left, right)
    if isinstance(one, msgspec.Struct) and type(one) is type(other):
        for field in msgspec.structs.fields(one):
            left, right = getattr(one, field.name), getattr(other, field.name)
            if left != right:
                return _first_inner_difference(f"{path}.{field.encode_name}", left, right)
    return path
