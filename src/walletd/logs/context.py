"""The context of a log line, beside its message: the connection and the command, by their ids.

about_connection("4f2a91c07be3")                         # every later line of this task, and of those it starts
log.error("...", extra=about_command("order-4711"))      # this line
"""

import logging
from contextvars import ContextVar

FIELDS = ("connection", "command_id")

_connection: ContextVar[str | None] = ContextVar("connection", default=None)


def about_connection(connection: str) -> None:
    """Name the connection in every later line of the running task, and of the tasks that it starts."""
    _connection.set(connection)


def about_command(command_id: str) -> dict[str, str]:
    """The ``extra`` of a line about a command."""
    return {"command_id": command_id}


class AddContext(logging.Filter):
    """Adds the ids that are known where a record is made."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let everything pass."""
        if not hasattr(record, "connection"):
            record.connection = _connection.get()
        return True


def context_of(record: logging.LogRecord) -> dict[str, str]:
    """The ids of a record."""
    return {name: value for name in FIELDS if (value := getattr(record, name, None)) is not None}
