"""Batches at the edge: checks of their params beyond the types, and the answer for each of their commands."""

import ipaddress
from collections.abc import Generator, Mapping
from typing import Any

import msgspec

from walletd.ledger.statement import movements_of
from walletd.protocol import messages as m
from walletd.protocol.errors import InvalidParams, error_object, with_scale
from walletd.vocabulary.claims import parts_of
from walletd.vocabulary.commands import AnyCommand, ExecuteBatch, PlaceHold, UpdateWallet
from walletd.vocabulary.entries import AssetRecord, Effects, Entry, Refusal
from walletd.vocabulary.identifiers import AssetCode, hold_id, transfer_id
from walletd.vocabulary.reasons import Reason

BYTES_OF_AN_OUTCOME = 8
BYTES_OF_A_REFUSAL = 160
"""To say it costs about as much as to decode so many bytes of JSON."""

Assets = Mapping[AssetCode, AssetRecord]

_MEANINGS = {reason.value: reason.meaning for reason in Reason}


def outcomes_of(entry: Entry, assets: Assets) -> tuple[m.BatchOutcome, ...]:
    """The outcome of each command of a batch; empty for any other entry."""
    if not isinstance(entry.command, ExecuteBatch) or entry.effects is None:
        return ()
    transfers = {movement.transfer for movement in movements_of(entry)}
    refusals = entry.effects.outcomes or (None,) * len(entry.command.commands)
    found = []
    for index, (inner, refusal) in enumerate(zip(entry.command.commands, refusals, strict=True)):
        transfer = transfer_id(entry.sequence, index, entry.history)
        hold = hold_id(entry.sequence, index, entry.history)
        found.append(
            m.BatchOutcome(
                command_id=inner.command_id,
                transfer=transfer if transfer in transfers else None,
                hold=hold if isinstance(inner, PlaceHold) and refusal is None else None,
                error=_error(refusal, assets),
            )
        )
    return tuple(found)


def _error(refusal: Refusal | None, assets: Assets) -> m.ErrorObject | None:
    return None if refusal is None else error_object(refusal.reason, with_scale(refusal.facts, assets))


def foreseen_outcomes(
    command: AnyCommand, effects: Effects, assets: Assets
) -> Generator[int, None, tuple[m.BatchOutcome, ...]]:
    """The expected outcome of each command of a dry-run batch, in steps: its refusal or nothing, because no id is
    issued.
    """
    if not isinstance(command, ExecuteBatch):
        return ()
    refusals, found = effects.outcomes or (None,) * len(command.commands), []
    for inner, refusal in zip(command.commands, refusals, strict=True):
        found.append(m.BatchOutcome(command_id=inner.command_id, error=_error(refusal, assets)))
        yield BYTES_OF_A_REFUSAL if refusal is not None else BYTES_OF_AN_OUTCOME
    return tuple(found)


def in_brief(outcomes: tuple[m.BatchOutcome, ...]) -> tuple[m.BatchOutcome, ...]:
    """The same outcomes, with the reason's one line in place of each error's sentence."""
    return tuple(outcome if outcome.error is None else _in_brief(outcome, outcome.error) for outcome in outcomes)


def _in_brief(outcome: m.BatchOutcome, error: m.ErrorObject) -> m.BatchOutcome:
    brief = m.ErrorObject(error.code, _MEANINGS[error.data["reason"]], error.data)
    return msgspec.structs.replace(outcome, error=brief)


def check_limits(command: Any) -> None:
    """Raises InvalidParams if limits set the lowest balance twice."""
    for index, inner in enumerate(parts_of(command)):
        if isinstance(inner, UpdateWallet):
            for asset, limits in inner.limits.items():
                if limits is not None and limits.minimum is not None and limits.credit_limit is not None:
                    place = f"commands[{index}]." if isinstance(command, ExecuteBatch) else ""
                    raise InvalidParams(
                        f"{place}limits.{asset}.credit_limit",
                        "'minimum' and 'credit_limit' both set the lowest balance; send only one of them",
                    )


def check_networks(command: Any) -> None:
    """Raises InvalidParams if an address of a client is neither an address nor a network."""
    for index, network in enumerate(getattr(command, "addresses", None) or ()):
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError as error:
            raise InvalidParams(f"addresses[{index}]", f"{network!r} is neither an address nor a network") from error


def check_batch(command: Any) -> None:
    """Raises InvalidParams unless each command of a batch has its own id and none is a dry run by itself."""
    if not isinstance(command, ExecuteBatch):
        return
    seen = {command.command_id}
    for index, inner in enumerate(command.commands):
        if inner.command_id in seen:
            raise InvalidParams(
                f"commands[{index}].command_id", f"{inner.command_id!r} appears twice; each command needs its own id"
            )
        if inner.dry_run:
            raise InvalidParams(
                f"commands[{index}].dry_run", "a batch is a dry run as a whole: set the batch's own 'dry_run'"
            )
        seen.add(inner.command_id)
