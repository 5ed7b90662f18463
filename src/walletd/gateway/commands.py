"""Commands: from a permitted call to its submission, and from what came of it to the reply."""

import logging

from walletd.gateway.batches import check_batch, outcomes_of
from walletd.gateway.endpoint import ClientEndpoint
from walletd.ledger.statement import movements_of
from walletd.logs.context import about_command
from walletd.protocol import messages as m
from walletd.protocol.session import Call
from walletd.vocabulary.commands import PlaceHold
from walletd.vocabulary.entries import Effects
from walletd.vocabulary.error_codes import Reason
from walletd.vocabulary.identifiers import hold_id
from walletd.vocabulary.lifecycle import DaemonState
from walletd.wallets.supervisor import Answer, Foreseen, NotDecided, Submission

log = logging.getLogger(__name__)


def command(endpoint: ClientEndpoint, call: Call) -> None:
    """Submit a command; its reply is queued when it is durable."""
    check_batch(call.params)
    if endpoint.services.lifecycle() is DaemonState.DRAINING:
        endpoint.refuse(call, Reason.DRAINING, {"retry_after_ms": 1000})
        return

    def reply(outcome: Answer | Foreseen | NotDecided) -> None:
        endpoint.parked.pop(submission, None)
        endpoint.written = max(endpoint.written, submission.sequence)
        if log.isEnabledFor(logging.DEBUG):
            _tell(endpoint, call, outcome)
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


def _tell(endpoint: ClientEndpoint, call: Call, outcome: Answer | Foreseen | NotDecided) -> None:
    """A line about a command and what came of it, without what is in it."""
    match outcome:
        case Answer(durable):
            refusal = durable.entry.refusal
            came = f"entry {durable.entry.sequence}" + (f", {refusal.reason.value}" if refusal is not None else "")
        case Foreseen():
            came = "dry run"
        case NotDecided(reason):
            came = reason.value
    about = about_command(call.params.command_id) | {"connection": endpoint.connection_id}
    log.debug("%s of %s: %s", call.method.name, call.principal, came, extra=about)


def _reply_answer(endpoint: ClientEndpoint, call: Call, answer: Answer) -> None:
    entry = answer.durable.entry
    if entry.refusal is not None:
        facts = {**entry.refusal.facts, "sequence": entry.sequence}
        if answer.replayed:
            facts["replayed"] = True
        endpoint.refuse(call, entry.refusal.reason, facts)
        return
    assert entry.effects is not None
    outcomes = outcomes_of(entry)
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
