"""The events that are not requests: notifications, HTTP pages, signals, timers, and the commands without the daemon."""

from typing import NamedTuple

from walletd.runtime.loop_watch import MOST_CPU_SECONDS, MOST_TICKS


class Event(NamedTuple):
    """One event that is not a request."""

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
        "an entry that a subscription watches became durable",
        "subscription, epoch, sequence, previous_sequence, entry: the stored bytes, or the part that the session may see",
        "no room in the outbox (`max_event_bytes`): the subscription catches up from the journal; no progress: closed with 4508",
        "per entry O(its wallets × lengths of watched prefixes + receivers)",
        "bytes in outboxes, at most `max_event_bytes` each; the newest 4,096 entries",
        "Subscription, Entry",
    ),
    Event(
        "stream.heartbeat",
        "a stream was idle for `heartbeat_seconds`",
        "`StreamHeartbeat`: subscription, epoch, head",
        "left out if there is no room",
        "O(subscriptions) every `heartbeat_seconds`",
        "none",
        "Subscription",
    ),
    Event(
        "lifecycle",
        "the daemon moved to another state",
        "`LifecycleNotice`: lifecycle, retry_after_ms if it stops",
        "none",
        "O(sessions)",
        "none",
        "Session",
    ),
    Event(
        "warning",
        "the session keeps sending although it is refused for its rate",
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
        "requested over plain HTTP, on both listeners",
        '200 `{"alive":true}`',
        "none: an answer means that the process lives",
        "O(1)",
        "none",
        "none",
    ),
    Event(
        "GET /readyz",
        "requested over plain HTTP, on both listeners; also as `OPTIONS /` and `GET / HTTP/1.0`",
        '200 if `serving` or `compacting`, otherwise 503; `{"ready":…,"lifecycle":…}`, during a recovery with `done` and `whole`, in entries',
        "503",
        "O(1)",
        "none",
        "none",
    ),
    Event(
        "GET /metrics",
        "requested over plain HTTP, on the operators' listener only",
        "Prometheus' text format 0.0.4",
        "404 on the clients' listener",
        "O(warm wallets + sessions + subscriptions)",
        "the page, some 40 kB, while it is sent",
        "all, as counters",
    ),
)

SIGNALS = (
    Event(
        "SIGTERM, SIGINT",
        "sent to the process",
        "stop in order; a second signal shortens this",
        "none",
        "O(sessions)",
        "ends the process",
        "Session",
    ),
    Event(
        "SIGHUP",
        "sent to the process",
        "reload the configuration",
        "a wrong line: nothing changes",
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
        "a hold's `expires_at` has come; the daemon submits at most 100 of these at once, and one before a command that "
        "would record too many expiries",
        "wallet, hold, the number of holds it records, and a command id derived from the hold and the time, or from the sequence",
        "`hold_not_open` if another entry was faster; `unavailable`: retried after a second",
        "O(h log h) to find the wallet's expired holds; it records at most 500, or 253 KiB, and the next one continues",
        "one entry; frees the holds and their timers",
        "Hold, Balance, Outflow, Entry",
    ),
    Event(
        "the end of a token",
        "its `expires_at` has come; checked at least once a minute",
        "close code 4401",
        "none",
        "O(sessions)",
        "frees the session",
        "Token, Session",
    ),
    Event(
        "retirement of idle wallets",
        "every `idle_wallet_seconds` / 4, and with each claim beyond `max_warm_wallets`",
        "none",
        "a wallet whose last entry is not in the read tables stays",
        "O(wallets released): at most as many as the claim names, plus 4",
        "frees their Books",
        "Wallet",
    ),
    Event(
        "tick of the connections",
        "once a second",
        "pings, deadlines, the bytes held for all peers",
        "beyond `max_buffered_mebibytes`: the peer with the most is disconnected",
        "O(connections)",
        "none",
        "Session",
    ),
    Event(
        "projection",
        "250 ms after a commit, or at once if a read waits for it",
        "at most some 4,000 entries in one transaction",
        "a damaged table: exit code 70, rebuilt at the next start",
        "O(records × log rows)",
        "rows in `state.db`; frees the command ids in memory",
        "Progress, and all entities with a table",
    ),
    Event(
        "checkpoint",
        "4 MiB were appended to the journal's log",
        "none",
        "three failures in a row: `degraded`",
        "O(pages in the log)",
        "`journal.db-wal` restarts; `journal.mark` moves",
        "Segment, Journal",
    ),
    Event(
        "folding of the read tables' log",
        "SQLite's log of `state.db` has 8,000 pages, after a transaction",
        "none",
        "a full disk, a blocking reader: the log grows, and the next transaction retries",
        "O(pages in the log), in a thread",
        "`state.db-wal` restarts",
        "Progress, and all entities with a table",
    ),
    Event(
        "compaction",
        "the policy asks for it (`compact_when_mebibytes`, `compact_when_days`, `compact_at`), evaluated once a minute",
        "its step in `daemon.status` and in the metrics",
        "a full disk or rot ends it, without loss of acknowledged entries; the next one continues from there",
        "as `daemon.compact`",
        "as `daemon.compact`",
        "Segment, Entry, Archive, Snapshot, Progress",
    ),
    Event(
        "loop watch",
        "once a second, from its own thread",
        "none",
        f"a loop that is stuck, or an end that takes longer, for {MOST_TICKS} seconds: exit code 70, with all stacks; if no "
        f"thread can run, {MOST_CPU_SECONDS:.0f} seconds of processor time: SIGPROF, with all stacks",
        "O(1)",
        "none",
        "none",
    ),
    Event(
        "watchdog and notifications of systemd",
        "at each move of the lifecycle, at each sign of progress, three times per `WATCHDOG_USEC`",
        "READY, STATUS, RELOADING, STOPPING, EXTEND_TIMEOUT_USEC, WATCHDOG, EXIT_STATUS",
        "a missing socket: logged once, ignored",
        "O(1)",
        "none",
        "none",
    ),
)

OFFLINE = (
    Event(
        "walletd backup",
        "against a running daemon, through `journal.read`",
        "archive files in a directory; only new entries",
        "exit code 74: the destination is full, missing, or of another journal; 78: another user owns it or can write it",
        "O(new entries): each is checked, written, read back and verified",
        "a block in memory; some hundred bytes per entry, deflated, on the disk",
        "Segment, Entry, Archive, Journal",
    ),
    Event(
        "walletd restore",
        "of a backup, or of a folder that no daemon has open, into a new folder",
        "a data folder in a new epoch and a new history, whole or up to an entry or a time",
        "a folder that has a journal is refused; exit code 65: damaged, or of another root than `--root`; 1: the admins were "
        "not confirmed",
        "O(entries)",
        "a block in memory; `journal.db` on the disk",
        "Segment, Entry, Archive, Journal",
    ),
    Event(
        "walletd clock",
        "beside a daemon or before its start; with --accept, if the machine's clock is right",
        "this machine's clock and the ledger's time; the daemon accepts the clock",
        "an acceptance older than an hour, or of a clock that was set since, is reported and does not count",
        "O(1)",
        "a small file until a daemon has read it",
        "none",
    ),
    Event(
        "walletd verify",
        "on a folder that no daemon has open, or a copy",
        "the totals, or the first violations",
        "exit code 65: damaged, or of another root than `--root`; 75: a daemon has it open",
        "O(entries): every entry is decided again",
        "some 500 bytes in memory per transfer, because it keeps all books; nothing on the disk",
        "all",
    ),
    Event(
        "walletd config check",
        "before a start or a reload",
        "whether the configuration is right; opens no journal and no port",
        "exit code 78 and one line",
        "O(settings)",
        "none",
        "none",
    ),
)
