"""What each method costs, what it leaves behind and which entities it uses: one row for each method of the registry.

A method without a row, a row without a method, and a row whose test is not there fail in tests/documents.

n: postings or parts.  w: wallets touched.  a: assets of a wallet.  h: its open holds (at most 10,000).  d: those of
them that have expired while no entry says so.  v: outflows within its longest velocity window.  e: entries.
"""

from typing import NamedTuple

ENTRY = (
    "one entry: the command's bytes and its records after, once in `journal.db`; a row each in `moment` and `command`"
)
NOTHING = "none"


class Cost(NamedTuple):
    """Of one method.  Of a command, beyond the way that every command goes."""

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
        "O(1): some 190 kB, encoded once, are sent, to one session one at a time",
        "the contract, once made, for ever",
        NOTHING,
        "none",
    ),
    "asset.define": Cost(
        "O(1)",
        "one Asset for ever, some 100 bytes; only operators define them, and nothing else bounds them",
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
        "O(assets named, at most 32); O(v) where it makes a velocity window longer or takes it away",
        "replaces the limits and the metadata in the Book",
        f"{ENTRY}; rows as of wallet.open, and one in `balance_change` for each asset named",
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
        "frees limits and outflows; the Book goes when the wallet is cold",
        f"{ENTRY}; a row in `wallet_after`; for each asset swept two in `balance_change`",
        "Wallet, Balance, Posting, Entry",
        _STATE,
    ),
    "wallet.get": Cost(
        "O(a log a + windows + d); of a wallet that is not warm O(a + h + v), in slices of 2,000 rows where that is much",
        "makes the wallet warm",
        NOTHING,
        "Wallet, Balance, Hold, Limits, Window, Freeze",
        f"{LEDGER}::test_reading_balances_looks_at_expired_holds_once",
    ),
    "wallet.list": Cost(
        "O(log wallets + limit × a + d); a page ends where 1 MiB is full, if need be within a wallet; of several conditions at "
        "most 2,000 wallets are looked at for a page",
        NOTHING,
        NOTHING,
        "Wallet, Balance, Hold",
        _READ,
    ),
    "transfer.post": Cost(
        "O(n + w log w); of a wallet with a velocity limit amortised O(1) for each outflow and window, O(v) to say in "
        "a refusal when it would fit",
        "an Outflow, some 400 bytes, while it is in the longest window of a warm wallet",
        f"{ENTRY} (some 450 bytes for one posting); two rows in `balance_change` for each posting, one "
        "in `outflow` where velocity is limited",
        "Asset, Wallet, Balance, Limits, Window, Outflow, Freeze, Posting, Transfer, Entry",
        f"{LEDGER}::test_a_transfer_costs_the_same_among_thousands_of_wallets",
    ),
    "transfer.refund": Cost(
        "O(n × parts of the original), each at most 100; the original is read once, O(log e + its segment), unless it "
        "is at hand",
        "a Transfer, some 300 bytes, while its claim is warm",
        f"{ENTRY}; rows as of transfer.post, and one in `refunded`",
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
        f"{ENTRY}; a row each in `hold` and `balance_change`, one in `outflow` where velocity is limited",
        "Hold, Wallet, Balance, Limits, Outflow, Freeze, Entry",
        _HOLD,
    ),
    "hold.capture": Cost(
        "O(n + log h)",
        "frees the Hold and its timer with the last capture",
        f"{ENTRY}; rows as of transfer.post, and the one in `hold` is replaced",
        "Hold, Posting, Wallet, Balance, Outflow, Transfer, Entry",
        _HOLD,
    ),
    "hold.extend": Cost(
        "O(log h)",
        "another timer in place of the one before",
        f"{ENTRY}; the row in `hold` is replaced",
        "Hold, Entry",
        _HOLD,
    ),
    "hold.adjust": Cost(
        "O(log h + times that it was raised)",
        "an Outflow where velocity is limited and it is raised",
        f"{ENTRY}; the row in `hold` is replaced, one in `balance_change`",
        "Hold, Balance, Outflow, Entry",
        _HOLD,
    ),
    "hold.void": Cost(
        "O(log h + times that it was raised)",
        "frees the Hold and its timer",
        f"{ENTRY}; the row in `hold` is replaced, one in `balance_change`",
        "Hold, Balance, Outflow, Entry",
        _HOLD,
    ),
    "hold.get": Cost("O(log holds)", NOTHING, NOTHING, "Hold", _ROW),
    "hold.list": Cost(
        "O(log holds + limit); of those open at most 2,000 are looked at for a page", NOTHING, NOTHING, "Hold", _BOUNDED
    ),
    "batch.execute": Cost(
        "the sum of its commands, and O(a + h + v) for each of its wallets and O(assets), which are copied once",
        "as its commands; the copies until it is decided",
        "one entry for all; rows as of its commands, and one in `command` for each of them",
        "those of its commands",
        f"{LEDGER}::test_a_batch_costs_as_much_as_its_commands",
    ),
    "balance.get": Cost(
        "now: as wallet.get, for each of at most 100 wallets; of one asset O(1 + d). `as_of`: O(log e + d) for each balance, and O(log² e) to find the "
        "entry of a time",
        "now: makes the wallets warm",
        NOTHING,
        "Wallet, Balance, Limits, Window, Outflow, Hold",
        _BOUNDED,
    ),
    "statement.get": Cost(
        "O(log e + limit), O(log² e) for a range by time; at most 2,000 changes are looked at for a page, and at most 100 "
        "assets, or those of its lines, are stated",
        NOTHING,
        NOTHING,
        "Wallet, Posting, Balance, Entry",
        _BOUNDED,
    ),
    "entry.get": Cost(
        "O(log e + its segment, at most 760 KiB) to read and check it; by command id one look-up more",
        NOTHING,
        NOTHING,
        "Entry, Segment",
        _ROW,
    ),
    "entry.list": Cost(
        "O(log e + limit + a segment); a page ends before 1 MiB, and is read a quarter of that at a time",
        NOTHING,
        NOTHING,
        "Entry, Segment",
        _ROW,
    ),
    "stream.subscribe": Cost(
        "O(wallets named), at most 1,000; a snapshot O(wallets × a), at most 1,000; a replay O(entries behind the cursor), "
        "256 at a time",
        "a Subscription, some 600 bytes, and some 140 for each wallet named, until it or its session ends",
        NOTHING,
        "Subscription, Session, Wallet, Balance, Entry",
        _STREAM,
    ),
    "stream.unsubscribe": Cost("O(wallets named)", "frees the Subscription", NOTHING, "Subscription"),
    "client.create": Cost(
        "O(viewing keys of the owner), at most 100 in force; O(sessions) once it is durable",
        "a Client, some 600 bytes: at most 100,000, for ever; of viewing keys at most 100 for each owner",
        f"{ENTRY}; a row in `client`",
        "Client, Token, Session, Entry",
        _CLIENT,
    ),
    "client.list": Cost(
        "O(log clients + limit) for an admin, else O(its keys)",
        "the names in order, from the first time on that an admin asks",
        NOTHING,
        "Client, Token",
        f"{BOUNDED}::test_a_page_of_clients_costs_as_much_as_it_has",
    ),
    "client.rotate": Cost(
        "O(admins); O(sessions) once it is durable",
        "a Token in place of those that end; at most 4",
        f"{ENTRY}; the row in `client` is replaced",
        "Client, Token, Session, Entry",
        _CLIENT,
    ),
    "client.revoke": Cost(
        "O(admins + its keys); O(sessions) once it is durable",
        "ends its sessions; its name stays",
        f"{ENTRY}; the rows in `client` of it and of its keys are replaced",
        "Client, Token, Session, Entry",
        _CLIENT,
    ),
    "daemon.status": Cost("O(1)", NOTHING, NOTHING, "Journal, Progress"),
    "daemon.log_level": Cost("O(components), of which there are 7", NOTHING, NOTHING, "none"),
    "daemon.drain": Cost("O(sessions)", "ends the process", NOTHING, "Session"),
    "daemon.compact": Cost(
        "O(1); what it begins is O(entries to archive + rows of the read tables), beside the commands, some of it in threads "
        "and in a process of its own",
        "a block of a quarter of a megabyte at a time",
        "an archive file and a snapshot of the read tables more, as many entries in `journal.db` fewer; while it runs as "
        "much room as both databases",
        "Segment, Entry, Archive, Snapshot, Progress",
    ),
    "journal.read": Cost(
        "O(log e + a quarter of a megabyte, or a segment), which is packed and deflated",
        NOTHING,
        NOTHING,
        "Segment, Entry, Archive, Journal",
    ),
    "daemon.report": Cost(
        "O(tasks + warm wallets), of tasks at most 300; holds up the loop for milliseconds",
        "at most 200,000 characters while it is made",
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
