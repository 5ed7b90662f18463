"""Entries and transfers as a session may see them: whole, or without the parts that belong to other wallets."""

from collections.abc import Callable

import msgspec

from walletd.gateway.endpoint import ClientEndpoint
from walletd.journal.history import DurableEntry
from walletd.ledger.statement import movements_of
from walletd.protocol import messages as m
from walletd.sessions.access import Grant
from walletd.sessions.redaction import HIDDEN, concerns, redacted, sight_of
from walletd.sessions.session import Call
from walletd.vocabulary.claims import parts_of
from walletd.vocabulary.commands import RefundTransfer, RefusedCommand
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.entries import Entry
from walletd.vocabulary.histories import about_lost
from walletd.vocabulary.identifiers import Principal, place_of, sequence_of
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.sizes import ENVELOPE_BYTES, MAX_FRAME_BYTES

MAX_PAGE_BYTES = MAX_FRAME_BYTES - ENVELOPE_BYTES
"""The limit on the entries in one page, with the parts around each; only one that is larger by itself makes a larger
page.
"""

AROUND_AN_ENTRY = 128
"""Bytes for its hash and its place in the page, and for the mark of a redaction."""


def shown_to(endpoint: ClientEndpoint, grant: Grant) -> Callable[[Entry, bytes], bytes] | None:
    """The function that redacts an entry's stored bytes for this client's streams; None: nothing is redacted."""
    if grant.sees_everything:
        return None
    redactions = endpoint.services.redactions
    return lambda entry, record: redactions.shown(entry, record, grant)


async def transfer_get(endpoint: ClientEndpoint, call: Call) -> Declined | None:
    """A transfer from its entry."""
    transfer = call.params.transfer
    sequence = sequence_of(transfer)
    lost = about_lost(endpoint.services.wallets.books.histories, transfer)
    if sequence > endpoint.services.publisher.head:
        return Declined(Reason.TRANSFER_NOT_FOUND, {"transfer": transfer, **lost})
    durable = await endpoint.services.stored.history.entry(sequence)
    entry = durable.entry
    grant = grant_of(endpoint)
    sees = sight_of(grant)
    is_own = grant.sees_everything or grant.principal == entry.principal
    movements = [
        movement
        for movement in movements_of(entry)
        if movement.transfer == transfer and (is_own or sees(movement.source) or sees(movement.to))
    ]
    if not movements:
        return Declined(Reason.TRANSFER_NOT_FOUND, {"transfer": transfer, **lost})
    assert not isinstance(entry.command, RefusedCommand), "it moved money"
    command = parts_of(entry.command)[max(0, place_of(transfer)[1])]
    refunded = await endpoint.services.stored.tables.transfer(transfer)
    parts = () if refunded is None else refunded.parts
    view = m.TransferView(
        transfer=transfer,
        sequence=entry.sequence,
        time=entry.time,
        principal=entry.principal if is_own else None,
        command_id=command.command_id if is_own else None,
        entry_hash=durable.leaf.hex() if redacted(entry, grant) is entry else None,
        kind=movements[0].kind,
        original=command.transfer if isinstance(command, RefundTransfer) else None,
        refunded=tuple(part for part in parts if is_own or sees(part.source) or sees(part.to)),
        postings=tuple(m.PostingView(p.source, p.to, p.asset, str(p.amount)) for p in movements),
        reference=movements[0].reference,
        metadata=getattr(command, "metadata", {}),
    )
    endpoint.reply(call, view)
    return None


async def entry_get(endpoint: ClientEndpoint, call: Call) -> Declined | None:
    """An entry, by sequence or by command id."""
    params, services = call.params, endpoint.services
    sequence = params.sequence
    if sequence is None:
        sequence = services.stored.index.find(call.principal, params.command_id)
    if sequence is None or not 1 <= sequence <= services.publisher.head:
        asked = params.command_id if params.sequence is None else params.sequence
        return Declined(Reason.ENTRY_NOT_FOUND, {"asked": asked})
    durable, grant = await services.stored.history.entry(sequence), grant_of(endpoint)
    if not concerns(durable.entry, grant):
        return Declined(Reason.ENTRY_NOT_FOUND, {"asked": params.sequence})
    endpoint.reply(call, _entry_view(durable, grant))
    return None


async def entry_list(endpoint: ClientEndpoint, call: Call) -> None:
    """A page of the journal."""
    params, services = call.params, endpoint.services
    entries: list[DurableEntry] = []
    room, is_full = MAX_PAGE_BYTES, False
    while (
        len(entries) < params.limit
        and not is_full
        and (more := await services.stored.history.entries_after(params.after + len(entries)))
    ):
        for durable in more:
            room -= len(durable.record) + AROUND_AN_ENTRY
            is_full = len(entries) == params.limit or (bool(entries) and room < 0)
            if is_full:
                break
            entries.append(durable)
    grant = grant_of(endpoint)
    page = tuple(_entry_view(durable, grant) for durable in entries)
    endpoint.reply(call, m.EntryPage(entries=page, head=services.publisher.head))


def grant_of(endpoint: ClientEndpoint) -> Grant:
    """The rights that the session has now; none if its token was revoked while it waited."""
    return endpoint.session.grant or Grant(Principal(HIDDEN), ())


def _entry_view(durable: DurableEntry, grant: Grant) -> m.EntryView:
    seen = redacted(durable.entry, grant)
    if seen is not durable.entry:
        return m.EntryView(entry=seen)
    return m.EntryView(entry=msgspec.Raw(durable.record), entry_hash=durable.leaf.hex())
