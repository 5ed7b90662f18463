"""The client book: every client, by name and by the hash of each of its tokens.  All of it is always in memory.

    clients = ClientBook(records)
    clients.put(record)
    clients.bearer(sha256, now).record              # None if no valid token has this hash

A client takes about a kilobyte: its record, the entry of each token and its place among its owner's keys.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from walletd.vocabulary.entries import ClientRecord, Effects, TokenRecord
from walletd.vocabulary.identifiers import Principal, owner_of


class Bearer(NamedTuple):
    """The client that a token stands for, and the end of its validity."""

    record: ClientRecord
    expires_at: datetime | None


class ClientBook:
    """The clients as the entries left them.  Only ``apply`` changes the book that decisions use."""

    __slots__ = ("_admins", "_names", "keys", "number_of_keys", "records", "tokens")

    def __init__(self, records: Iterable[ClientRecord] = ()) -> None:
        self.records: dict[Principal, ClientRecord] = {}
        self.tokens: dict[str, Principal] = {}
        self.keys: dict[Principal, dict[Principal, None]] = {}
        """The viewing keys of each owner that has any."""
        self.number_of_keys = 0
        self._admins: dict[Principal, None] = {}
        self._names: list[Principal] | None = None
        """All names in order, once they have been requested."""
        for record in records:
            self.put(record)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClientBook) and self.records == other.records

    __hash__ = None  # type: ignore[assignment]

    @property
    def number_of_clients(self) -> int:
        """The number of clients, present and revoked, without viewing keys."""
        return len(self.records) - self.number_of_keys

    def put(self, record: ClientRecord) -> None:
        """Store the client's new record."""
        known = self._take_out(record.client)
        if known is None and self._names is not None:
            insort(self._names, record.client)
        self.records[record.client] = record
        self.tokens.update((token.sha256, record.client) for token in record.tokens)
        if (owner := owner_of(record.client)) is not None:
            self.keys.setdefault(owner, {})[record.client] = None
            self.number_of_keys += 1
        if "admin" in record.scopes:
            self._admins[record.client] = None

    def forget(self, client: Principal) -> None:
        """Remove everything about the client."""
        known = self._take_out(client)
        if known is not None and self._names is not None:
            del self._names[bisect_left(self._names, client)]

    def names_after(self, name: str, most: int) -> list[Principal]:
        """The next names in order.  O(log clients + most), except for the first call."""
        if self._names is None:
            self._names = sorted(self.records)
        start = bisect_right(self._names, name)
        return self._names[start : start + most]

    def _take_out(self, client: Principal) -> ClientRecord | None:
        """Remove the client from the book and return its record."""
        record = self.records.pop(client, None)
        if record is None:
            return None
        for token in record.tokens:
            del self.tokens[token.sha256]
        self._admins.pop(client, None)
        if (owner := owner_of(client)) is not None:
            del self.keys[owner][client]
            self.number_of_keys -= 1
            if not self.keys[owner]:
                del self.keys[owner]
        return record

    def bearer(self, sha256: str, now: datetime) -> Bearer | None:
        """The client with a valid token of this hash; a viewing key only while its owner is valid."""
        client = self.tokens.get(sha256)
        if client is None:
            return None
        record = self.records[client]
        token = next((token for token in live_tokens(record, now) if token.sha256 == sha256), None)
        if token is None:
            return None
        return self._admitted(record, token.expires_at, now)

    def in_person(self, client: Principal, now: datetime) -> Bearer | None:
        """The client by its name, while any of its tokens is valid."""
        record = self.records.get(client)
        if record is None or not is_in_force(record, now):
            return None
        return self._admitted(record, last_end(live_tokens(record, now)), now)

    def _admitted(self, record: ClientRecord, end: datetime | None, now: datetime) -> Bearer | None:
        """The client until that end; a viewing key until its owner's end, if that is sooner."""
        ends = [end]
        if (owner := owner_of(record.client)) is not None:
            owned = live_tokens(self.records[owner], now) if owner in self.records else ()
            if not owned:
                return None
            ends.append(last_end(owned))
        return Bearer(record, min((end for end in ends if end is not None), default=None))

    def keys_of(self, owner: Principal) -> list[ClientRecord]:
        """The viewing keys of this owner, by name."""
        return [self.records[key] for key in sorted(self.keys.get(owner, ()))]

    def is_shut_out(self, client: Principal, now: datetime) -> bool:
        """True if this is a client without any valid token; a name that is no client's is not shut out."""
        record = self.records.get(client)
        return record is not None and not is_in_force(record, now)

    def has_lasting_admin(self, instead: ClientRecord | None = None) -> bool:
        """True if some admin can authenticate at any time from now on, given this record in place of that client's."""
        for client in self._admins:
            record = instead if instead is not None and instead.client == client else self.records[client]
            lasts = record.revoked_at is None and any(token.expires_at is None for token in record.tokens)
            if lasts and "admin" in record.scopes:
                return True
        return False


def live_tokens(record: ClientRecord, now: datetime) -> tuple[TokenRecord, ...]:
    """The client's tokens that are valid at this time."""
    if record.revoked_at is not None:
        return ()
    return tuple(token for token in record.tokens if token.expires_at is None or now < token.expires_at)


def last_end(tokens: tuple[TokenRecord, ...]) -> datetime | None:
    """The expiry of the last of these tokens; None if one never expires."""
    ends = [token.expires_at for token in tokens if token.expires_at is not None]
    return max(ends) if len(ends) == len(tokens) else None


def is_in_force(record: ClientRecord, now: datetime) -> bool:
    """True if the client can authenticate at this time."""
    if record.revoked_at is None:
        for token in record.tokens:
            if token.expires_at is None or now < token.expires_at:
                return True
    return False


def apply_clients(clients: ClientBook, effects: Effects) -> None:
    """Bring the clients to the state that the effects record."""
    for key in effects.forgotten:
        clients.forget(key)
    for record in effects.clients:
        clients.put(record)
