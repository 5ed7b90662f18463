"""The costs of each method, its net effect and the entities involved: one row for each method of the registry.

tests/documents fail on a method without a row, a row without a method, and a row with a missing test.

n: postings or parts.  w: wallets touched.  a: assets of a wallet.  h: its open holds (at most 10,000).  d: those that
have expired without an entry yet.  v: outflows within its longest velocity window.  e: entries.
"""

from typing import NamedTuple

ENTRY = "one entry: the command's bytes and its records after, once in `journal.db`; its time in `moment`, and a row in `command`"
NOTHING = "none"


class Cost(NamedTuple):
    """Of one method; of a command, beyond the costs of every command."""

    steps: str
    memory: str
    disk: str
    entities: str
    counted: str = ""
    """The test that counts the steps while the data grows."""


LEDGER = "tests/complexity/test_ledger.py"
TABLES = "tests/complexity/test_tables.py"
READS = "tests/wallets/test_read_costs.py"
BOUNDED = "tests/complexity/test_reads.py"
PARTS = "tests/complexity/test_parts.py"

_HOLD = f"{LEDGER}::test_a_hold_costs_the_same_beside_thousands"
_STATE = f"{LEDGER}::test_a_wallets_state_costs_the_same_beside_thousands_of_wallets"
_READ = f"{READS}::test_a_read_takes_no_more_steps_where_there_is_twenty_times_as_much"
_BOUNDED = f"{BOUNDED}::test_a_read_costs_as_much_as_it_returns_whatever_grows"
_ROW = f"{TABLES}::test_a_look_up_takes_no_more_steps_where_there_is_twenty_times_as_much"
_CLIENT = f"{PARTS}::test_a_token_is_known_at_once_among_thousands_of_clients"
_STREAM = f"{PARTS}::test_an_entry_costs_nothing_for_subscribers_of_other_wallets"

COSTS: dict[str, Cost] = {
    "session.authenticate": Cost(
        "O(1): a SHA-256 and a look-up in a dict; a client has at most 4 tokens",
        "the session's grant, until it ends",
        NOTHING,
        "Client, Token, Session",
        _CLIENT,
    ),
    "session.ping": Cost("O(1)", NOTHING, NOTHING, "Session"),
    "rpc.discover": Cost(
        "O(1): some 190 kB, encoded once, are sent, one at a time per session",
        "the contract, once made, permanently",
        NOTHING,
        "none",
    ),
    "asset.define": Cost(
        "O(1)",
        "one Asset permanently, some 100 bytes; only operators define them, and nothing else bounds them",
        f"{ENTRY}; a row in `asset`",
        "Asset, Entry",
        _STATE,
    ),
    "asset.list": Cost("O(log assets + page), at most 10,000 of them", NOTHING, NOTHING, "Asset"),
    "wallet.open": Cost(
        "O(keys of metadata), at most 16",
        "a Book while the wallet is warm, some 800 bytes",
        f"{ENTRY}; a row each in `wallet` and `wallet_after`, and one in `wallet_metadata` for each key",
        "Wallet, Entry",
        _STATE,
    ),
    "wallet.update": Cost(
        "O(assets named, at most 32); O(v) if it lengthens or removes a velocity window",
        "replaces the limits and the metadata in the Book",
        f"{ENTRY}; rows as for wallet.open, and one in `balance_change` per asset named",
        "Wallet, Limits, Window, Outflow, Balance, Entry",
        _STATE,
    ),
    "wallet.freeze": Cost(
        "O(1)",
        "the Freeze, while the wallet is warm",
        f"{ENTRY}; a row in `wallet_after`",
        "Wallet, Freeze, Entry",
        _STATE,
    ),
    "wallet.unfreeze": Cost(
        "O(1)", "frees the Freeze", f"{ENTRY}; a row in `wallet_after`", "Wallet, Freeze, Entry", _STATE
    ),
    "wallet.close": Cost(
        "O(a log a)",
        "frees limits and outflows; the Book when the wallet leaves memory",
        f"{ENTRY}; a row in `wallet_after`; two in `balance_change` per asset swept",
        "Wallet, Balance, Posting, Entry",
        _STATE,
    ),
    "wallet.get": Cost(
        "O(a log a + windows + d); for a wallet not in memory O(a + h + v), in slices of 2,000 rows if that is much",
        "loads the wallet into memory",
        NOTHING,
        "Wallet, Balance, Hold, Limits, Window, Freeze",
        f"{LEDGER}::test_reading_balances_looks_at_expired_holds_once",
    ),
    "wallet.list": Cost(
        "O(log wallets + limit × a + d); a page ends at 1 MiB, if need be within a wallet; with several conditions, at "
        "most 2,000 wallets are examined per page",
        NOTHING,
        NOTHING,
        "Wallet, Balance, Hold",
        _READ,
    ),
    "transfer.post": Cost(
        "O(n + w log w); for a wallet with a velocity limit amortised O(1) per outflow and window, O(v) for the time in "
        "a refusal at which it would fit",
        "an Outflow, some 900 bytes, while the wallet is warm: 1,000 new ones, 200 older per window, 20,000 of open holds",
        f"{ENTRY} (some 300 bytes for one posting); a row in `balance_change` per balance moved, one "
        "in `outflow` if velocity is limited",
        "Asset, Wallet, Balance, Limits, Window, Outflow, Freeze, Posting, Transfer, Entry",
        f"{LEDGER}::test_a_transfer_costs_the_same_among_thousands_of_wallets",
    ),
    "transfer.refund": Cost(
        "O(n × parts of the original), each at most 100; the original is read once, O(log e + its segment), unless it "
        "is in memory",
        "a Transfer, some 300 bytes, while its claim is warm",
        f"{ENTRY}; rows as for transfer.post, and one in `refunded`",
        "Transfer, Posting, Wallet, Balance, Outflow, Entry",
    ),
    "transfer.get": Cost(
        "O(log e + its segment, at most 760 KiB) to read and check it",
        NOTHING,
        NOTHING,
        "Entry, Segment, Transfer",
        _ROW,
    ),
    "hold.place": Cost(
        "O(log h)",
        "a Hold, some 450 bytes, while it is open and the wallet warm; a timer, some 250 bytes, while it is among the next 10,000 to 20,000 expiries",
        f"{ENTRY}; a row each in `hold` and `balance_change`, one in `outflow` if velocity is limited",
        "Hold, Wallet, Balance, Limits, Outflow, Freeze, Entry",
        _HOLD,
    ),
    "hold.capture": Cost(
        "O(n + log h)",
        "frees the Hold and its timer with the last capture",
        f"{ENTRY}; rows as for transfer.post, and the one in `hold` is replaced",
        "Hold, Posting, Wallet, Balance, Outflow, Transfer, Entry",
        _HOLD,
    ),
    "hold.extend": Cost(
        "O(log h)",
        "replaces the timer",
        f"{ENTRY}; the row in `hold` is replaced",
        "Hold, Entry",
        _HOLD,
    ),
    "hold.adjust": Cost(
        "O(log h + number of raises)",
        "an Outflow if velocity is limited and it is raised",
        f"{ENTRY}; the row in `hold` is replaced, one in `balance_change`",
        "Hold, Balance, Outflow, Entry",
        _HOLD,
    ),
    "hold.void": Cost(
        "O(log h + number of raises)",
        "frees the Hold and its timer",
        f"{ENTRY}; the row in `hold` is replaced, one in `balance_change`",
        "Hold, Balance, Outflow, Entry",
        _HOLD,
    ),
    "hold.get": Cost("O(log holds)", NOTHING, NOTHING, "Hold", _ROW),
    "hold.list": Cost(
        "O(log holds + limit); at most 2,000 open holds are examined per page", NOTHING, NOTHING, "Hold", _BOUNDED
    ),
    "batch.execute": Cost(
        "the sum of its commands, plus O(a + h + v) per wallet and O(assets), which are copied once",
        "as its commands; the copies until the decision",
        "one entry for all; rows as for its commands, and one in `command` per command",
        "those of its commands",
        f"{LEDGER}::test_a_batch_costs_as_much_as_its_commands",
    ),
    "balance.get": Cost(
        "now: as wallet.get, for each of at most 100 wallets; for one asset O(1 + d). `as_of`: O(log e + d) per balance, and O(log² e) to find the "
        "entry of a time",
        "now: loads the wallets into memory",
        NOTHING,
        "Wallet, Balance, Limits, Window, Outflow, Hold",
        _BOUNDED,
    ),
    "statement.get": Cost(
        "O(log e + limit), O(log² e) for a range by time; at most 2,000 changes are examined per page, and at most 100 "
        "assets, or those of its lines, are stated",
        NOTHING,
        NOTHING,
        "Wallet, Posting, Balance, Entry",
        _BOUNDED,
    ),
    "entry.get": Cost(
        "O(log e + its segment, at most 760 KiB) to read and check it; by command id one more look-up",
        NOTHING,
        NOTHING,
        "Entry, Segment",
        _ROW,
    ),
    "entry.list": Cost(
        "O(log e + limit + a segment); a page ends before 1 MiB, and is read in quarters",
        NOTHING,
        NOTHING,
        "Entry, Segment",
        _ROW,
    ),
    "stream.subscribe": Cost(
        "O(wallets named), at most 1,000; a snapshot O(wallets × a), at most 1,000; a replay O(entries after the cursor), "
        "256 at a time",
        "a Subscription, some 600 bytes, and some 140 per wallet named, until it or its session ends",
        NOTHING,
        "Subscription, Session, Wallet, Balance, Entry",
        _STREAM,
    ),
    "stream.unsubscribe": Cost("O(wallets named)", "frees the Subscription", NOTHING, "Subscription"),
    "client.create": Cost(
        "O(viewing keys of the owner), at most 100 in force; O(sessions) once it is durable",
        "a Client, some 600 bytes: at most 100,000, permanently; at most 100 viewing keys per owner",
        f"{ENTRY}; a row in `client`",
        "Client, Token, Session, Entry",
        _CLIENT,
    ),
    "client.list": Cost(
        "O(log clients + limit) for an admin, otherwise O(its keys)",
        "the sorted names, from the first request of an admin on",
        NOTHING,
        "Client, Token",
        f"{BOUNDED}::test_a_page_of_clients_costs_as_much_as_it_has",
    ),
    "client.rotate": Cost(
        "O(admins); O(sessions) once it is durable",
        "a Token, replacing those that end; at most 4",
        f"{ENTRY}; the row in `client` is replaced",
        "Client, Token, Session, Entry",
        _CLIENT,
    ),
    "client.update": Cost(
        "O(admins + its keys); O(sessions) once it is durable",
        "ends its sessions if its scopes change or they come from elsewhere; its name stays",
        f"{ENTRY}; its row in `client` and those of keys that end are replaced",
        "Client, Token, Session, Entry",
        _CLIENT,
    ),
    "client.revoke": Cost(
        "O(admins + its keys); O(sessions) once it is durable",
        "ends its sessions; its name stays",
        f"{ENTRY}; its row in `client` and those of its keys are replaced",
        "Client, Token, Session, Entry",
        _CLIENT,
    ),
    "daemon.status": Cost("O(1)", NOTHING, NOTHING, "Journal, Progress"),
    "daemon.log_level": Cost("O(7 components)", NOTHING, NOTHING, "none"),
    "daemon.drain": Cost("O(sessions)", "ends the process", NOTHING, "Session"),
    "daemon.compact": Cost(
        "O(1); the compaction takes O(entries to archive + rows of the read tables), beside the commands, partly in threads "
        "and in a separate process",
        "a block of a quarter of a megabyte at a time",
        "adds an archive file and a snapshot of the read tables, removes the archived entries from `journal.db`; needs as "
        "much space as both databases while it runs",
        "Segment, Entry, Archive, Snapshot, Progress",
    ),
    "journal.read": Cost(
        "O(log e + a quarter of a megabyte, or a segment), packed and deflated",
        NOTHING,
        NOTHING,
        "Segment, Entry, Archive, Journal",
    ),
    "daemon.report": Cost(
        "O(tasks + warm wallets), with at most 300 tasks; blocks the loop for milliseconds",
        "at most 200,000 characters during the report",
        "one file in `reports`; the newest 20 are kept",
        "Entry (the heads of the last 20)",
    ),
    "daemon.audit": Cost(
        "O(balances), 10,000 in memory at a time, in one view of the tables",
        NOTHING,
        NOTHING,
        "Balance, Asset, Wallet",
        f"{TABLES}::test_an_audit_is_linear_in_the_balances",
    ),
}
