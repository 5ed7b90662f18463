"""Any entry: its bytes say all there is to say about it, and say it in one way."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties import times
from walletd.vocabulary.commands import (
    MAX_SECONDS,
    AdjustHold,
    AnyCommand,
    BalanceCondition,
    CaptureHold,
    CloseWallet,
    DefineAsset,
    ExecuteBatch,
    ExpireHold,
    ExtendHold,
    FreezeWallet,
    OpenWallet,
    Part,
    PlaceHold,
    Posting,
    PostTransfer,
    RefundTransfer,
    UpdateWallet,
    VoidHold,
    WalletLimits,
)
from walletd.vocabulary.entries import (
    AssetRecord,
    BalanceRecord,
    Effects,
    Entry,
    Freeze,
    HoldRecord,
    Moved,
    Refusal,
    WalletRecord,
    decode_entry,
    encode_entry,
)
from walletd.vocabulary.money import MAX_AMOUNT, MAX_SCALE
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.sameness import first_difference
from walletd.vocabulary.states import FrozenSide, HoldState, WalletStatus

_words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
_wallets: Any = st.from_regex(r"\A@?[A-Za-z0-9][A-Za-z0-9._:/-]{0,62}\Z")
_assets: Any = st.from_regex(r"\A[A-Z][A-Z0-9._-]{0,15}\Z")
_command_ids: Any = st.from_regex(r"\A[\x21-\x7e]{1,64}\Z")
_amounts = st.integers(1, MAX_AMOUNT).map(str)
_balances = st.integers(-(10**60), 10**60).map(str)
_versions: Any = st.integers(0, 2**53 - 1)
_utc_times = st.datetimes(timezones=st.just(UTC))
_offsets = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_instants = st.builds(
    lambda moment, offset: moment.replace(tzinfo=offset),
    st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)),
    _offsets,
)
_metadata = st.dictionaries(_words, _words, max_size=4)
_seconds = st.none() | st.integers(1, MAX_SECONDS)
_conditions: Any = {
    "command_id": _command_ids,
    "if_version": st.dictionaries(_wallets, _versions, max_size=3),
    "if_balance": st.lists(
        st.builds(BalanceCondition, wallet=_wallets, asset=_assets, gte=st.none() | _balances), max_size=2
    ).map(tuple),
    "valid_until": st.none() | _instants,
    "valid_for_seconds": _seconds,
    "dry_run": st.booleans(),
}
_hold_ids: Any = st.from_regex(r"\Ah[1-9][0-9]{0,15}(\.[0-9]{1,3})?\Z")
_bounds = st.none() | st.integers(0, MAX_AMOUNT).map(str)
_limits = st.builds(WalletLimits, credit_limit=_bounds, minimum=_bounds, maximum=_bounds)
_postings = st.builds(Posting, _wallets, _wallets, _assets, _amounts)
_single: st.SearchStrategy[Any] = st.one_of(
    st.builds(DefineAsset, asset=_assets, scale=st.integers(0, MAX_SCALE), **_conditions),
    st.builds(OpenWallet, wallet=_wallets, metadata=_metadata, **_conditions),
    st.builds(
        PostTransfer,
        postings=st.lists(_postings, min_size=1, max_size=5).map(tuple),
        reference=st.none() | _words,
        metadata=_metadata,
        **_conditions,
    ),
    st.builds(
        UpdateWallet,
        wallet=_wallets,
        metadata=st.none() | _metadata,
        limits=st.dictionaries(_assets, st.none() | _limits, max_size=2),
        **_conditions,
    ),
    st.builds(
        FreezeWallet,
        wallet=_wallets,
        frozen=st.sampled_from(FrozenSide),
        why=_words,
        until=st.none() | _instants,
        until_in_seconds=_seconds,
        **_conditions,
    ),
    st.builds(CloseWallet, wallet=_wallets, sweep_to=st.none() | _wallets, **_conditions),
    st.builds(
        PlaceHold,
        wallet=_wallets,
        asset=_assets,
        amount=_amounts,
        expires_at=st.none() | _instants,
        expires_in_seconds=_seconds,
        **_conditions,
    ),
    st.builds(
        CaptureHold,
        wallet=_wallets,
        hold=_hold_ids,
        parts=st.lists(st.builds(Part, _wallets, _amounts), min_size=1, max_size=3).map(tuple),
        final=st.booleans(),
        **_conditions,
    ),
    st.builds(
        ExtendHold,
        wallet=_wallets,
        hold=_hold_ids,
        expires_at=st.none() | _instants | st.just(msgspec.UNSET),
        expires_in_seconds=_seconds,
        **_conditions,
    ),
    st.builds(AdjustHold, wallet=_wallets, hold=_hold_ids, amount=_amounts, **_conditions),
    *(st.builds(kind, wallet=_wallets, hold=_hold_ids, **_conditions) for kind in (VoidHold, ExpireHold)),
)
_batches = st.builds(
    ExecuteBatch,
    commands=st.lists(_single.filter(lambda one: not isinstance(one, ExpireHold)), min_size=1, max_size=3).map(tuple),
    atomic=st.booleans(),
    **_conditions,
)
_refunds = st.builds(
    RefundTransfer,
    transfer=_hold_ids.map(lambda hold: "t" + hold[1:]),
    postings=st.lists(_postings, min_size=1, max_size=3).map(tuple),
    **_conditions,
)
commands: st.SearchStrategy[AnyCommand] = st.one_of(_single, _refunds, _batches)
_effects = st.builds(
    Effects,
    assets=st.lists(st.builds(AssetRecord, _assets, st.integers(0, MAX_SCALE)), max_size=2).map(tuple),
    wallets=st.lists(
        st.builds(
            WalletRecord,
            wallet=_wallets,
            status=st.sampled_from(WalletStatus),
            version=_versions,
            opened_at=_utc_times,
            metadata=_metadata,
            limits=st.dictionaries(_assets, _limits, max_size=2),
            freeze=st.none()
            | st.builds(Freeze, frozen=st.sampled_from(FrozenSide), why=_words, until=st.none() | _utc_times),
        ),
        max_size=2,
    ).map(tuple),
    balances=st.lists(
        st.builds(BalanceRecord, _wallets, _assets, _balances, _balances, st.none() | _balances, _versions), max_size=4
    ).map(tuple),
    holds=st.lists(
        st.builds(
            HoldRecord,
            hold=_hold_ids,
            wallet=_wallets,
            asset=_assets,
            amount=_amounts,
            captured=_amounts,
            state=st.sampled_from(HoldState),
            placed_at=_utc_times,
            expires_at=st.none() | _utc_times,
            reference=st.none() | _words,
            metadata=_metadata,
        ),
        max_size=2,
    ).map(tuple),
    moved=st.lists(st.builds(Moved, _wallets, _wallets, _assets, _amounts), max_size=2).map(tuple),
)
_facts = st.dictionaries(_words, _words | st.integers(-(2**53), 2**53) | st.none() | st.booleans(), max_size=4)
_refusals = st.builds(Refusal, st.sampled_from([reason for reason in Reason if reason.is_refusal]), _facts)
entries: st.SearchStrategy[Entry] = st.builds(
    lambda outcome, **fields: Entry(**fields, **{"refusal" if isinstance(outcome, Refusal) else "effects": outcome}),
    _refusals | _effects,
    sequence=st.integers(1, 2**53 - 1),
    time=_utc_times,
    principal=_words,
    command=commands,
)


@settings(max_examples=times(2), deadline=None)
@given(entry=entries)
def test_an_entry_comes_back_from_its_bytes_as_it_was(entry: Entry) -> None:
    assert decode_entry(encode_entry(entry)) == entry


@settings(max_examples=times(2), deadline=None)
@given(entry=entries)
def test_the_bytes_of_an_entry_come_back_from_its_reading(entry: Entry) -> None:
    assert encode_entry(decode_entry(encode_entry(entry))) == encode_entry(entry)


@settings(max_examples=times(1), deadline=None)
@given(entry=entries)
def test_an_entry_is_one_line(entry: Entry) -> None:
    assert b"\n" not in encode_entry(entry)


@settings(max_examples=times(1), deadline=None)
@given(command=commands)
def test_a_command_that_comes_back_from_the_journal_differs_in_nothing(command: AnyCommand) -> None:
    again = msgspec.json.decode(msgspec.json.encode(command), type=type(command))
    assert first_difference(command, again) is None


@settings(max_examples=times(1), deadline=None)
@given(one=commands, other=commands)
def test_a_difference_is_named_exactly_where_two_commands_are_not_equal(one: AnyCommand, other: AnyCommand) -> None:
    assert (first_difference(one, other) is None) == (without_validity(one) == without_validity(other))
    assert first_difference(one, other) == first_difference(other, one)


@settings(max_examples=times(1), deadline=None)
@given(command=commands, until=st.none() | _instants, seconds=_seconds)
def test_until_when_to_decide_makes_no_difference(
    command: AnyCommand, until: datetime | None, seconds: int | None
) -> None:
    again = msgspec.structs.replace(command, valid_until=until, valid_for_seconds=seconds)
    assert first_difference(command, again) is None


def without_validity(command: AnyCommand) -> AnyCommand:
    """The command as if it and those in it could be decided at any time."""
    bare = msgspec.structs.replace(command, valid_until=None, valid_for_seconds=None)
    if isinstance(bare, ExecuteBatch):
        return msgspec.structs.replace(bare, commands=tuple(without_validity(inner) for inner in bare.commands))
    return bare
