"""Requests before they have an id: the method, its params as sent, and the type of the result.

One function for each call of the client, shared by both clients.  A command has its id from here on, before anything is
sent.
"""

import secrets
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from walletd.client.results import Applied, EntryPage, EntryView
from walletd.protocol import messages as m
from walletd.protocol.messages import operator as o
from walletd.protocol.messages.holds import HoldPage, HoldView
from walletd.protocol.messages.journal import CompactionStatus, JournalBlock
from walletd.vocabulary.commands import AnyCommand, BatchedCommand
from walletd.vocabulary.states import WalletStatus

Answer = TypeVar("Answer")


class Request(NamedTuple, Generic[Answer]):
    """A request that can be sent any number of times, on any connection."""

    method: str
    params: Mapping[str, Any]
    result: type[Answer]
    command_id: str | None = None
    changes: bool = False
    """True if it can have changed something; false for a read or a dry run."""
    repeats: bool = True
    """True if it may be sent again on another connection."""


def new_command_id() -> str:
    """A command id that was never used before: a UUID of version 7 (RFC 9562).

    It begins with the time, so that the daemon finds ids of about the same time close together.
    """
    milliseconds = time.time_ns() // 1_000_000
    number = milliseconds << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    return f"{number:032x}"


def given(**params: Any) -> dict[str, Any]:
    """The params that are not None."""
    return {name: value for name, value in params.items() if value is not None}


def read(method: str, result: type[Answer], **params: Any) -> Request[Answer]:
    """A request that changes nothing."""
    return Request(method, given(**params), result)


def command(method: str, params: Mapping[str, Any], command_id: str | None, dry_run: bool = False) -> Request[Applied]:
    """A command, with a fresh id if none is given.  An empty one counts as given, and the daemon refuses it: it is a
    caller's mistake, and a fresh id in its place would pay twice when the caller tries again.
    """
    command_id = new_command_id() if command_id is None else command_id
    params = {"command_id": command_id, **params, **({"dry_run": True} if dry_run else {})}
    return Request(method, params, Applied, command_id, changes=not dry_run)


def raw(method: str, params: Mapping[str, Any]) -> Request[dict[str, Any]]:
    """Any method by its name.  A command without an id gets one; an unknown method is sent again only if it carries a
    command id.
    """
    from walletd.protocol.methods import METHODS, Kind  # Takes longer to load than to ask; the other calls need none.

    known = METHODS.get(method)
    command_id = params.get("command_id") if method != "entry.get" else None
    if known is not None and known.kind is Kind.COMMAND and command_id is None:
        command_id = new_command_id()
        params = {"command_id": command_id, **params}
    is_known_read = known is not None and known.kind is not Kind.COMMAND
    changes = not is_known_read and not params.get("dry_run", False)
    return Request(method, params, dict[str, Any], command_id, changes, is_known_read or command_id is not None)


# --- commands ------------------------------------------------------------------------------------------------------


def define_asset(code: str, scale: int, command_id: str | None) -> Request[Applied]:
    """``asset.define``"""
    return command("asset.define", {"asset": code, "scale": scale}, command_id)


def open_wallet(wallet: str, metadata: Mapping[str, str] | None, command_id: str | None) -> Request[Applied]:
    """``wallet.open``"""
    return command("wallet.open", given(wallet=wallet, metadata=metadata or None), command_id)


def submit(command: AnyCommand) -> Request[Applied]:
    """Any command of the protocol, as ``walletd.vocabulary.commands`` declares it."""
    params = msgspec.to_builtins(command)
    method = params.pop("method")
    return Request(method, params, Applied, command.command_id, changes=not command.dry_run)


def batch(
    commands: Iterable[BatchedCommand], atomic: bool, command_id: str | None, dry_run: bool = False
) -> Request[Applied]:
    """``batch.execute``"""
    params = {"commands": [msgspec.to_builtins(inner) for inner in commands], "atomic": atomic}
    return command("batch.execute", params, command_id, dry_run)


def post(
    postings: Iterable[tuple[str, str, str, int]],
    *,
    reference: str | None,
    metadata: Mapping[str, str] | None,
    command_id: str | None,
    if_version: Mapping[str, int] | None,
    valid_until: datetime | None,
    valid_for_seconds: int | None = None,
    dry_run: bool,
) -> Request[Applied]:
    """``transfer.post``; a posting is source, destination, asset and smallest units."""
    if valid_until is not None and valid_until.tzinfo is None:
        raise ValueError(
            "valid_until needs a time zone, such as datetime.now(UTC) + timedelta(minutes=5); or say valid_for_seconds"
        )
    params = given(
        postings=[
            {"from": source, "to": to, "asset": asset, "amount": str(units)} for source, to, asset, units in postings
        ],
        reference=reference,
        metadata=metadata or None,
        if_version=if_version or None,
        valid_until=valid_until,
        valid_for_seconds=valid_for_seconds,
    )
    return command("transfer.post", params, command_id, dry_run)


# --- reads ---------------------------------------------------------------------------------------------------------


def assets(after: str | None = None) -> Request[m.Assets]:
    """``asset.list``, a page"""
    return read("asset.list", m.Assets, after=after)


def wallet(wallet: str) -> Request[m.WalletView]:
    """``wallet.get``"""
    return read("wallet.get", m.WalletView, wallet=wallet)


def wallet_page(
    prefix: str,
    after: str | None,
    limit: int,
    status: WalletStatus | str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Request[m.WalletPage]:
    """``wallet.list``"""
    status = None if status is None else WalletStatus(status)
    params = given(prefix=prefix, after=after, limit=limit, status=status, metadata=metadata or None)
    return read("wallet.list", m.WalletPage, **params)


def balances(
    wallet: str | Iterable[str],
    asset: str | None,
    as_of: int | datetime | None = None,
    after: m.BalancePlace | None = None,
) -> Request[m.Balances]:
    """``balance.get``, of one wallet or of several."""
    whose = {"wallet": wallet} if isinstance(wallet, str) else {"wallets": list(wallet)}
    return read("balance.get", m.Balances, **whose, asset=asset, as_of=_zoned("as_of", as_of), after=after)


class Range(NamedTuple):
    """The range of a statement's lines: from ``since`` on, up to but without ``until``, each a sequence or a time."""

    since: int | datetime | None = None
    until: int | datetime | None = None
    counterparty: str | None = None
    kind: str | None = None


WHOLE = Range()


def statement_page(
    wallet: str,
    asset: str | None,
    newest_first: bool,
    cursor: str | None,
    limit: int,
    chosen: Range = WHOLE,
) -> Request[m.Statement]:
    """``statement.get``"""
    return read(
        "statement.get",
        m.Statement,
        wallet=wallet,
        asset=asset,
        counterparty=chosen.counterparty,
        kind=chosen.kind,
        since=_zoned("since", chosen.since),
        until=_zoned("until", chosen.until),
        newest_first=newest_first or None,
        cursor=cursor,
        limit=limit,
    )


def _zoned(name: str, point: int | datetime | None) -> int | datetime | None:
    """A point of the history.  Raises ValueError for a time without a zone."""
    if isinstance(point, datetime) and point.tzinfo is None:
        raise ValueError(f"{name} needs a time zone, such as datetime(2030, 1, 31, tzinfo=UTC)")
    return point


def hold_page(wallet: str, also_closed: bool, after: str | None, limit: int) -> Request[HoldPage]:
    """``hold.list``"""
    return read("hold.list", HoldPage, wallet=wallet, also_closed=also_closed or None, after=after, limit=limit)


def hold(wallet: str, hold: str) -> Request[HoldView]:
    """``hold.get``"""
    return read("hold.get", HoldView, wallet=wallet, hold=hold)


def transfer(transfer: str) -> Request[m.TransferView]:
    """``transfer.get``"""
    return read("transfer.get", m.TransferView, transfer=transfer)


def entry(sequence: int | None, command_id: str | None) -> Request[EntryView]:
    """``entry.get``"""
    if (sequence is None) == (command_id is None):
        raise TypeError("give exactly one of sequence and command_id")
    return read("entry.get", EntryView, sequence=sequence, command_id=command_id)


def entry_page(after: int, limit: int) -> Request[EntryPage]:
    """``entry.list``"""
    return read("entry.list", EntryPage, after=after, limit=limit)


def authenticate(token: str) -> Request[m.Authenticated]:
    """``session.authenticate``; it belongs to its connection, so it is never sent again on another."""
    return read("session.authenticate", m.Authenticated, token=token)._replace(repeats=False)


def ping() -> Request[m.Pong]:
    """``session.ping``"""
    return read("session.ping", m.Pong)


def status() -> Request[o.DaemonStatus]:
    """``daemon.status``"""
    return read("daemon.status", o.DaemonStatus)


def audit(after: o.AuditPlace | None = None) -> Request[o.AuditReport]:
    """``daemon.audit``"""
    place = None if after is None else msgspec.to_builtins(after)
    return read("daemon.audit", o.AuditReport, after=place)


def journal_block(after: int) -> Request[JournalBlock]:
    """``journal.read``"""
    return read("journal.read", JournalBlock, after=after)


def compact(keep_entries: int | None) -> Request[CompactionStatus]:
    """``daemon.compact``"""
    return read("daemon.compact", CompactionStatus, keep_entries=keep_entries)
