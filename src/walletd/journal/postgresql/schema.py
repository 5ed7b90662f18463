"""The tables of the ledgers in one database, and every statement on them.

A ledger's row is the fence: each append moves its head in the same statement, and only in the term of the node that
leads.  ``term`` counts the times that a node took the ledger; ``epoch`` is the journal's, which only a restore raises.
"""

SCHEMA_VERSION = 1

CREATE = f"""
SELECT pg_advisory_xact_lock(8602535170132341601);
CREATE SCHEMA IF NOT EXISTS walletd;
CREATE TABLE IF NOT EXISTS walletd.schema_version (
    singleton int PRIMARY KEY CHECK (singleton = 1),
    version   int NOT NULL
);
CREATE TABLE IF NOT EXISTS walletd.ledger (
    name        text PRIMARY KEY,
    format      int         NOT NULL,
    instance    text        NOT NULL,
    created_at  bigint      NOT NULL, -- nanoseconds since 1970, UTC
    epoch       bigint      NOT NULL CHECK (epoch >= 1),
    term        bigint      NOT NULL DEFAULT 0,
    head        bigint      NOT NULL DEFAULT 0,
    root        bytea       NOT NULL CHECK (length(root) = 32),
    archived    bigint      NOT NULL DEFAULT 0, -- all entries up to this one are in archive, the others in segment
    owner       text,
    url         text,
    lease_until timestamptz
) WITH (fillfactor = 50);
CREATE TABLE IF NOT EXISTS walletd.history (
    ledger         text   NOT NULL REFERENCES walletd.ledger ON DELETE CASCADE,
    first_sequence bigint NOT NULL CHECK (first_sequence >= 1),
    mark           text   NOT NULL,
    PRIMARY KEY (ledger, mark)
);
CREATE TABLE IF NOT EXISTS walletd.segment (
    ledger         text   NOT NULL,
    first_sequence bigint NOT NULL CHECK (first_sequence >= 1),
    entry_count    bigint NOT NULL CHECK (entry_count >= 1),
    epoch          bigint NOT NULL,
    format         bigint NOT NULL,
    root           bytea  NOT NULL,
    digest         bytea  NOT NULL,
    body           bytea  NOT NULL,
    term           bigint NOT NULL, -- of the node that wrote it
    PRIMARY KEY (ledger, first_sequence)
);
ALTER TABLE walletd.segment ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE TABLE IF NOT EXISTS walletd.archive (
    ledger         text   NOT NULL,
    first_sequence bigint NOT NULL,
    last_sequence  bigint NOT NULL,
    block          bytea  NOT NULL, -- segments, packed and deflated as in an archive file
    PRIMARY KEY (ledger, last_sequence)
);
ALTER TABLE walletd.archive ALTER COLUMN block SET STORAGE EXTERNAL;
CREATE TABLE IF NOT EXISTS walletd.snapshot (
    ledger   text   NOT NULL,
    sequence bigint NOT NULL,
    digest   text   NOT NULL, -- SHA-256 of the whole
    part     bigint NOT NULL,
    parts    bigint NOT NULL,
    body     bytea  NOT NULL,
    PRIMARY KEY (ledger, sequence, digest, part)
);
ALTER TABLE walletd.snapshot ALTER COLUMN body SET STORAGE EXTERNAL;
INSERT INTO walletd.schema_version VALUES (1, {SCHEMA_VERSION}) ON CONFLICT DO NOTHING;
"""

HAS_TABLES = "SELECT to_regclass('walletd.schema_version') IS NOT NULL"
VERSION = "SELECT version FROM walletd.schema_version"

LEDGERS = "SELECT name FROM walletd.ledger ORDER BY name"
CHARTER = "SELECT format, instance, epoch, created_at FROM walletd.ledger WHERE name = $1"
HISTORIES = "SELECT first_sequence, mark FROM walletd.history WHERE ledger = $1 ORDER BY first_sequence"
FOUND = """
INSERT INTO walletd.ledger (name, format, instance, created_at, epoch, root)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING
"""

DURABILITY = """
SELECT current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_standby_names'),
    current_setting('server_version_num')::bigint
"""

# --- the lease: judged by the database's clock alone ---------------------------------------------------------------

TAKE = """
UPDATE walletd.ledger
SET term = term + 1, owner = $2, url = $3, lease_until = clock_timestamp() + $4::float8 * interval '1 second'
WHERE name = $1 AND (owner IS NOT DISTINCT FROM $2 OR lease_until IS NULL OR lease_until < clock_timestamp())
RETURNING term, head, root, epoch
"""
RENEW = """
UPDATE walletd.ledger SET lease_until = clock_timestamp() + $3::float8 * interval '1 second'
WHERE name = $1 AND owner = $2
"""
RELEASE = """
WITH released AS (
    UPDATE walletd.ledger SET owner = NULL, url = NULL, lease_until = NULL WHERE name = $1 AND owner = $2 RETURNING name
)
SELECT pg_notify('walletd', name) FROM released
"""
LEADER = """
SELECT owner, url, term, head, root, extract(epoch FROM lease_until - clock_timestamp())::float8::text
FROM walletd.ledger WHERE name = $1
"""
LISTEN = "LISTEN walletd"
NUDGE = "SELECT set_config('synchronous_commit', 'off', true), pg_notify('walletd', $1)"
"""Tells followers that there is more.  In a transaction of its own, for a commit that notifies holds a lock that all
ledgers of the database share, and without waiting for the standby: nothing depends on its arrival.
"""
BARRIER = "SELECT pg_logical_emit_message(true, 'walletd', '')::text"
"""A commit that the standby has to confirm, and with it everything before: see ``following``."""

# --- the journal ---------------------------------------------------------------------------------------------------

APPEND = """
WITH fence AS (
    UPDATE walletd.ledger SET head = $9::bigint, root = $6::bytea
    WHERE name = $1 AND term = $10::bigint AND head = $2::bigint - 1 AND epoch = $11::bigint
    RETURNING name
)
INSERT INTO walletd.segment (ledger, first_sequence, entry_count, epoch, format, root, digest, body, term)
SELECT name, $2, $3::bigint, $4::bigint, $5::bigint, $6, $7::bytea, $8::bytea, $10 FROM fence
"""
"""One statement and one round trip.  No row is inserted where another node has taken the ledger."""

TOUCH = "UPDATE walletd.ledger SET head = head WHERE name = $1 AND term = $2::bigint"
HEAD = "SELECT term, head, root, archived FROM walletd.ledger WHERE name = $1"

_COLUMNS = "first_sequence, entry_count, epoch, format, root, digest, body"
READ_LIMIT_SEGMENTS = 512
"""Bounds the rows of one read when segments are small."""

HOLDING = f"""
SELECT {_COLUMNS} FROM walletd.segment WHERE ledger = $1 AND first_sequence <= $2
ORDER BY first_sequence DESC LIMIT 1
"""
FIRST = f"SELECT {_COLUMNS} FROM walletd.segment WHERE ledger = $1 ORDER BY first_sequence LIMIT 1"
AFTER = f"""
WITH candidate AS (
    SELECT first_sequence, octet_length(body) AS size FROM walletd.segment
    WHERE ledger = $1 AND first_sequence >= coalesce(
        (SELECT max(first_sequence) FROM walletd.segment WHERE ledger = $1 AND first_sequence <= $2), 1)
    ORDER BY first_sequence LIMIT {READ_LIMIT_SEGMENTS}
), measured AS (
    SELECT first_sequence, sum(size) OVER (ORDER BY first_sequence) - size AS bytes_before FROM candidate
)
SELECT {_COLUMNS} FROM walletd.segment JOIN measured USING (first_sequence)
WHERE ledger = $1 AND bytes_before < $3 ORDER BY first_sequence
"""
USED_BYTES = """
SELECT coalesce(sum(octet_length(body)), 0)::bigint FROM walletd.segment WHERE ledger = $1
"""

# --- compaction ----------------------------------------------------------------------------------------------------

PACK = """
WITH fence AS (
    UPDATE walletd.ledger SET archived = $3::bigint
    WHERE name = $1 AND archived = $2::bigint - 1 AND term = $5::bigint RETURNING name
), gone AS (
    DELETE FROM walletd.segment USING fence
    WHERE ledger = name AND first_sequence BETWEEN $2 AND $3 RETURNING 1
)
INSERT INTO walletd.archive (ledger, first_sequence, last_sequence, block)
SELECT name, $2, $3, $4::bytea FROM fence
"""
"""The segments leave their table in the statement that archives them: there is no moment in between."""

PACKED = """
SELECT first_sequence, last_sequence, block FROM walletd.archive
WHERE ledger = $1 AND last_sequence > $2 ORDER BY last_sequence LIMIT 1
"""
KEEP_PART = """
INSERT INTO walletd.snapshot (ledger, sequence, digest, part, parts, body) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING
"""
DROP_OTHERS = "DELETE FROM walletd.snapshot WHERE ledger = $1 AND digest <> $2"
NEWEST_SNAPSHOT = """
SELECT sequence, digest, parts FROM walletd.snapshot WHERE ledger = $1
GROUP BY sequence, digest, parts HAVING count(*) = parts ORDER BY sequence DESC LIMIT 1
"""
PART = "SELECT body FROM walletd.snapshot WHERE ledger = $1 AND digest = $2 AND part = $3"
