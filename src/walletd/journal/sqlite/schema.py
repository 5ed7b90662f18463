"""The tables of a journal's database, and the mark of its application."""

SCHEMA = (
    """
    CREATE TABLE journal (
        singleton  INTEGER PRIMARY KEY CHECK (singleton = 1),
        format     INTEGER NOT NULL,
        instance   TEXT    NOT NULL,
        epoch      INTEGER NOT NULL CHECK (epoch >= 1),
        created_at INTEGER NOT NULL -- nanoseconds since 1970, UTC
    ) STRICT
    """,
    """
    CREATE TABLE history (
        first_sequence INTEGER NOT NULL CHECK (first_sequence >= 1),
        mark           TEXT    PRIMARY KEY
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE segment (
        first_sequence INTEGER PRIMARY KEY CHECK (first_sequence >= 1),
        entry_count    INTEGER NOT NULL CHECK (entry_count >= 1),
        epoch          INTEGER NOT NULL,
        format         INTEGER NOT NULL,
        root           BLOB    NOT NULL CHECK (length(root) = 32),
        digest         BLOB    NOT NULL CHECK (length(digest) = 32),
        body           BLOB    NOT NULL
    ) STRICT
    """,
)

APPLICATION_ID = 0x77616C6A
""""walj" in ASCII, by which file(1) can recognise a journal."""
