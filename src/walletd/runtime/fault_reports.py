"""Fault reports: the daemon's internal state when something went wrong, or on request.

    reports = FaultReports(data / "reports", sections)
    path = reports.write("requested with SIGUSR1")           # readable by its owner only, and named in the log
    logging.getLogger("walletd").addHandler(ReportFaults(reports))

A report has the tree of tasks, the heads of the last entries, the lengths of queues, the configuration, versions and
memory; no token, no amount and no wallet's state.  Writing one blocks the loop for some milliseconds.
"""

import logging
import os
import platform
import resource
import sqlite3
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import trio

from walletd.logs.redaction import redacted

KEPT = 20
"""The number of reports kept in the folder; older ones are removed."""

FAULT_PAUSE_SECONDS = 60.0
"""The pause after an automatic report; a repeated fault has the same report."""

PACKAGES = (
    "walletd",
    "trio",
    "aiosqlite",
    "apsw",
    "msgspec",
    "websockets",
    "prometheus-client",
)
MAX_REPORT_CHARACTERS = 200_000
SHOWN_TASKS = 300
INDENT = "  "
TRAPS = "trio._core._traps"
"""The module in which every task finally waits; reports leave it out."""

Sections = Callable[[], Mapping[str, str]]

log = logging.getLogger("walletd.report")


class FaultReports:
    """Writes reports into a folder.  ``sections`` describe the parts of the daemon."""

    def __init__(self, folder: Path, sections: Sections = dict, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self._sections = sections
        self._clock = clock
        self.written = 0

    def show(self, sections: Sections) -> None:
        """Include these parts' descriptions from now on."""
        self._sections = sections

    def text(self, why: str, failure: BaseException | None = None) -> str:
        """A whole report, at most ``MAX_REPORT_CHARACTERS`` long."""
        parts = {"why": why}
        if failure is not None:
            parts["failure"] = "".join(traceback.format_exception(failure))
        parts |= self._said("parts", self._sections)
        for title, say in (("process", _process), ("versions", _versions), ("threads", _threads), ("tasks", _tasks)):
            parts |= self._said(title, partial(_titled, title, say))
        text = "\n".join(f"== {title}\n{body.rstrip()}\n" for title, body in parts.items())
        return redacted(text)[:MAX_REPORT_CHARACTERS]

    def write(self, why: str, failure: BaseException | None = None) -> Path | None:
        """Write a report and name it in the log; None if it could not be written."""
        now = self._clock()
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now))
        path = self.folder / f"report-{stamp}-{os.getpid()}-{self.written + 1}.txt"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(self.text(why, failure))
            self._remove_old()
        except OSError as error:
            log.warning("cannot write a report to %s: %s", self.folder, error)
            return None
        self.written += 1
        log.warning("report written to %s (%s)", path, why)
        return path

    def _said(self, title: str, say: Sections) -> Mapping[str, str]:
        """A part's description, or the error that prevented it: a report must come even if its subject is broken."""
        try:
            return say()
        except Exception as error:
            return {title: f"could not be read: {error!r}"}

    def _remove_old(self) -> None:
        for path in sorted(self.folder.glob("report-*.txt"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
            path.unlink(missing_ok=True)


class ReportFaults(logging.Handler):
    """Writes a report for a fault that is logged with its traceback, while the tasks are still unchanged."""

    def __init__(self, reports: FaultReports, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.ERROR)
        self._reports = reports
        self._report_clock = clock
        self._next_at = float("-inf")

    def emit(self, record: logging.LogRecord) -> None:
        """Write a report, unless one was written a moment ago."""
        failure = record.exc_info[1] if record.exc_info else None
        now = self._report_clock()
        if failure is None or now < self._next_at or _is_of_memory(failure):
            return
        self._next_at = now + FAULT_PAUSE_SECONDS
        self._reports.write(record.getMessage(), failure)


def _is_of_memory(failure: BaseException | None) -> bool:
    """True if memory is exhausted: a report would need more of it."""
    while failure is not None and not isinstance(failure, MemoryError):
        failure = failure.__cause__ or failure.__context__
    return failure is not None


def lines_of(facts: Mapping[str, object]) -> str:
    """Names and values, one pair per line."""
    width = max(map(len, facts), default=0)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in facts.items())


def _titled(title: str, say: Callable[[], str]) -> Mapping[str, str]:
    return {title: say()}


def _process() -> str:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return lines_of(
        {
            "pid": os.getpid(),
            "peak memory": f"{usage.ru_maxrss:,} KiB",
            "resident memory": f"{_resident_kibibytes():,} KiB",
            "processor seconds": f"{usage.ru_utime:.1f} user, {usage.ru_stime:.1f} system",
            "open files": f"{len(os.listdir('/proc/self/fd'))} of {soft}",
            "arguments": " ".join(sys.argv[1:]),
        }
    )


def _resident_kibibytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() // 1024


def _versions() -> str:
    facts = {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    for package in PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "not installed"
    return lines_of(facts)


def _threads() -> str:
    return "".join(_thread_stacks())


def _thread_stacks() -> Iterator[str]:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():
        yield f"{names.get(ident, ident)}:\n{''.join(traceback.format_stack(frame))}"


def _tasks() -> str:
    """Every task below the root as a tree, with the frames in which it waits; the first ``SHOWN_TASKS`` of them."""
    try:
        root = trio.lowlevel.current_root_task()
    except RuntimeError:
        return "the event loop does not run in this thread"
    lines: list[str] = []
    waiting = [(root, 0)] if root is not None else []
    shown = 0
    while waiting and shown < SHOWN_TASKS:
        task, depth = waiting.pop()
        lines += [f"{INDENT * depth}{line}" for line in _task(task)]
        shown += 1
        below = [child for nursery in task.child_nurseries for child in nursery.child_tasks]
        waiting += [(child, depth + 1) for child in sorted(below, key=lambda child: child.name, reverse=True)]
    return "\n".join([*lines, "and more" if waiting else f"{shown} tasks"])


def _task(task: trio.lowlevel.Task) -> list[str]:
    """A task's name, which must not be a wallet's, and the frames in which it waits, outermost first."""
    places = [
        f"{frame.f_code.co_filename.rpartition('site-packages/')[2]}:{line} {frame.f_code.co_qualname}"
        for frame, line in task.iter_await_frames()
        if frame.f_globals["__name__"] != TRAPS
    ]
    name = "a wallet's actor" if task.name.startswith("wallet ") else task.name
    if getattr(task.coro, "cr_running", False):  # A compiled coroutine does not tell.
        name += " (running now: its remaining frames are shown with the main thread)"
    return [name, *(f"{INDENT}{place}" for place in places)]


def first_failure(failure: BaseException) -> BaseException:
    """The first failure inside nested groups."""
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure
