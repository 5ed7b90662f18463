"""The bytes that a hostile client journals, counted from outside the daemon."""

import sqlite3
from contextlib import closing
from pathlib import Path

from bench.neighbours import committed_bytes


def test_the_size_of_a_database_is_read_from_its_log_as_of_its_newest_commit(tmp_path: Path) -> None:
    log = tmp_path / "made.db-wal"
    with closing(sqlite3.connect(tmp_path / "made.db", isolation_level=None)) as writer:

        def size() -> int:
            (pages,) = writer.execute("pragma page_count").fetchone()
            (page_bytes,) = writer.execute("pragma page_size").fetchone()
            return int(pages) * int(page_bytes)

        writer.execute("pragma page_size=8192")
        writer.execute("pragma journal_mode=wal")
        assert committed_bytes(log) == 0
        writer.execute("create table filled(content)")
        for _ in range(100):
            writer.execute("insert into filled values(zeroblob(3000))")
        assert committed_bytes(log) == size()
        assert log.stat().st_size > 2 * size(), "the log has pages more than once"
        writer.execute("begin")
        writer.execute("insert into filled values(zeroblob(300000))")
        assert committed_bytes(log) < size()
        writer.execute("commit")
        writer.execute("pragma wal_checkpoint(restart)")
        writer.execute("insert into filled values(1)")
        assert committed_bytes(log) == size()
