"""The client book: every client, by name and by the hash of each of its tokens.  All of it is always in memory.

    clients = ClientBook(records)
    clients.put(record)
    clients.bearer(sha256, now).record              # None where no token of this hash is in force

About a kilobyte for a client: its record, the entry of each token and its place among its owner's keys.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from walletd.vocabulary.entries import ClientRecord, Effects, TokenRecord
from walletd.vocabulary.identifiers import Principal, owner_of


class Bearer(NamedTuple):
    """Whom a token stands for, and until when."""

    record: ClientRecord
    expires_at: datetime | None


class ClientBook:
    """The clients as entries left them.  Only ``apply`` changes the one that decisions are made on."""

    __slots__ = ("_admins", "_names", "keys", "number_of_keys", "records", "tokens")

    def __init__(self, records: Iterable[ClientRecord] = ()) -> None:
        self.records: dict[Principal, ClientRecord] = {}
        self.tokens: dict[str, Principal] = {}
        self.keys: dict[Principal, dict[Principal, None]] = {}
        """The viewing keys of each owner that has any."""
        self.number_of_keys = 0
        self._admins: dict[Principal, None] = {}
        self._names: list[Principal] | None = None
        """All names in order, once they were asked for."""
        for record in records:
            self.put(record)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClientBook) and self.records == other.records

    __hash__ = None  # type: ignore[assignment]

    @property
    def number_of_clients(self) -> int:
        """How many there are or were, viewing keys apart."""
        return len(self.records) - self.number_of_keys

    def put(self, record: ClientRecord) -> None:
        """The client as it stands from now on."""
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
        """Keep nothing of the client."""
        known = self._take_out(client)
        if known is not None and self._names is not None:
            del self._names[bisect_left(self._names, client)]

    def names_after(self, name: str, most: int) -> list[Principal]:
        """The next names in their order.  O(log clients + most), but for the first time it is asked."""
        if self._names is None:
            self._names = sorted(self.records)
        start = bisect_right(self._names, name)
        return self._names[start : start + most]

    def _take_out(self, client: Principal) -> ClientRecord | None:
        """The client's record, which is none of the book's any more."""
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
        """The client that is known by the token of this hash, if it is in force: a viewing key while its owner is."""
        client = self.tokens.get(sha256)
        if client is None:
            return None
        record = self.records[client]
        token = next((token for token in live_tokens(record, now) if token.sha256 == sha256), None)
        if token is None:
            return None
        return self._admitted(record, token.expires_at, now)

    def in_person(self, client: Principal, now: datetime) -> Bearer | None:
        """The client by its name, as long as any of its tokens is in force."""
        record = self.records.get(client)
        if record is None or not is_in_force(record, now):
            return None
        return self._admitted(record, _last_end(live_tokens(record, now)), now)

    def _admitted(self, record: ClientRecord, end: datetime | None, now: datetime) -> Bearer | None:
        """The client until that end; a viewing key until its owner's, if that is sooner."""
        ends = [end]
        if (owner := owner_of(record.client)) is not None:
            owned = live_tokens(self.records[owner], now) if owner in self.records else ()
            if not owned:
                return None
            ends.append(_last_end(owned))
        return Bearer(record, min((end for end in ends if end is not None), default=None))

    def keys_of(self, owner: Principal) -> list[ClientRecord]:
        """The viewing keys of this owner, by name."""
        return [self.records[key] for key in sorted(self.keys.get(owner, ()))]

    def is_shut_out(self, client: Principal, now: datetime) -> bool:
        """Whether it is a client none of whose tokens is in force; whoever is no client is none that was shut out."""
        record = self.records.get(client)
        return record is not None and not is_in_force(record, now)

    def has_lasting_admin(self, instead: ClientRecord | None = None) -> bool:
        """Whether an admin could come in at any time from now on; with this record in place of that client's."""
        for client in self._admins:
            record = instead if instead is not None and instead.client == client else self.records[client]
            if record.revoked_at is None and any(token.expires_at is None for token in record.tokens):
                return True
        return False


def live_tokens(record: ClientRecord, now: datetime) -> tuple[TokenRecord, ...]:
    """The client's tokens that are in force at this moment."""
    if record.revoked_at is not None:
        return ()
    return tuple(token for token in record.tokens if token.expires_at is None or now < token.expires_at)


def _last_end(tokens: tuple[TokenRecord, ...]) -> datetime | None:
    """When the last of these tokens expires; None where one never does."""
    ends = [token.expires_at for token in tokens if token.expires_at is not None]
    return max(ends) if len(ends) == len(tokens) else None


def is_in_force(record: ClientRecord, now: datetime) -> bool:
    """Whether the client can come in at this moment."""
    if record.revoked_at is None:
        for token in record.tokens:
            if token.expires_at is None or now < token.expires_at:
                return True
    return False


def apply_clients(clients: ClientBook, effects: Effects) -> None:
    """Bring the clients to where the effects say they stand."""
    for key in effects.forgotten:
        clients.forget(key)
    for record in effects.clients:
        clients.put(record)
