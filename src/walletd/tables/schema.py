"""The schema of the read tables, its format, and the form of times in it."""

from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Final

FORMAT = 13

MAX_KEYS: Final = 8_192
"""The number of balances whose keys are remembered, some 2 MB: nearly every entry touches what others touched."""

EARLY_ASSETS = 16
"""The number of assets, those defined first, for which a wallet's history is read asset by asset; the changes of all
later ones are in an index by wallet only.  An index over all changes would make a transfer's rows a fifth more
expensive.
"""

SCHEMA = """
CREATE TABLE progress (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    format INTEGER NOT NULL, instance TEXT NOT NULL, epoch INTEGER NOT NULL,
    sequence INTEGER NOT NULL, frontier BLOB NOT NULL, time INTEGER NOT NULL
) STRICT;
CREATE TABLE asset (
    asset TEXT PRIMARY KEY, scale INTEGER NOT NULL, seal BLOB, is_late INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX early_asset ON asset (asset) WHERE NOT is_late;
CREATE TABLE moment (
    sequence INTEGER PRIMARY KEY, time INTEGER NOT NULL, offsets TEXT NOT NULL, seal BLOB
) STRICT;
CREATE INDEX moment_by_time ON moment (time);
CREATE TABLE wallet (
    wallet TEXT PRIMARY KEY, record TEXT NOT NULL, seal BLOB, status TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX wallet_by_status ON wallet (status, wallet);
CREATE TABLE wallet_metadata (
    wallet TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (wallet, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX wallet_by_metadata ON wallet_metadata (key, value, wallet);
CREATE TABLE wallet_after (
    wallet TEXT NOT NULL, sequence INTEGER NOT NULL, record TEXT NOT NULL, seal BLOB,
    PRIMARY KEY (wallet, sequence)
) STRICT, WITHOUT ROWID;
CREATE TABLE balance (
    wallet TEXT NOT NULL, asset TEXT NOT NULL, key INTEGER NOT NULL, seal BLOB, PRIMARY KEY (wallet, asset)
) STRICT, WITHOUT ROWID;
CREATE TABLE balance_change (
    id INTEGER PRIMARY KEY, key INTEGER NOT NULL, wallet TEXT NOT NULL, asset TEXT NOT NULL, time INTEGER NOT NULL,
    version INTEGER NOT NULL, posted TEXT NOT NULL, held TEXT NOT NULL, lines TEXT, seal BLOB, is_late INTEGER NOT NULL
) STRICT;
CREATE INDEX change_of_balance ON balance_change (key);
CREATE INDEX late_change ON balance_change (wallet) WHERE is_late;
CREATE TABLE hold (
    wallet TEXT NOT NULL, number INTEGER NOT NULL, place INTEGER NOT NULL, is_open INTEGER NOT NULL, expires INTEGER,
    record TEXT NOT NULL, ended INTEGER, seal BLOB, PRIMARY KEY (number, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE refunded (
    transfer TEXT PRIMARY KEY, record TEXT NOT NULL, seal BLOB
) STRICT, WITHOUT ROWID;
CREATE TABLE outflow (
    wallet TEXT NOT NULL, asset TEXT NOT NULL, sequence INTEGER NOT NULL, command INTEGER NOT NULL,
    time INTEGER NOT NULL, record TEXT NOT NULL, seal BLOB, PRIMARY KEY (wallet, asset, sequence, command)
) STRICT, WITHOUT ROWID;
CREATE INDEX outflow_by_time ON outflow (wallet, asset, time);
CREATE TABLE client (client TEXT PRIMARY KEY, record TEXT NOT NULL, seal BLOB) STRICT, WITHOUT ROWID;
CREATE INDEX open_hold ON hold (wallet, number, place) WHERE is_open;
CREATE INDEX expiring_hold ON hold (wallet, expires) WHERE is_open AND expires IS NOT NULL;
CREATE INDEX next_expiry ON hold (expires, number, place) WHERE is_open AND expires IS NOT NULL;
CREATE INDEX expired_hold ON hold (wallet, ended, expires) WHERE ended IS NOT NULL;
CREATE INDEX hold_of_wallet ON hold (wallet, number, place);
CREATE TABLE command (
    principal TEXT NOT NULL, command_id TEXT NOT NULL, sequence INTEGER NOT NULL, seal BLOB,
    PRIMARY KEY (principal, command_id)
) STRICT, WITHOUT ROWID;
"""

CHANGE_COLUMNS = "c.id, c.key, c.wallet, c.asset, c.time, c.version, c.posted, c.held, c.lines, c.seal"
"""The values that a change's seal covers, and the seal."""

LAST_CHANGE = """
SELECT id FROM balance_change WHERE key = {b}.key AND wallet = {b}.wallet AND asset = {b}.asset{until}
ORDER BY id DESC LIMIT 1
"""
"""The last change of the balance ``b``.  Two balances may have one key, so their names are compared, too."""

UNMOVED = -1
"""The line of a change without a movement."""

PLACES = 1 << 16
"""The changes of one entry are numbered from its sequence times this."""

_LARGEST = 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(time: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (time - _EPOCH) // _MICROSECOND


def from_microseconds(value: int) -> datetime:
    """The inverse of ``microseconds``."""
    return _EPOCH + timedelta(microseconds=value)


def key_of(wallet: str, asset: str) -> int:
    """The 63 bits by which the changes of a balance are found: a quarter of the length of its names in an index."""
    key = _keys.get((wallet, asset))
    if key is None:
        if len(_keys) >= MAX_KEYS:
            _keys.clear()
        key = int.from_bytes(blake2b(f"{wallet}\n{asset}".encode(), digest_size=8).digest()) >> 1
        _keys[wallet, asset] = key
    return key


_keys: dict[tuple[str, str], int] = {}
"""Those computed lately."""


def first_place(sequence: int) -> int:
    """The number of an entry's first change: below it are those of all earlier entries."""
    return min(sequence * PLACES, _LARGEST)
