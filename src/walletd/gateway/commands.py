"""Commands: from a permitted call to its submission, and from what came of it to the reply."""

from typing import Any

from walletd.gateway.endpoint import ClientEndpoint
from walletd.ledger.statement import movements_of
from walletd.protocol import messages as m
from walletd.protocol.errors import InvalidParams, error_object
from walletd.protocol.session import Call
from walletd.vocabulary.commands import ExecuteBatch, PlaceHold
from walletd.vocabulary.entries import Effects, Entry
from walletd.vocabulary.error_codes import Reason
from walletd.vocabulary.identifiers import hold_id, transfer_id
from walletd.vocabulary.lifecycle import DaemonState
from walletd.wallets.supervisor import Answer, Foreseen, NotDecided, Submission


def command(endpoint: ClientEndpoint, call: Call) -> None:
    """Submit a command; its reply is queued when it is durable."""
    _check_batch(call.params)
    if endpoint.services.lifecycle() is DaemonState.DRAINING:
        endpoint.refuse(call, Reason.DRAINING, {"retry_after_ms": 1000})
        return

    def reply(outcome: Answer | Foreseen | NotDecided) -> None:
        endpoint.parked.pop(submission, None)
        endpoint.written = max(endpoint.written, submission.sequence)
        match outcome:
            case Answer():
                _reply_answer(endpoint, call, outcome)
            case Foreseen():
                _reply_foreseen(endpoint, call, outcome)
            case NotDecided(reason, facts):
                endpoint.refuse(call, reason, facts)

    submission = Submission(call.params, call.principal, reply)
    endpoint.services.supervisor.submit(submission)
    if submission.sequence:
        endpoint.written = max(endpoint.written, submission.sequence)
    elif not submission.is_settled:
        endpoint.parked[submission] = None


def _reply_answer(endpoint: ClientEndpoint, call: Call, answer: Answer) -> None:
    entry = answer.durable.entry
    if entry.refusal is not None:
        facts = {**entry.refusal.facts, "sequence": entry.sequence}
        if answer.replayed:
            facts["replayed"] = True
        endpoint.refuse(call, entry.refusal.reason, facts)
        return
    assert entry.effects is not None
    outcomes = _outcomes(entry)
    applied = m.Applied(
        sequence=entry.sequence,
        time=entry.time,
        entry_hash=answer.durable.leaf.hex(),
        transfer=None if outcomes else next((movement.transfer for movement in movements_of(entry)), None),
        hold=hold_id(entry.sequence) if isinstance(entry.command, PlaceHold) else None,
        assets=entry.effects.assets,
        wallets=entry.effects.wallets,
        balances=entry.effects.balances,
        holds=entry.effects.holds,
        outcomes=outcomes,
        replayed=answer.replayed,
    )
    endpoint.reply(call, applied)


def _outcomes(entry: Entry) -> tuple[m.BatchOutcome, ...]:
    """What came of each command of a batch; nothing for any other entry."""
    if not isinstance(entry.command, ExecuteBatch) or entry.effects is None:
        return ()
    transfers = {movement.transfer for movement in movements_of(entry)}
    refusals = entry.effects.outcomes or (None,) * len(entry.command.commands)
    found = []
    for index, (inner, refusal) in enumerate(zip(entry.command.commands, refusals, strict=True)):
        transfer, hold = transfer_id(entry.sequence, index), hold_id(entry.sequence, index)
        found.append(
            m.BatchOutcome(
                command_id=inner.command_id,
                transfer=transfer if transfer in transfers else None,
                hold=hold if isinstance(inner, PlaceHold) and refusal is None else None,
                error=None if refusal is None else error_object(refusal.reason, refusal.facts),
            )
        )
    return tuple(found)


def _check_batch(command: Any) -> None:
    """Each command of a batch has an id of its own, and is run dry only together with the others."""
    if not isinstance(command, ExecuteBatch):
        return
    seen = {command.command_id}
    for index, inner in enumerate(command.commands):
        if inner.command_id in seen:
            raise InvalidParams(
                f"commands[{index}].command_id", f"{inner.command_id!r} stands twice; each command has an id of its own"
            )
        if inner.dry_run:
            raise InvalidParams(
                f"commands[{index}].dry_run", "a batch is run dry as a whole: set 'dry_run' of the batch"
            )
        seen.add(inner.command_id)


def _reply_foreseen(endpoint: ClientEndpoint, call: Call, foreseen: Foreseen) -> None:
    if isinstance(foreseen.verdict, Effects):
        effects = foreseen.verdict
        applied = m.Applied(
            time=foreseen.time,
            assets=effects.assets,
            wallets=effects.wallets,
            balances=effects.balances,
            holds=effects.holds,
            dry_run=True,
        )
        endpoint.reply(call, applied)
    else:
        endpoint.refuse(call, foreseen.verdict.reason, {**foreseen.verdict.facts, "dry_run": True})
