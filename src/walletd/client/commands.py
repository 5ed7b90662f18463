"""Commands from plain values, for a batch and for ``submit``.

    first = open_wallet("bob", {"tier": "gold"})
    then = post_transfer([Leg("alice", "bob", 1250, "EUR")], reference="welcome")
    done = await client.batch([first, then])

Amounts are ints of smallest units: only a client knows the scales of assets.  A command without an id gets one.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypedDict, Unpack

import msgspec

from walletd.client.clients import aware
from walletd.client.requests import given, new_command_id
from walletd.client.results import Amount, Leg, needs_scale
from walletd.vocabulary import commands as c
from walletd.vocabulary.identifiers import AssetCode, CommandId, HoldId, TransferId, WalletId
from walletd.vocabulary.states import FrozenSide


class Terms(TypedDict, total=False):
    """What any command may carry: its id, the conditions under which it is decided, and whether it changes anything.

    ``if_version`` gives the versions that wallets must have, ``if_balance`` what balances must be; ``valid_until`` is
    the time, by the daemon's clock, until which the command may be decided, and ``valid_for_seconds`` the seconds after
    the daemon received it.
    """

    command_id: str
    if_version: Mapping[str, int]
    if_balance: Iterable[c.BalanceCondition]
    valid_until: datetime
    valid_for_seconds: int
    dry_run: bool


def balance_condition(
    wallet: str, asset: str, *, gte: int | None = None, lte: int | None = None, eq: int | None = None
) -> c.BalanceCondition:
    """A condition on an available balance: at least, at most or exactly this amount."""
    least, most, exactly = (None if bound is None else str(_units(bound)) for bound in (gte, lte, eq))
    return c.BalanceCondition(wallet=WalletId(wallet), asset=AssetCode(asset), gte=least, lte=most, eq=exactly)


def define_asset(code: str, scale: int, **terms: Unpack[Terms]) -> c.DefineAsset:
    """``asset.define``"""
    return c.DefineAsset(asset=AssetCode(code), scale=scale, **_of(terms))


def open_wallet(wallet: str, metadata: Mapping[str, str] | None = None, **terms: Unpack[Terms]) -> c.OpenWallet:
    """``wallet.open``"""
    return c.OpenWallet(wallet=WalletId(wallet), metadata=dict(metadata or {}), **_of(terms))


def update_wallet(
    wallet: str,
    *,
    metadata: Mapping[str, str] | None = None,
    limits: Mapping[str, c.WalletLimits | None] | None = None,
    **terms: Unpack[Terms],
) -> c.UpdateWallet:
    """``wallet.update``"""
    return c.UpdateWallet(
        wallet=WalletId(wallet),
        metadata=None if metadata is None else dict(metadata),
        limits={AssetCode(asset): limit for asset, limit in (limits or {}).items()},
        **_of(terms),
    )


def freeze_wallet(
    wallet: str,
    why: str,
    *,
    frozen: FrozenSide | str = FrozenSide.BOTH,
    until_in_seconds: int | None = None,
    until: datetime | None = None,
    **terms: Unpack[Terms],
) -> c.FreezeWallet:
    """``wallet.freeze``"""
    return c.FreezeWallet(
        wallet=WalletId(wallet),
        why=why,
        frozen=FrozenSide(frozen),
        until=aware("until", until),
        until_in_seconds=until_in_seconds,
        **_of(terms),
    )


def unfreeze_wallet(wallet: str, **terms: Unpack[Terms]) -> c.UnfreezeWallet:
    """``wallet.unfreeze``"""
    return c.UnfreezeWallet(wallet=WalletId(wallet), **_of(terms))


def close_wallet(wallet: str, *, sweep_to: str | None = None, **terms: Unpack[Terms]) -> c.CloseWallet:
    """``wallet.close``"""
    return c.CloseWallet(
        wallet=WalletId(wallet), sweep_to=None if sweep_to is None else WalletId(sweep_to), **_of(terms)
    )


def post_transfer(
    legs: Iterable[Leg],
    *,
    reference: str | None = None,
    metadata: Mapping[str, str] | None = None,
    **terms: Unpack[Terms],
) -> c.PostTransfer:
    """``transfer.post``"""
    return c.PostTransfer(postings=_postings(legs), reference=reference, metadata=dict(metadata or {}), **_of(terms))


def refund_transfer(
    transfer: str,
    legs: Iterable[Leg],
    *,
    reference: str | None = None,
    metadata: Mapping[str, str] | None = None,
    **terms: Unpack[Terms],
) -> c.RefundTransfer:
    """``transfer.refund``; the legs run in the reverse direction."""
    return c.RefundTransfer(
        transfer=TransferId(transfer),
        postings=_postings(legs),
        reference=reference,
        metadata=dict(metadata or {}),
        **_of(terms),
    )


def place_hold(
    wallet: str,
    amount: int,
    asset: str,
    *,
    expires_in_seconds: int | None = None,
    expires_at: datetime | None = None,
    reference: str | None = None,
    metadata: Mapping[str, str] | None = None,
    **terms: Unpack[Terms],
) -> c.PlaceHold:
    """``hold.place``"""
    return c.PlaceHold(
        wallet=WalletId(wallet),
        asset=AssetCode(asset),
        amount=str(_units(amount)),
        expires_at=aware("expires_at", expires_at),
        expires_in_seconds=expires_in_seconds,
        reference=reference,
        metadata=dict(metadata or {}),
        **_of(terms),
    )


def capture_hold(
    wallet: str,
    hold: str,
    parts: Mapping[str, int],
    *,
    final: bool = False,
    reference: str | None = None,
    metadata: Mapping[str, str] | None = None,
    **terms: Unpack[Terms],
) -> c.CaptureHold:
    """``hold.capture``; ``parts`` has the amount of each wallet that is paid."""
    return c.CaptureHold(
        wallet=WalletId(wallet),
        hold=HoldId(hold),
        parts=tuple(c.Part(WalletId(to), str(_units(amount))) for to, amount in parts.items()),
        final=final,
        reference=reference,
        metadata=dict(metadata or {}),
        **_of(terms),
    )


def extend_hold(
    wallet: str,
    hold: str,
    *,
    expires_in_seconds: int | None = None,
    expires_at: datetime | None = None,
    **terms: Unpack[Terms],
) -> c.ExtendHold:
    """``hold.extend``; with neither, the hold stays open until it is captured or voided."""
    return c.ExtendHold(
        wallet=WalletId(wallet),
        hold=HoldId(hold),
        expires_at=msgspec.UNSET if expires_in_seconds is not None else aware("expires_at", expires_at),
        expires_in_seconds=expires_in_seconds,
        **_of(terms),
    )


def adjust_hold(wallet: str, hold: str, amount: int, **terms: Unpack[Terms]) -> c.AdjustHold:
    """``hold.adjust``"""
    return c.AdjustHold(wallet=WalletId(wallet), hold=HoldId(hold), amount=str(_units(amount)), **_of(terms))


def void_hold(wallet: str, hold: str, **terms: Unpack[Terms]) -> c.VoidHold:
    """``hold.void``"""
    return c.VoidHold(wallet=WalletId(wallet), hold=HoldId(hold), **_of(terms))


def _of(terms: Terms) -> dict[str, Any]:
    """The fields of every command."""
    fields: dict[str, Any] = given(**terms)
    fields["command_id"] = CommandId(fields.get("command_id", new_command_id()))
    if "if_balance" in fields:
        fields["if_balance"] = tuple(fields["if_balance"])
    aware("valid_until", fields.get("valid_until"))
    return fields


def _postings(legs: Iterable[Leg]) -> tuple[c.Posting, ...]:
    return tuple(
        c.Posting(WalletId(leg.source), WalletId(leg.to), AssetCode(leg.asset), str(_units(leg.amount))) for leg in legs
    )


def _units(amount: Amount) -> int:
    """The amount.  Raises TypeError for a Decimal, which only a client can convert."""
    if needs_scale(amount):
        raise TypeError(f"{amount} is in the main unit; a command has smallest units: int(...), or use the client")
    return int(amount)
