"""Seals: every row carries a short hash over its values, so that rot in the file is detected and never served."""

from hashlib import blake2b
from typing import Any

import msgspec

from walletd.tables.file import ReadTablesRotten

_encode = msgspec.json.Encoder().encode


def row(*values: Any) -> bytes:
    """A row as a statement reads it: its values and their seal, in hexadecimal."""
    body = _encode(values)
    return b'%b,"%b"]' % (body[:-1], blake2b(body, digest_size=8).hexdigest().encode())


def seal(*values: Any) -> bytes:
    """A short hash over a row's values, to detect rot."""
    return blake2b(_encode(values), digest_size=8).digest()


def check_seal(table: str, stored: bytes, *values: Any) -> None:
    """Raise ReadTablesRotten if the row is not what was written."""
    if seal(*values) != stored:
        raise ReadTablesRotten(f"the row {values[:3]!r} of table {table}")
