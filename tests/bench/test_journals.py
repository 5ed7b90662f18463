"""A journal that the benchmark writes without a daemon is one that a daemon would have written."""

from pathlib import Path

import trio
from bench.journals import FUNDED_AT_ONCE, write

from tests.daemon.process import Daemon


def test_a_written_journal_is_served_and_its_books_are_right(tmp_path: Path) -> None:
    data = tmp_path / "data"
    wallets, transfers = 2 * FUNDED_AT_ONCE + 5, 50
    scribe = trio.run(write, data, wallets, transfers)
    with Daemon(data) as daemon, daemon.client() as client:
        status = client.call("daemon.status")
        audit = client.call("daemon.audit")
        first = client.call("entry.get", sequence=1)
        posted = [
            int(client.call("balance.get", wallet=f"w{number}")["balances"][0]["posted"]) for number in range(wallets)
        ]
    assert scribe.sequence == 2 + wallets + 3 + transfers
    assert status["head"] == scribe.sequence + 1  # The daemon admits its operator by an entry.
    assert audit["violations"] == []
    assert first["entry"]["command"]["wallet"] == "@external"
    assert sum(posted) == wallets * 10**12
    assert len(set(posted)) > 1
