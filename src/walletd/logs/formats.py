"""The format of a line: for a person, for a machine, and for systemd's journal.

    formatter_of("json").format(record)

Every format shows one complete event, with the ids of its context; none lets a secret through.
"""

import json
import logging
import os
import sys
import time
from typing import Any, TextIO

from walletd.logs.context import context_of
from walletd.logs.plain import plain, plain_json, plain_lines
from walletd.logs.redaction import redacted

ROOT = "walletd."


class ConsoleFormatter(logging.Formatter):
    """For people: the time as in RFC 3339, in the machine's own zone, the level, the component, and the message."""

    def format(self, record: logging.LogRecord) -> str:
        """``2026-01-31T12:00:00.123+01:00 INFO    walletd.daemon: stopping on SIGTERM``"""
        head = f"{local_time(record.created)} {record.levelname:<7} {record.name}: "
        return redacted(head + _body(self, record))


class JournaldFormatter(logging.Formatter):
    """For systemd's journal, which knows the time: each line with the priority of syslog(3) in front."""

    def format(self, record: logging.LogRecord) -> str:
        """``<3>journal: the disk is full``"""
        mark = f"<{priority(record.levelno)}>"
        lines = redacted(f"{_component(record)}: {_body(self, record)}").split("\n")
        return "\n".join(mark + line for line in lines)


class JsonFormatter(logging.Formatter):
    """For machines: one JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """``{"time":"2026-01-31T11:00:00.123Z","level":"info","component":"daemon","event":"stopping on SIGTERM"}``"""
        document: dict[str, Any] = {
            "time": utc_time(record.created),
            "level": record.levelname.lower(),
            "component": _component(record),
            "event": record.getMessage(),
            **context_of(record),
        }
        document |= getattr(record, "audited", {})
        if repeats := getattr(record, "repeats", 0):
            document["repeats"] = repeats
        if record.exc_info:
            document["traceback"] = self.formatException(record.exc_info)
        cleaned = {key: redacted(value) if isinstance(value, str) else value for key, value in document.items()}
        return plain_json(json.dumps(cleaned, ensure_ascii=False, separators=(",", ":")))


FORMATS = {"console": ConsoleFormatter, "json": JsonFormatter, "journald": JournaldFormatter}


def formatter_of(name: str) -> logging.Formatter:
    """The formatter of this name; ``auto`` is ``journald`` if stderr is the journal, else ``console``."""
    if name == "auto":
        name = "journald" if is_journal(sys.stderr) else "console"
    return FORMATS[name]()


def is_journal(stream: TextIO) -> bool:
    """True if the stream is the one that systemd connected to its journal (JOURNAL_STREAM of systemd.exec(5))."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    if not inode:
        return False
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return f"{found.st_dev}:{found.st_ino}" == f"{device}:{inode}"


def priority(level: int) -> int:
    """The priority of syslog(3): critical 2, error 3, warning 4, info 6, debug 7."""
    bounds = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
    return next((number for bound, number in bounds if level >= bound), 7)


def local_time(moment: float) -> str:
    """RFC 3339 to the millisecond, with the zone's offset."""
    local = time.localtime(moment)
    zone = time.strftime("%z", local)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', local)}.{int(moment % 1 * 1000):03d}{zone[:3]}:{zone[3:]}"


def utc_time(moment: float) -> str:
    """RFC 3339 to the millisecond, in UTC."""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(moment))}.{int(moment % 1 * 1000):03d}Z"


def _component(record: logging.LogRecord) -> str:
    return record.name.removeprefix(ROOT)


def _body(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    """The message on one line, which client text in it cannot forge; then the ids, then the traceback."""
    words = [plain(record.getMessage())]
    words += [f"{name}={plain(value)}" for name, value in context_of(record).items()]
    if repeats := getattr(record, "repeats", 0):
        words.append(f"({repeats} more like this suppressed)")
    text = " ".join(words)
    return f"{text}\n{plain_lines(formatter.formatException(record.exc_info))}" if record.exc_info else text
