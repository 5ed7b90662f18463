"""The rules of clients: creating and revoking them, and replacing their tokens.

An admin creates clients and changes any of them.  A client may replace its own tokens, narrow its own scopes and
addresses, and revoke itself.  Any client with a spend scope may create viewing keys.  A key sees at
most what its owner may spend and ends no later than the owner's access.  The owner and any admin may revoke it.  The
daemon itself creates the operator and replaces its token, and has no right over any other client: an entry in the
daemon's name that makes another admin is forged.
"""

from collections.abc import Sequence
from datetime import datetime
from ipaddress import ip_network

import msgspec

from walletd.ledger.book import Books
from walletd.ledger.client_book import ClientBook, is_in_force, last_end, live_tokens
from walletd.ledger.guards import Verdict, conditions_guard, moment_from, moment_guard, refuse
from walletd.vocabulary.commands import ClientCommand, CreateClient, RevokeClient, RotateClient, UpdateClient
from walletd.vocabulary.entries import ClientRecord, Effects, Refusal, TokenRecord
from walletd.vocabulary.identifiers import DAEMON, OPERATOR, Principal, owner_of
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.scopes import ADMIN, includes, ownership_of, permitted

MAX_CLIENTS = 100_000
"""Revoked clients count, because their names stand for the command ids that they used: about 100 MB of memory."""

MAX_KEYS = 100
"""The limit on valid viewing keys of one owner; about a kilobyte each."""

MAX_TOKENS = 4
"""The limit on valid tokens of one client: rotations may overlap, but not without end."""


def create_client(books: Books, command: CreateClient, now: datetime, by: Principal) -> Verdict:
    """Create a client with its first token; ended keys of its owner are forgotten."""
    clients, owner = books.clients, owner_of(command.client)
    if refusal := _gift_guard(clients, command, by):
        return refusal
    known = clients.records.get(command.client)
    expires_at = moment_from(command.expires_at, command.expires_in_seconds, now)
    if known is not None and (owner is None or is_in_force(known, now)):
        return refuse(Reason.CLIENT_ALREADY_EXISTS, client=known.client, created_at=known.created_at)
    if refusal := (
        conditions_guard(books, command, now)
        or moment_guard("expires_at", expires_at, now)
        or _fresh_token_guard(clients, command.token_sha256)
    ):
        return refusal
    ended = () if owner is None else tuple(k.client for k in clients.keys_of(owner) if not is_in_force(k, now))
    if owner is None and clients.number_of_clients >= MAX_CLIENTS:
        return refuse(Reason.TOO_MANY_CLIENTS, client=command.client, limit=MAX_CLIENTS)
    if owner is not None and len(clients.keys.get(owner, ())) - len(ended) >= MAX_KEYS:
        return refuse(Reason.TOO_MANY_CLIENTS, client=command.client, limit=MAX_KEYS)
    # After this point it must succeed.
    record = ClientRecord(
        client=command.client,
        scopes=command.scopes,
        tokens=(TokenRecord(sha256=command.token_sha256, created_at=now, expires_at=expires_at),),
        created_by=by,
        created_at=now,
        addresses=command.addresses,
        budget=command.budget,
    )
    return Effects(clients=(record,), forgotten=ended)


def update_client(books: Books, command: UpdateClient, now: datetime, by: Principal) -> Verdict:
    """Change the scopes or the addresses; keys that would show more than their owner may spend are revoked with it."""
    clients = books.clients
    known = _own(clients, command, by)
    scopes = command.scopes
    if not isinstance(known, Refusal) and (refusal := _change_guard(clients, known, command, by)):
        return refusal
    if isinstance(known, Refusal):
        return known
    if refusal := conditions_guard(books, command, now):
        return refusal
    if known.revoked_at is not None:
        return refuse(Reason.CLIENT_REVOKED, client=known.client, revoked_at=known.revoked_at)
    record = msgspec.structs.replace(
        known,
        scopes=known.scopes if scopes is None else scopes,
        addresses=known.addresses if command.addresses is None else command.addresses,
        budget=known.budget if command.budget is None else command.budget,
    )
    if refusal := _admin_guard(clients, record):
        return refusal
    # After this point it must succeed.
    keys = [key for key in clients.keys_of(known.client) if key.revoked_at is None and _shows_more(key, record.scopes)]
    return Effects(clients=(record, *(msgspec.structs.replace(key, revoked_at=now) for key in keys)))


def rotate_client(books: Books, command: RotateClient, now: datetime, by: Principal) -> Verdict:
    """Add a token; of the earlier ones, only those that overlap stay valid.  A client's own new token ends no later
    than its others did.  Only the daemon brings a revoked operator
    back.
    """
    clients = books.clients
    known = _own(clients, command, by)
    if isinstance(known, Refusal):
        return known
    expires_at = moment_from(command.expires_at, command.expires_in_seconds, now)
    if (end := _own_end(clients, known, now, by)) is not None:
        if expires_at is not None and expires_at > end:
            return _beyond("expires_at", by, "an admin, for a later expiry than its own")
        expires_at = expires_at or end
    overlaps = command.overlap_until is not None or command.overlap_for_seconds is not None
    if known.client == OPERATOR and (by != DAEMON or overlaps):
        return refuse(Reason.KEPT_IN_FILE, client=known.client)
    overlap_until = moment_from(command.overlap_until, command.overlap_for_seconds, now)
    if refusal := (
        conditions_guard(books, command, now)
        or moment_guard("expires_at", expires_at, now)
        or moment_guard("overlap_until", overlap_until, now)
    ):
        return refusal
    if known.revoked_at is not None and (by, known.client) != (DAEMON, OPERATOR):
        return refuse(Reason.CLIENT_REVOKED, client=known.client, revoked_at=known.revoked_at)
    if refusal := _fresh_token_guard(clients, command.token_sha256):
        return refusal
    kept = _until(live_tokens(known, now), overlap_until)
    if len(kept) >= MAX_TOKENS:
        return refuse(Reason.TOO_MANY_TOKENS, client=known.client, limit=MAX_TOKENS)
    fresh = TokenRecord(sha256=command.token_sha256, created_at=now, expires_at=expires_at)
    record = msgspec.structs.replace(known, tokens=(*kept, fresh), revoked_at=None)
    if refusal := _admin_guard(clients, record):
        return refusal
    # After this point it must succeed.
    return Effects(clients=(record,))


def revoke_client(books: Books, command: RevokeClient, now: datetime, by: Principal) -> Verdict:
    """Revoke the client permanently, and with it every viewing key that it created."""
    clients = books.clients
    known = _own(clients, command, by)
    if isinstance(known, Refusal):
        return known
    if refusal := conditions_guard(books, command, now):
        return refusal
    if known.revoked_at is not None:
        return refuse(Reason.CLIENT_REVOKED, client=known.client, revoked_at=known.revoked_at)
    record = msgspec.structs.replace(known, revoked_at=now)
    if refusal := _admin_guard(clients, record):
        return refusal
    # After this point it must succeed.
    keys = [key for key in clients.keys_of(known.client) if key.revoked_at is None]
    return Effects(clients=(record, *(msgspec.structs.replace(key, revoked_at=now) for key in keys)))


def _gift_guard(clients: ClientBook, command: CreateClient, by: Principal) -> Refusal | None:
    """The creator has the rights that it grants: an admin all of them, the owner of a viewing key each scope."""
    owner = owner_of(command.client)
    mine = clients.records.get(by)
    scopes = mine.scopes if mine is not None else ()
    if by == DAEMON:
        return None if command.client == OPERATOR else _beyond("client", by, f"the daemon creates only {OPERATOR}")
    if owner is None:
        return None if permitted(scopes, ADMIN) else _beyond("client", by, f"only an admin; a key is named {by}/WORD")
    if owner != by:
        return _beyond("client", by, f"a viewing key is named {by}/WORD")
    for index, scope in enumerate(command.scopes):
        need = ownership_of(scope)
        if need is None:
            return _beyond(f"scopes[{index}]", by, "a viewing key has only view: scopes")
        if not permitted(scopes, need):
            return _beyond(f"scopes[{index}]", by, f"it has no {need.scope}")
    return _budget_guard(clients, command, by)


def _change_guard(clients: ClientBook, known: ClientRecord, command: UpdateClient, by: Principal) -> Refusal | None:
    """Only an admin gives more than there was; the operator stays an admin, which is the way back in."""
    scopes = command.scopes or ()
    if known.client == OPERATOR and scopes and "admin" not in scopes:
        return _beyond("scopes", by, "the operator stays an admin")
    if (owner := owner_of(known.client)) is not None:
        for index, scope in enumerate(scopes):
            need, owning = ownership_of(scope), clients.records.get(owner)
            if need is None:
                return _beyond(f"scopes[{index}]", by, "a viewing key has only view: scopes")
            if owning is None or not permitted(owning.scopes, need):
                return _beyond(f"scopes[{index}]", by, f"its owner has no {need.scope}")
    if refusal := _budget_guard(clients, command, by):
        return refusal
    if _is_admin(clients, by) or owner_of(known.client) == by:
        return None
    for index, scope in enumerate(scopes):
        if not includes(known.scopes, scope):
            return _beyond(f"scopes[{index}]", by, f"it has no {scope}")
    wider = command.addresses is not None and known.addresses and not _are_within(command.addresses, known.addresses)
    return _beyond("addresses", by, "an admin, for more addresses than it has") if wider else None


def _budget_guard(clients: ClientBook, command: CreateClient | UpdateClient, by: Principal) -> Refusal | None:
    """Only an admin sets a budget: a client's keys use its own."""
    if command.budget is None or _is_admin(clients, by):
        return None
    return _beyond("budget", by, "an admin")


def _are_within(networks: Sequence[str], others: Sequence[str]) -> bool:
    """True if there are some, each inside of one of the others."""
    outer = [ip_network(other, strict=False) for other in others]
    inner = [ip_network(network, strict=False) for network in networks]
    return bool(inner) and all(
        any(one.version == other.version and one.subnet_of(other) for other in outer)  # type: ignore[arg-type]
        for one in inner
    )


def _shows_more(key: ClientRecord, scopes: Sequence[str]) -> bool:
    """True if the key shows a wallet that an owner with these scopes may not spend."""
    needs = [ownership_of(scope) for scope in key.scopes]
    return any(need is None or not permitted(scopes, need) for need in needs)


def _is_admin(clients: ClientBook, by: Principal) -> bool:
    mine = clients.records.get(by)
    return mine is not None and permitted(mine.scopes, ADMIN)


def _beyond(field: str, by: Principal, needs: str) -> Refusal:
    return refuse(Reason.BEYOND_OWN_ACCESS, field=field, principal=by, needs=needs)


def _own(clients: ClientBook, command: ClientCommand, by: Principal) -> ClientRecord | Refusal:
    """The client that the command is about: any for an admin, itself or a key of its own for another; for a sender
    without rights over it, it does not exist.

    The daemon itself has rights over the operator alone.
    """
    known, mine = clients.records.get(command.client), clients.records.get(by)
    is_admin = command.client == OPERATOR if by == DAEMON else mine is not None and permitted(mine.scopes, ADMIN)
    if known is None or not (is_admin or by in (known.client, owner_of(known.client))):
        return refuse(Reason.CLIENT_NOT_FOUND, client=command.client)
    return known


def _own_end(clients: ClientBook, known: ClientRecord, now: datetime, by: Principal) -> datetime | None:
    """The time that a client cannot outlast by rotating itself; None if there is none, or an admin does it."""
    tokens = live_tokens(known, now)
    return last_end(tokens) if by == known.client and tokens and not _is_admin(clients, by) else None


def _fresh_token_guard(clients: ClientBook, sha256: str) -> Refusal | None:
    """One token stands for one client."""
    return refuse(Reason.TOKEN_IN_USE) if sha256 in clients.tokens else None


def _admin_guard(clients: ClientBook, after: ClientRecord) -> Refusal | None:
    """If an admin had a token that does not expire, one has afterwards."""
    if clients.has_lasting_admin() and not clients.has_lasting_admin(after):
        return refuse(Reason.LAST_ADMIN, client=after.client)
    return None


def _until(tokens: tuple[TokenRecord, ...], end: datetime | None) -> tuple[TokenRecord, ...]:
    """The tokens, each ending no later than that time; none if no time is given."""
    if end is None:
        return ()
    return tuple(
        token
        if token.expires_at is not None and token.expires_at <= end
        else msgspec.structs.replace(token, expires_at=end)
        for token in tokens
    )
