"""The events that are no methods: what the daemon says unasked, its pages, signals, timers, and what runs without it."""

from typing import NamedTuple

from walletd.runtime.loop_watch import MOST_CPU_SECONDS, MOST_TICKS


class Event(NamedTuple):
    """One event of an API that is no request."""

    name: str
    when: str
    carries: str
    fails: str
    steps: str
    leaves: str
    entities: str


NOTIFICATIONS = (
    Event(
        "hello",
        "first on every connection",
        "`Hello`: protocol, server_version, instance, epoch, lifecycle, connection, auth, limits, features, heartbeat_ms",
        "none",
        "O(1)",
        "the Session, at most 12 KiB with its idle connection, until it ends",
        "Session, Journal, Client",
    ),
    Event(
        "stream.event",
        "an entry became durable that touches what a subscription watches",
        "subscription, epoch, sequence, previous_sequence, entry: the stored bytes, or less where the session may not see all",
        "no room in the outbox (`max_event_bytes`): the subscription catches up from the journal; no progress: closed with 4508",
        "O(wallets of the entry × lengths of prefixes that are watched + receivers) for each entry",
        "bytes in outboxes, at most `max_event_bytes` each; the newest 4,096 entries",
        "Subscription, Entry",
    ),
    Event(
        "stream.heartbeat",
        "a stream was idle for `heartbeat_seconds`",
        "`StreamHeartbeat`: subscription, epoch, head",
        "left out where there is no room",
        "O(subscriptions) every `heartbeat_seconds`",
        "none",
        "Subscription",
    ),
    Event(
        "lifecycle",
        "the daemon moved to another state",
        "`LifecycleNotice`: lifecycle, retry_after_ms where it stops",
        "none",
        "O(sessions)",
        "none",
        "Session",
    ),
    Event(
        "warning",
        "the session goes on although it is refused for its rate",
        "`WarningNotice`: reason, message, retry_after_ms, close_code",
        "unheeded: closed with 4529",
        "O(1)",
        "none",
        "Session",
    ),
)

PAGES = (
    Event(
        "GET /healthz",
        "asked over plain HTTP, on both listeners",
        '200 `{"alive":true}`',
        "none: who answers lives",
        "O(1)",
        "none",
        "none",
    ),
    Event(
        "GET /readyz",
        "asked over plain HTTP, on both listeners; also as `OPTIONS /` and `GET / HTTP/1.0`",
        '200 where `serving` or `compacting`, else 503; `{"ready":…,"lifecycle":…}`, while it recovers with `done` and `whole`, in entries',
        "503",
        "O(1)",
        "none",
        "none",
    ),
    Event(
        "GET /metrics",
        "asked over plain HTTP, on the operators' listener alone",
        "Prometheus' text format 0.0.4",
        "404 on the clients' listener",
        "O(warm wallets + sessions + subscriptions)",
        "the page, some 40 kB, while it is sent",
        "all, as counts",
    ),
)

SIGNALS = (
    Event(
        "SIGTERM, SIGINT",
        "sent to the process",
        "stop in order; a second one: in haste",
        "none",
        "O(sessions)",
        "ends the process",
        "Session",
    ),
    Event(
        "SIGHUP",
        "sent to the process",
        "read the configuration again",
        "one wrong line: nothing changes",
        "O(settings)",
        "none",
        "none",
    ),
    Event(
        "SIGUSR1",
        "sent to the process",
        "write a report",
        "a folder that cannot be written: one log line",
        "as `daemon.report`",
        "one file",
        "Entry",
    ),
    Event(
        "SIGQUIT",
        "sent to the process",
        "write the stacks of all threads to stderr",
        "none",
        "O(threads)",
        "none",
        "none",
    ),
)

TIMERS = (
    Event(
        "hold.expire",
        "a hold's `expires_at` has come; the daemon submits it to itself, at most 100 at once, and before a command that "
        "would take in too many",
        "wallet, hold, how many holds it takes in, and a command id made of the hold and the moment, or of the sequence",
        "`hold_not_open` where another entry was sooner; `unavailable`: tried again after a second",
        "O(h log h) to find those of the wallet's holds that have expired; it takes in at most 500, or 253 KiB, and the "
        "next one goes on",
        "one entry; frees the holds and their timers",
        "Hold, Balance, Outflow, Entry",
    ),
    Event(
        "the end of a token",
        "its `expires_at` has come; looked at once a minute at least",
        "close code 4401",
        "none",
        "O(sessions)",
        "frees the session",
        "Token, Session",
    ),
    Event(
        "retirement of idle wallets",
        "every quarter of `idle_wallet_seconds`, and with each claim beyond `max_warm_wallets`",
        "none",
        "a wallet whose last entry is not in the read tables stays",
        "O(wallets let go): at most as many as the claim names, and 4",
        "frees their Books",
        "Wallet",
    ),
    Event(
        "tick of the connections",
        "once a second",
        "pings, deadlines, what all peers hold together",
        "beyond `max_buffered_mebibytes`: who holds most is cut off",
        "O(connections)",
        "none",
        "Session",
    ),
    Event(
        "projection",
        "250 ms after a commit, or at once where a read waits for it",
        "at most some 4,000 entries in one transaction",
        "a damaged table: exit code 70, built anew at the next start",
        "O(records × log rows)",
        "rows in `state.db`; frees the command ids in memory",
        "Progress, and all that has a table",
    ),
    Event(
        "checkpoint",
        "4 MiB were appended to the journal's log",
        "none",
        "three failures in a row: `degraded`",
        "O(pages in the log)",
        "`journal.db-wal` begins anew; `journal.mark` moves",
        "Segment, Journal",
    ),
    Event(
        "folding of the read tables' log",
        "SQLite's log of `state.db` has 8,000 pages, after a transaction",
        "none",
        "a full disk, a reader in the way: the log grows, and it is tried after the next transaction",
        "O(pages in the log), in a thread",
        "`state.db-wal` begins anew",
        "Progress, and all that has a table",
    ),
    Event(
        "compaction",
        "the policy asks for it (`compact_when_mebibytes`, `compact_when_days`, `compact_at`), looked at once a minute",
        "its step in `daemon.status` and in the metrics",
        "a full disk or rot ends it, not what was acknowledged; the next one goes on from there",
        "as `daemon.compact`",
        "as `daemon.compact`",
        "Segment, Entry, Archive, Snapshot, Progress",
    ),
    Event(
        "loop watch",
        "once a second, from a thread of its own",
        "none",
        f"a loop that stands, or an end that does not come, for {MOST_TICKS} seconds: exit code 70, with all stacks; where no "
        f"thread can count, {MOST_CPU_SECONDS:.0f} seconds of processor time: SIGPROF, with all stacks",
        "O(1)",
        "none",
        "none",
    ),
    Event(
        "watchdog and notifications of systemd",
        "at each move of the lifecycle, each sign of progress, three times in `WATCHDOG_USEC`",
        "READY, STATUS, RELOADING, STOPPING, EXTEND_TIMEOUT_USEC, WATCHDOG, EXIT_STATUS",
        "a socket that is gone: said once, done without",
        "O(1)",
        "none",
        "none",
    ),
)

OFFLINE = (
    Event(
        "walletd backup",
        "against a running daemon, by `journal.read`",
        "archive files in a directory; only what is new",
        "exit code 74: the destination is full, gone, or of another journal",
        "O(new entries): each is checked, written, read back and proved",
        "a block in memory; some hundred bytes an entry, deflated, on the disk",
        "Segment, Entry, Archive, Journal",
    ),
    Event(
        "walletd restore",
        "of a backup, or of a folder that no daemon has open, into a new folder",
        "a data folder in a new epoch and a new history, whole or up to an entry or a time",
        "a folder that has a journal is refused; exit code 65: damaged",
        "O(entries)",
        "a block in memory; `journal.db` on the disk",
        "Segment, Entry, Archive, Journal",
    ),
    Event(
        "walletd clock",
        "beside a daemon or before its start; with --accept, where the machine's clock is right",
        "this machine's clock and the ledger's time; the daemon takes the clock over",
        "a word that is older than an hour, or about a clock that was set since, is said and does not count",
        "O(1)",
        "a small file until a daemon has read it",
        "none",
    ),
    Event(
        "walletd verify",
        "on a folder that no daemon has open, or a copy",
        "the totals, or the first violations",
        "exit code 65: damaged; 75: a daemon has it",
        "O(entries): every entry is decided again",
        "some 500 bytes in memory for each transfer, for it keeps all books; nothing on the disk",
        "all",
    ),
    Event(
        "walletd config check",
        "before a start or a reload",
        "says whether the configuration is right; opens no journal and no port",
        "exit code 78 and one line",
        "O(settings)",
        "none",
        "none",
    ),
)
