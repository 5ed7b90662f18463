"""A journal that a stranger may have made: its entries, its root, and the clients that it admits."""

import re

import msgspec

from walletd.cli.usage import UsageError
from walletd.journal.failures import JournalCorrupt
from walletd.protocol.strict_types import misfit
from walletd.vocabulary.entries import ClientRecord, Entry, decode_entry
from walletd.vocabulary.identifiers import Principal

ROOT = re.compile(r"[0-9a-f]{64}")
_MAY_CHANGE_CLIENTS = (b'"clients"', b'"forgotten"', b"\\")
"""A record without any of these changes no client; JSON can write a key with escapes, too."""


def read_entry(record: bytes, sequence: int) -> Entry:
    """The entry in the record.  Raises JournalCorrupt if it is none, or is another than this one."""
    try:
        entry = decode_entry(record)
    except (msgspec.DecodeError, RecursionError, ValueError, OverflowError) as error:
        raise JournalCorrupt(f"entry {sequence} cannot be read: {error}") from error
    if (fault := misfit(entry)) is not None:
        raise JournalCorrupt(f"entry {sequence} cannot be read: {fault}")
    if entry.sequence != sequence:
        raise JournalCorrupt(f"entry {sequence} says that it is entry {entry.sequence}")
    return entry


def expected_root(root: str | None) -> str | None:
    """The root as backup and verify print it.  Raises UsageError if it is not one."""
    if root is None:
        return None
    root = root.strip().lower()
    if not ROOT.fullmatch(root):
        raise UsageError(f"--root {root!r} is not a Merkle root; they have 64 hexadecimal digits")
    return root


class Admitted:
    """The clients that a journal's entries admit, exactly as a daemon will that starts on it."""

    def __init__(self) -> None:
        self._records: dict[Principal, ClientRecord] = {}

    def fold(self, lines: list[bytes], first_sequence: int) -> None:
        """Take the entries into account.  Raises JournalCorrupt."""
        for sequence, line in enumerate(lines, first_sequence):
            if not any(word in line for word in _MAY_CHANGE_CLIENTS):
                continue
            effects = read_entry(line, sequence).effects
            if effects is not None:
                for name in effects.forgotten:
                    self._records.pop(name, None)
                self._records.update((record.client, record) for record in effects.clients)

    def admins(self) -> list[ClientRecord]:
        """Those that may do everything and were not revoked, by name."""
        return [
            record
            for _, record in sorted(self._records.items())
            if "admin" in record.scopes and record.revoked_at is None and record.tokens
        ]
