"""The answers to commands."""

import msgspec

from walletd.protocol.messages.base import ErrorObject, Result
from walletd.protocol.messages.clients import ClientView
from walletd.vocabulary.commands import Instant
from walletd.vocabulary.entries import AssetRecord, BalanceRecord, HoldRecord, WalletRecord
from walletd.vocabulary.room import Room


class BatchOutcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The outcome of one command of a batch: ``error`` is its refusal, as it would be for a single command."""

    command_id: str
    transfer: str | None = None
    hold: str | None = None
    error: ErrorObject | None = None


class Applied(Result, frozen=True, kw_only=True):
    """A command was applied and is durable.

    ``replayed`` is true if this repeats an earlier answer to the same command id; ``dry_run``, if nothing was changed
    and no sequence was used.  A dry run reports the room that the command would leave in each balance that it touches.
    Balances, wallets and holds are those that the session may see; if others were touched too, there is no
    ``entry_hash``.
    """

    sequence: int | None = None
    time: Instant
    entry_hash: str | None = None
    transfer: str | None = None
    hold: str | None = None
    assets: tuple[AssetRecord, ...] = ()
    wallets: tuple[WalletRecord, ...] = ()
    balances: tuple[BalanceRecord, ...]
    holds: tuple[HoldRecord, ...] = ()
    clients: tuple[ClientView, ...] = ()
    outcomes: tuple[BatchOutcome, ...] = ()
    room: tuple[Room, ...] = ()
    replayed: bool = False
    dry_run: bool = False
