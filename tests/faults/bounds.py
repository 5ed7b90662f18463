"""Every bound and every cache of the daemon: how small the row "at size" makes it, and what of its life is larger.

    SETTINGS["max_warm_wallets"]                       # Crossed(16, "wallets"): 16 are kept, and the life has more
    CONSTANTS["journal.history"]["READ_BYTES"]         # the same for a constant of a module

A setting or a constant that is a bound and that the row does not cross says which test does, or why none need.
``tests/architecture/test_bounds.py`` fails for one that is not here.
"""

from typing import NamedTuple


class Crossed(NamedTuple):
    """Made so small, and there is more of what ``measure`` names."""

    small: int
    measure: str


class Elsewhere(NamedTuple):
    """Not made small here; why."""

    why: str


Bound = Crossed | Elsewhere

_CONNECTIONS = Elsewhere("connections, not data: tests/gateway/test_places.py, row 9 and row 15")
_MESSAGES = Elsewhere("one message, whatever the ledger's size: tests/gateway/test_frames.py, row 11")
_AUDIT = Elsewhere("causes of lines of a log, not data: tests/gateway/test_audit_trail.py")
_FOLDING = Elsewhere("outflows of one wallet and asset: tests/ledger/test_outflow_folding.py")
_HEAD = Elsewhere("the head of one request, whatever the ledger's size: tests/gateway/test_handshake.py")
_PROXY_HEADER = Elsewhere("one header, whatever the ledger's size: tests/gateway/test_proxy_header.py")
_RATES = Elsewhere("requests a second, not data: tests/gateway/test_throttling.py and row 9")
_BUDGETS = Elsewhere("what one principal may take, not data: tests/protocol/test_budgets.py")
_DISK = Elsewhere("a full disk: row 13")
_RULE = Elsewhere("a rule that each request is held to: tests/protocol/test_requests.py, rows 6 and 11")
_FORMAT = Elsewhere("the shape of what is stored, no bound")
_FOLLOWS = Elsewhere("follows from vocabulary.sizes.MAX_FRAME_BYTES, and is as small")
_SHEDDING = Elsewhere("what waits under overload: tests/wallets/test_roster.py, tests/gateway/test_growth.py and row 9")

SETTINGS: dict[str, Bound] = {
    "max_connections": _CONNECTIONS,
    "max_connections_per_address": _CONNECTIONS,
    "max_connections_of_guests": _CONNECTIONS,
    "max_frame_bytes": _MESSAGES,
    "max_fragments": _MESSAGES,
    "max_pings_per_second": _RATES,
    "max_requests_per_second": _RATES,
    "max_requests_per_second_of_principal": _RATES,
    "max_requests_per_second_of_guest": _RATES,
    "max_in_flight": Crossed(24, "commands sent at once"),
    "max_in_flight_bytes": Crossed(8 * 1024, "bytes sent at once"),
    "max_subscriptions": Crossed(4, "subscriptions asked for"),
    "max_event_bytes": Crossed(16 * 1024, "bytes of the journal"),
    "max_reply_bytes": Crossed(32 * 1024, "bytes of the journal"),
    "max_buffered_mebibytes": Elsewhere("what all peers hold together: tests/gateway/test_weight.py and row 9"),
    "max_warm_wallets": Crossed(16, "wallets"),
    "max_mailbox": Crossed(12, "commands sent at once"),
    "max_queued_entries": Crossed(64, "entries"),
    "max_unprojected_entries": Crossed(256, "entries"),
    "writer_cache_kibibytes": Crossed(64, "KiB of read tables"),
    "reader_cache_kibibytes": Crossed(64, "KiB of read tables"),
    "rebuild_cache_kibibytes": Crossed(64, "KiB of read tables"),
    "space_floor_mebibytes": _DISK,
    "compact_keep_entries": Crossed(200, "entries"),
    "compact_when_mebibytes": Crossed(1, "MiB of the journal"),
}

CONSTANTS: dict[str, dict[str, Bound]] = {
    "daemon.descriptors": {
        "KEPT_FOR_THE_DAEMON": _CONNECTIONS,
        "KEPT_FOR_OPERATORS": _CONNECTIONS,
        "LEAST": _CONNECTIONS,
    },
    "gateway.network.inbox": {"READ_BYTES": Crossed(512, "bytes sent at once")},
    "gateway.network.outbox": {"WRITE_BYTES": Crossed(4096, "bytes of the journal")},
    "gateway.methods.reads": {"MOST_ASSETS": Crossed(10, "assets")},
    "gateway.methods.entries": {"MAX_PAGE_BYTES": Crossed(32 * 1024, "bytes of the journal")},
    "gateway.audit_trail": {"KEPT_WINDOWS": _AUDIT, "KEPT_PRINCIPALS": _AUDIT},
    "gateway.admission": {"MOMENTS_UNPRUNED": Elsewhere("clients, not data: tests/gateway/test_clients.py")},
    "gateway.websocket.fragments": {"MAX_FRAGMENTS": _MESSAGES},
    "gateway.websocket.opening": {"MAX_HEAD_BYTES": _HEAD, "MAX_HEAD_PARTS": _HEAD, "MAX_HEAD_PIECES": _HEAD},
    "gateway.network.proxy_header": {"MAX_BODY_BYTES": _PROXY_HEADER, "MAX_LINE_BYTES": _PROXY_HEADER},
    "gateway.network.places": {"TURNED_AWAY_AT_ONCE": _CONNECTIONS},
    "journal.archive.file": {
        "MAX_BLOCK_BYTES": _FOLLOWS,
        "MAX_ROW_BYTES": Elsewhere("what SQLite takes as one row: tests/journal/test_blocks.py"),
        "MAX_UNPACKED_BYTES": Elsewhere("a block that unpacks to more is no block: tests/journal/test_blocks.py"),
        "SYNC_BYTES": Crossed(8192, "bytes of the journal"),
    },
    "journal.postgresql.schema": {
        "READ_LIMIT_SEGMENTS": Elsewhere("another store than this row's: tests/journal/test_postgresql.py"),
    },
    "journal.sqlite.rows": {"READ_LIMIT_SEGMENTS": Crossed(8, "entries")},
    "journal.segment": {"ENTRIES_PER_STEP": Crossed(4, "commands sent at once")},
    "journal.sqlite.store": {
        "SMALL_BYTES": Crossed(2048, "bytes sent at once"),
        "PRUNE_BYTES": Crossed(16 * 1024, "bytes of the journal"),
        "MAX_SHRUNK_PAGES": Crossed(8, "KiB of read tables"),
        "MAX_FREED_PAGES": Crossed(32, "KiB of read tables"),
    },
    "journal.store": {"READ_LIMIT_BYTES": Crossed(16 * 1024, "bytes of the journal")},
    "journal.writer": {
        "MAX_QUEUE_ENTRIES": _SHEDDING,
        "MAX_QUEUE_BYTES": _SHEDDING,
        "MAX_SEGMENT_ENTRIES": Crossed(8, "commands sent at once"),
    },
    "ledger.audit": {"MAX_VIOLATIONS": Elsewhere("violations that are listed, not data: tests/ledger/test_audit.py")},
    "ledger.batches": {"MAX_RECORDS": _RULE},
    "ledger.book": {
        "MAX_OPEN_HOLDS": _RULE,
        "EXPIRIES_UNPRUNED": Crossed(4, "holds that end at one moment"),
        "OUTFLOWS_UNPRUNED": Elsewhere("outflows of one window: tests/ledger/test_velocity.py"),
    },
    "ledger.clients": {"MAX_CLIENTS": _RULE, "MAX_KEYS": _RULE, "MAX_TOKENS": _RULE},
    "ledger.entry_size": {
        "MAX_EXPIRED": Crossed(40, "holds that end at one moment"),
        "MAX_EXPIRED_BYTES": _FOLLOWS,
        "MAX_RAISES": _RULE,
    },
    "ledger.outflow_folding": {"MAX_FOLDED": _FOLDING},
    "ledger.velocity": {"MAX_OF_OPEN_HOLDS": _FOLDING, "MAX_LOOKED_AT": _FOLDING},
    "ledger.wallets": {"MAX_SWEPT_ASSETS": _RULE},
    "protocol.messages.base": {
        "MAX_PAGE": _RULE,
        "MAX_SUBSCRIBED_WALLETS": _RULE,
        "MAX_SNAPSHOT_WALLETS": _RULE,
        "MAX_READ_WALLETS": _RULE,
    },
    "protocol.pages": {"PAGE_BYTES": Crossed(16 * 1024, "bytes of the journal")},
    "runtime.fair_queue": {"KEPT": Elsewhere("principals, not data: tests/runtime/test_fair_queue.py")},
    "sessions.budgets": {"KEPT_ACCOUNTS": _BUDGETS},
    "protocol.strict_json": {"MOST_OF_A_NAME": _MESSAGES},
    "tables.schema": {"MAX_KEYS": Crossed(8, "wallets")},
    "protocol.strict_types": {"MAX_SEEN": Crossed(8, "wallets"), "MAX_COMMAND_ID": _RULE},
    "vocabulary.commands": {
        "MAX_POSTINGS": _RULE,
        "MAX_LIMITED_ASSETS": _RULE,
        "MAX_WINDOWS": _RULE,
        "MAX_SCOPES": _RULE,
        "MAX_NETWORKS": _RULE,
        "MAX_BATCH_COMMANDS": _RULE,
    },
    "vocabulary.money": {"MAX_AMOUNT": _RULE, "MAX_SCALE": _RULE},
    "vocabulary.sizes": {
        "MAX_FRAME_BYTES": Crossed(96 * 1024, "bytes of holds of one wallet that end at one moment"),
        "MAX_ENTRY_BYTES": _FOLLOWS,
        "MAX_SEGMENT_BYTES": _FOLLOWS,
        "MAX_REQUEST_BYTES": _FOLLOWS,
    },
    "upkeep.books_audit": {
        "PAGE_ROWS": Crossed(7, "wallets"),
        "MOST_VIOLATIONS": Elsewhere("violations that are listed, not data: tests/gateway/test_page_sizes.py"),
    },
    "tables.folding": {
        "MAX_MOMENTS": Crossed(5, "entries"),
        "MAX_LINES": Crossed(3, "lines of one statement"),
    },
    "tables.command_ids": {"SURVEY_ROWS": Crossed(11, "entries")},
    "upkeep.compaction": {
        "FILE_BYTES": Crossed(64 * 1024, "bytes of the journal"),
        "LEAST_ENTRIES": Crossed(50, "entries"),
    },
    "tables.reader": {
        "SMALL_STEPS": Crossed(200, "lines of one statement"),
        "_STEPS_AT_ONCE": Crossed(50, "lines of one statement"),
    },
    "journal.history": {"READ_BYTES": Crossed(8 * 1024, "bytes of the journal")},
    "tables.id_filter": {"_LEAST_IDS": Crossed(64, "entries")},
    "wallets.decisions": {"MAX_CLAIMED": _RULE},
    "wallets.roster": {
        "TURNS_BETWEEN_CHECKPOINTS": Crossed(3, "entries"),
        "BOOKS_AT_ONCE": Crossed(8, "wallets"),
    },
    "wallets.loading_places": {
        "MAX_LOADING": Elsewhere("claims on cold wallets, which are shed: tests/wallets/test_roster.py"),
        "MAX_LOADING_OF_ONE": Elsewhere("the same, of one sender: tests/wallets/test_roster.py"),
    },
    "wallets.ledger_clock": {"MOST_AT_ONCE": Elsewhere("time, not data: tests/wallets/test_ledger_clock.py")},
    "tables.log_chain": {"PAGE_BYTES": _FORMAT, "SUM_BYTES": _FORMAT},
    "tables.backlog": {
        "MAX_BACKLOG_BYTES": Crossed(64 * 1024, "bytes of the journal"),
        "MAX_BATCH": Crossed(48, "entries"),
        "MAX_BATCH_BYTES": _FOLLOWS,
        "TURN_BYTES": Crossed(4096, "bytes of the journal"),
    },
    "tables.projector": {
        "HURRIED_TURN": Crossed(8, "entries"),
        "RELAXED_TURN": Crossed(4, "entries"),
        "MAX_PROMPT": Crossed(16, "entries"),
        "MAX_RELAXED": Crossed(4, "entries"),
    },
    "streams.publisher": {
        "MAX_RECENT": Crossed(32, "entries"),
        "MAX_RECENT_BYTES": Crossed(32 * 1024, "bytes of the journal"),
        "BURST": Crossed(5, "entries"),
        "MOST_INDEXED": Elsewhere("wallets of one stream, not data: tests/wallets/test_publisher.py"),
    },
    "tables.writer": {"TURN_ENTRIES": Crossed(8, "entries"), "LOG_PAGES": Crossed(100, "KiB of read tables")},
    "tables.queries.holds": {"MAX_VISITED": Crossed(40, "holds that end at one moment")},
    "tables.queries.wallets": {"SMALL_PAGE": Crossed(5, "wallets")},
    "upkeep.recovery": {
        "READ_BYTES": Crossed(16 * 1024, "bytes of the journal"),
        "MANY_ENTRIES": Crossed(500, "entries"),
    },
    "tables.queries.touching": {"MOST_FOUND": Crossed(20, "lines of one statement")},
    "upkeep.snapshot": {"STEP_PAGES": Crossed(7, "KiB of read tables")},
    "tables.queries.statements": {
        "MAX_VISITED": Crossed(40, "lines of one statement"),
        "MAX_STATED": Crossed(20, "assets"),
    },
    "wallets.load": {
        "ALL_SHARES": Crossed(64, "entries"),
        "MOST_WAITING": Crossed(128, "entries"),
        "PRESSED_BY": Crossed(64, "entries"),
        "SMALLEST_SHARE": Crossed(4, "commands sent at once"),
    },
    "tables.file": {
        "WRITER_CACHE_KIBIBYTES": Elsewhere("the default of a setting"),
        "READER_CACHE_KIBIBYTES": Crossed(64, "KiB of read tables"),
        "REBUILD_CACHE_KIBIBYTES": Elsewhere("the default of a setting"),
        "COPY_CACHE_KIBIBYTES": Crossed(64, "KiB of read tables"),
        "CACHED_STATEMENTS": Crossed(2, "kinds of questions"),
    },
    "wallets.timers": {
        "MOST_AT_ONCE": Crossed(3, "holds that end at one moment"),
        "KEPT": Crossed(20, "holds that end at one moment"),
    },
    "daemon.admin_listener": {"MAX_ADMIN_CONNECTIONS": _CONNECTIONS},
    "tables.queries.search": {"MAX_VISITED": Crossed(40, "wallets")},
}

PACES: dict[str, dict[str, float]] = {
    "upkeep.compaction": {"POLICY_SECONDS": 0.5},
    "wallets.timers": {"LONGEST_SLEEP_SECONDS": 1.0},
}
"""How often something is looked at: no bound of data, but small data should see it."""


def small_settings() -> dict[str, str]:
    """As the environment has them."""
    return {
        f"WALLETD_{name.upper()}": str(bound.small) for name, bound in SETTINGS.items() if isinstance(bound, Crossed)
    }


def small_constants() -> dict[str, dict[str, float]]:
    """By the full name of the module."""
    found: dict[str, dict[str, float]] = {}
    for module, bounds in CONSTANTS.items():
        small = {name: bound.small for name, bound in bounds.items() if isinstance(bound, Crossed)}
        if numbers := {**small, **PACES.get(module, {})}:
            found[f"walletd.{module}"] = dict(numbers)
    return found


def not_crossed(measures: dict[str, int]) -> list[str]:
    """What is made small and yet not smaller than what the life had of it."""
    every = [(name, bound) for name, bound in SETTINGS.items()]
    every += [(f"{module}.{name}", bound) for module, bounds in CONSTANTS.items() for name, bound in bounds.items()]
    return [
        f"{name} is {bound.small}, and there were only {measures.get(bound.measure, 0)} {bound.measure}"
        for name, bound in every
        if isinstance(bound, Crossed) and measures.get(bound.measure, 0) <= bound.small
    ]
