"""Seals: where pages have no checksums, every row carries a short hash over its values, so that rot is never served.

Where SQLite verifies a checksum at each read of a page, which is nearly everywhere (``file``), a seal would find the
same damage a second time, at a tenth of what an entry costs: its column is then null.
"""

from hashlib import blake2b
from typing import Any

import msgspec

from walletd.tables import file
from walletd.tables.file import ReadTablesRotten

_encode = msgspec.json.Encoder().encode


def row(*values: Any) -> bytes:
    """A row as a statement reads it: its values and, if it has one, their seal in hexadecimal."""
    body = _encode(values)
    if file.HAS_PAGE_SUMS:
        return body
    return b'%b,"%b"]' % (body[:-1], blake2b(body, digest_size=8).hexdigest().encode())


def seal(*values: Any) -> bytes | None:
    """A short hash over a row's values, to detect rot; None where pages have checksums."""
    return None if file.HAS_PAGE_SUMS else blake2b(_encode(values), digest_size=8).digest()


def check_seal(table: str, stored: bytes | None, *values: Any) -> None:
    """Raise ReadTablesRotten if the row is not what was written."""
    if not file.HAS_PAGE_SUMS and seal(*values) != stored:
        raise ReadTablesRotten(f"the row {values[:3]!r} of table {table}")
