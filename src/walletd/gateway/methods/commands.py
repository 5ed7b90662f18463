"""Commands: from a permitted call to its submission, and from the outcome to the reply."""

import logging
from collections.abc import Callable, Iterator
from typing import Any, get_args

import msgspec

from walletd.gateway.endpoint import ClientEndpoint
from walletd.gateway.methods.batches import (
    check_batch,
    check_limits,
    check_networks,
    foreseen_outcomes,
    in_brief,
    outcomes_of,
)
from walletd.gateway.methods.moments import check_moments
from walletd.ledger.statement import transfer_of
from walletd.logs.context import about_command
from walletd.protocol import messages as m
from walletd.sessions.access import Grant
from walletd.sessions.client_view import client_view
from walletd.sessions.redaction import redacted, shown_effects, shown_facts
from walletd.sessions.session import Call, success
from walletd.vocabulary.commands import AnyCommand, CreateClient, ExecuteBatch, PlaceHold, UpdateClient, UpdateWallet
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.entries import Effects, Refusal
from walletd.vocabulary.fatal import FATAL
from walletd.vocabulary.identifiers import hold_id
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.sizes import MAX_FRAME_BYTES
from walletd.vocabulary.states import DaemonState
from walletd.wallets.submission import Answer, Foreseen, Settlement, Submission

log = logging.getLogger(__name__)

CHECKS: dict[type, tuple[Callable[[Any], None], ...]] = {
    **dict.fromkeys(get_args(AnyCommand), (check_moments,)),
    ExecuteBatch: (check_batch, check_moments, check_limits),
    UpdateWallet: (check_moments, check_limits),
    CreateClient: (check_moments, check_networks),
    UpdateClient: (check_moments, check_networks),
}
"""The checks of a command's params beyond their types, in order."""


def command(endpoint: ClientEndpoint, call: Call) -> None:
    """Submit a command; its reply is queued once it is durable."""
    for check in CHECKS[type(call.params)]:
        check(call.params)
    state = endpoint.services.operator.lifecycle()
    if state is not DaemonState.SERVING and _refuse(endpoint, call, state):
        return

    def reply(outcome: Settlement) -> None:
        endpoint.parked.pop(submission, None)
        if log.isEnabledFor(logging.DEBUG):
            _tell(endpoint, call, outcome)
        if endpoint.is_closed:
            endpoint.forget(call)
            return
        match outcome:
            case Answer(durable):
                endpoint.wrote(durable.entry.sequence)
                _reply_answer(endpoint, call, outcome)
            case Foreseen():
                endpoint.services.wallets.slices.work(endpoint.payer, _foreseen_in_steps(endpoint, call, outcome))
            case Declined():
                endpoint.refuse(call, outcome)

    submission = Submission(call.params, call.principal, reply)
    endpoint.services.wallets.decisions.submit(submission)
    if submission.sequence:
        endpoint.wrote(submission.sequence)
    elif not submission.is_settled:
        submission.is_abandoned = endpoint.has_left
        if not call.params.dry_run:
            endpoint.park(submission)


def _refuse(endpoint: ClientEndpoint, call: Call, state: DaemonState) -> bool:
    """Refuse the command if this state admits none of its kind; returns whether it is refused.

    A node that follows answers commands that were decided before, and nothing else.
    """
    if state is DaemonState.DRAINING:
        endpoint.refuse(call, Declined(Reason.DRAINING, {"retry_after_ms": 1000}))
        return True
    is_following = state in (DaemonState.FOLLOWING, DaemonState.RECOVERING)
    obstacle = endpoint.services.wallets.load.obstacle() if is_following and call.params.dry_run else None
    if obstacle is not None:
        endpoint.refuse(call, obstacle)
    return obstacle is not None


def _tell(endpoint: ClientEndpoint, call: Call, outcome: Settlement) -> None:
    """Log a command and its outcome, without its contents."""
    match outcome:
        case Answer(durable):
            refusal = durable.entry.refusal
            came = f"entry {durable.entry.sequence}" + (f", {refusal.reason.value}" if refusal is not None else "")
        case Foreseen():
            came = "dry run"
        case Declined(reason):
            came = reason.value
    about = about_command(call.params.command_id) | {"connection": endpoint.connection_id}
    log.debug("%s of %s: %s", call.method.name, call.principal, came, extra=about)


def _reply_answer(endpoint: ClientEndpoint, call: Call, answer: Answer) -> None:
    entry, grant = answer.durable.entry, _grant_of(endpoint, call)
    if entry.refusal is not None:
        facts = {**shown_facts(entry.refusal.facts, grant), "sequence": entry.sequence}
        if answer.replayed:
            facts["replayed"] = True
        endpoint.refuse(call, Refusal(entry.refusal.reason, facts))
        return
    assert entry.effects is not None
    seen = redacted(entry, grant)
    assert seen.effects is not None
    outcomes = outcomes_of(seen, endpoint.services.wallets.books.assets)
    seen_clients = entry.effects.clients
    applied = m.Applied(
        sequence=entry.sequence,
        time=entry.time,
        entry_hash=answer.durable.leaf.hex() if seen is entry else None,
        transfer=transfer_of(entry),
        hold=hold_id(entry.sequence, None, entry.history) if isinstance(entry.command, PlaceHold) else None,
        assets=entry.effects.assets,
        wallets=seen.effects.wallets,
        balances=seen.effects.balances,
        holds=seen.effects.holds,
        clients=tuple([client_view(record, entry.time) for record in seen_clients]) if seen_clients else (),
        outcomes=outcomes,
        replayed=answer.replayed,
    )
    _reply(endpoint, call, applied)


def _foreseen_in_steps(endpoint: ClientEndpoint, call: Call, foreseen: Foreseen) -> Iterator[int]:
    try:
        yield from _reply_foreseen(endpoint, call, foreseen)
    except FATAL:
        raise
    except Exception:
        log.exception("internal error in %s", call.method.name)
        endpoint.refuse(call, Declined(Reason.INTERNAL_ERROR))


def _reply_foreseen(endpoint: ClientEndpoint, call: Call, foreseen: Foreseen) -> Iterator[int]:
    if isinstance(foreseen.verdict, Effects):
        effects = shown_effects(foreseen.verdict, _grant_of(endpoint, call))
        seen = {balance.wallet for balance in effects.balances}
        outcomes = yield from foreseen_outcomes(call.params, effects, endpoint.services.wallets.books.assets)
        if endpoint.is_closed:
            endpoint.forget(call)
            return
        applied = m.Applied(
            time=foreseen.time,
            assets=effects.assets,
            wallets=effects.wallets,
            balances=effects.balances,
            holds=effects.holds,
            outcomes=outcomes,
            room=tuple(room for room in foreseen.room if room.wallet in seen),
            clients=tuple(client_view(record, foreseen.time) for record in effects.clients),
            dry_run=True,
        )
        _reply(endpoint, call, applied)
    else:
        facts = shown_facts(foreseen.verdict.facts, _grant_of(endpoint, call))
        endpoint.refuse(call, Refusal(foreseen.verdict.reason, {**facts, "dry_run": True}))


def _reply(endpoint: ClientEndpoint, call: Call, applied: m.Applied) -> None:
    """Answer an applied command.  Its records fit into a message, because its entry does; the sentences of a thousand
    refusals and the room of as many balances are left out if they do not fit.
    """
    frame = success(call.id, applied)
    if len(frame) > MAX_FRAME_BYTES:
        frame = success(call.id, msgspec.structs.replace(applied, outcomes=in_brief(applied.outcomes), room=()))
    endpoint.answer(call, frame)


def _grant_of(endpoint: ClientEndpoint, call: Call) -> Grant:
    """The rights that the session has now; none if its token was revoked while the command was written."""
    return endpoint.session.grant or Grant(call.principal, ())
