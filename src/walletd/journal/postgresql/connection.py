"""One connection to PostgreSQL under trio: libpq's non-blocking interface, without a thread, one statement at a time.

    connection = await connect("postgresql://db.example/walletd")
    rows = await connection.rows("SELECT head FROM walletd.ledger WHERE name = $1", "main")

The promise: a statement returns only if the server has answered it without a complaint.  After ``ConnectionLost`` its
outcome is not known, and after a cancellation neither; the connection is closed then.  A warning counts as a lost
connection: PostgreSQL answers a commit whose wait for its standby was cancelled with a warning only.
"""

from collections.abc import Callable, Sequence
from typing import Any

import psycopg
import trio
from psycopg import pq

from walletd.journal.failures import JournalFailure
from walletd.runtime.threads import in_thread

Value = int | float | str | bytes | bool | None

CONNECT_SECONDS = 10.0

_BINARY = 1
_TEXT = 0
_DONE = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK)

_INTEGERS = frozenset({20, 21, 23, 26})
"""int8, int2, int4 and oid, by their numbers in pg_type."""
_BYTES = 17
_BOOLEAN = 16

DEFAULTS = {
    "application_name": "walletd",
    "connect_timeout": "10",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
    "target_session_attrs": "read-write",
}
"""What the connection string may set otherwise, except the last: nothing is ever decided from a standby."""


class ConnectionLost(Exception):
    """The outcome of the statement is unknown, and the connection is closed."""


class StatementRefused(Exception):
    """The server refused the statement for certain: its transaction was rolled back."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        """The SQLSTATE."""


class DatabaseUnusable(JournalFailure):
    """The connection string is wrong, or the server does not admit walletd."""

    advice = "Check the setting postgresql, and what this role may do in that database."


def without_password(url: str) -> str:
    """The connection string as it may be shown."""
    try:
        found = pq.Conninfo.parse(url.encode())
    except psycopg.Error:
        return "the connection string"
    parts = {option.keyword: option.val for option in found if option.val}
    shown = [f"{key.decode()}={parts[key].decode()}" for key in (b"host", b"port", b"dbname") if key in parts]
    return " ".join(shown) or "PostgreSQL"


def with_defaults(url: str) -> str:
    """The connection string with the settings that walletd needs.  Raises DatabaseUnusable if it is none."""
    try:
        given = {option.keyword.decode(): option.val for option in pq.Conninfo.parse(url.encode()) if option.val}
    except (psycopg.Error, UnicodeError):
        raise DatabaseUnusable("the setting postgresql is not a connection string of PostgreSQL") from None
    values = DEFAULTS | {name: value.decode() for name, value in given.items()}
    values["target_session_attrs"] = DEFAULTS["target_session_attrs"]
    return psycopg.conninfo.make_conninfo("", **values)


class Connection:
    """An open connection.  ``is_open`` is False after a loss."""

    def __init__(self, libpq: pq.abc.PGconn) -> None:
        self._libpq = libpq
        self._names: dict[str, bytes] = {}
        self._turn = trio.Lock()
        self._warning: str | None = None
        self.notified = trio.Event()
        """Set when a notification has arrived; replaced by ``notification``."""
        libpq.nonblocking = 1
        libpq.notice_handler = self._noticed
        libpq.notify_handler = self._notified

    @property
    def is_open(self) -> bool:
        """True until it is closed or lost."""
        return self._libpq.status == pq.ConnStatus.OK

    async def rows(self, statement: str, *values: Value) -> list[tuple[Any, ...]]:
        """The rows that the statement returns."""
        result = await self._run(statement, values)
        columns = [result.ftype(column) for column in range(result.nfields)]
        return [
            tuple(_value(kind, result.get_value(row, column)) for column, kind in enumerate(columns))
            for row in range(result.ntuples)
        ]

    async def change(self, statement: str, *values: Value) -> int:
        """The number of rows that the statement changed."""
        return (await self._run(statement, values)).command_tuples or 0

    async def script(self, statements: str) -> None:
        """Run several statements without values, in one transaction."""
        async with self._turn:
            await self._answered(lambda: self._libpq.send_query(statements.encode()))

    async def notification(self) -> None:
        """Return once a notification has arrived since the last call, or the connection is lost."""
        while not self.notified.is_set() and self.is_open:
            async with self._turn:
                self._consume()
            if not self.notified.is_set() and self.is_open:
                await self._wait_readable()
        self.notified = trio.Event()

    async def _wait_readable(self) -> None:
        try:
            await trio.lowlevel.wait_readable(self._libpq.socket)
        except (trio.ClosedResourceError, OSError, psycopg.Error):
            self.close()

    def _consume(self) -> None:
        try:
            self._libpq.consume_input()
            self._libpq.is_busy()  # It parses what has arrived, and so calls the handlers.
        except psycopg.Error as error:
            self.close()
            raise ConnectionLost(_sentence(error)) from error
        while (notify := self._libpq.notifies()) is not None:
            self._notified(notify)

    async def _run(self, statement: str, values: Sequence[Value]) -> pq.abc.PGresult:
        async with self._turn:
            name = self._names.get(statement)
            if name is None:
                name = b"s%d" % len(self._names)
                prepared = name
                await self._answered(lambda: self._libpq.send_prepare(prepared, statement.encode()))
                self._names[statement] = name
            ready, formats = [_parameter(value) for value in values], [_format(value) for value in values]
            known = name
            return await self._answered(lambda: self._libpq.send_query_prepared(known, ready, formats, _BINARY))

    async def _answered(self, send: Callable[[], None]) -> pq.abc.PGresult:
        """Send a statement and await its whole answer."""
        self._warning = None
        try:
            send()
            result = await self._result()
        except psycopg.Error as error:
            self.close()
            raise ConnectionLost(_sentence(error)) from error
        except (trio.ClosedResourceError, OSError) as error:
            self.close()
            raise ConnectionLost(str(error) or "the connection was closed") from error
        except BaseException:
            self.close()
            raise
        if result.status not in _DONE:
            self._refuse(result)
        if self._warning is not None:
            self.close()
            raise ConnectionLost(self._warning)
        return result

    def _refuse(self, result: pq.abc.PGresult) -> None:
        code, message = _field(result, pq.DiagnosticField.SQLSTATE), _field(result, pq.DiagnosticField.MESSAGE_PRIMARY)
        if self._libpq.status != pq.ConnStatus.OK or self._libpq.transaction_status != pq.TransactionStatus.IDLE:
            self.close()
            raise ConnectionLost(message)
        raise StatementRefused(code, message)

    async def _result(self) -> pq.abc.PGresult:
        libpq = self._libpq
        while libpq.flush():
            await trio.lowlevel.wait_writable(libpq.socket)
            libpq.consume_input()
        found: pq.abc.PGresult | None = None
        while True:
            while libpq.is_busy():
                await trio.lowlevel.wait_readable(libpq.socket)
                libpq.consume_input()
            result = libpq.get_result()
            if result is None:
                assert found is not None
                return found
            if found is None or found.status in _DONE:
                found = result  # The first error is the one that counts.

    def _noticed(self, notice: pq.abc.PGresult) -> None:
        if _field(notice, pq.DiagnosticField.SEVERITY_NONLOCALIZED) not in ("NOTICE", "INFO", "LOG", "DEBUG"):
            self._warning = _field(notice, pq.DiagnosticField.MESSAGE_PRIMARY)

    def _notified(self, notify: object) -> None:
        self.notified.set()

    def close(self) -> None:
        """Close it at once; a statement that is being run stays undecided."""
        if self._libpq.status == pq.ConnStatus.OK:
            trio.lowlevel.notify_closing(self._libpq.socket)
        self._libpq.finish()
        self.notified.set()


async def connect(url: str, seconds: float = CONNECT_SECONDS) -> Connection:
    """A connection to a server that takes writes.  Raises ConnectionLost if there is none now, DatabaseUnusable."""
    wanted = with_defaults(url).encode()
    try:
        with trio.fail_after(seconds):
            libpq = await in_thread(pq.PGconn.connect_start, wanted)  # It looks the host's name up.
            await _connected(libpq)
    except trio.TooSlowError:
        raise ConnectionLost(f"{without_password(url)} has not answered for {seconds:g} s") from None
    connection = Connection(libpq)
    try:
        await connection.script(_SESSION)
    except StatementRefused as refused:
        connection.close()
        raise DatabaseUnusable(f"PostgreSQL: {refused}") from refused
    return connection


_SESSION = """
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_min_messages = warning;
SET default_transaction_isolation = 'read committed';
SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit')
    WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false);
"""
"""A role or a database may have other defaults.  A time limit on an append would leave its outcome unknown."""


async def _connected(libpq: pq.abc.PGconn) -> None:
    """Bring the connection up.  Raises ConnectionLost."""
    try:
        step: int = pq.PollingStatus.WRITING
        while step != pq.PollingStatus.OK:
            if libpq.status == pq.ConnStatus.BAD or step == pq.PollingStatus.FAILED:
                raise ConnectionLost(libpq.get_error_message())
            wait = trio.lowlevel.wait_readable if step == pq.PollingStatus.READING else trio.lowlevel.wait_writable
            await wait(libpq.socket)
            step = libpq.connect_poll()
    except psycopg.Error as error:
        libpq.finish()
        raise ConnectionLost(_sentence(error)) from error
    except OSError as error:
        libpq.finish()
        raise ConnectionLost(str(error)) from error
    except BaseException:
        libpq.finish()
        raise


def _sentence(error: psycopg.Error) -> str:
    return " ".join(str(error).split()) or "the connection was lost"


def _field(result: pq.abc.PGresult, field: pq.DiagnosticField) -> str:
    return (result.error_field(field) or b"").decode(errors="replace")


def _parameter(value: Value) -> bytes | None:
    match value:
        case None:
            return None
        case bytes():
            return value
        case bool():
            return b"t" if value else b"f"
        case _:
            return str(value).encode()


def _format(value: Value) -> int:
    return _BINARY if isinstance(value, bytes) else _TEXT


def _value(kind: int, stored: bytes | None) -> Value:
    if stored is None:
        return None
    if kind in _INTEGERS:
        return int.from_bytes(stored, "big", signed=True)
    if kind == _BYTES:
        return bytes(stored)
    if kind == _BOOLEAN:
        return stored == b"\x01"
    return stored.decode()
