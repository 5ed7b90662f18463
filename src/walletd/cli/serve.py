"""``walletd serve``: settings, logging, and a terminal around the daemon.

    exit_code = serve_with(["--port", "8000"])

Standard library only, so that the daemon carries nothing that it does not need.
"""

import argparse
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from walletd.logs.formats import is_journal
from walletd.logs.outlet import outlets
from walletd.logs.setup import set_up
from walletd.runtime.ending import EXIT_CONFIGURATION, EXIT_USAGE
from walletd.settings.layers import load_settings
from walletd.settings.settings import ConfigurationError, Settings

SECONDS_BETWEEN_REPORTS = 5.0
SECONDS_BETWEEN_REDRAWS = 0.1

log = logging.getLogger("walletd.daemon")


def serve_with(arguments: list[str]) -> int:
    """Run the daemon with these arguments.  Returns the exit code; wrong usage ends the process with 64."""
    given = vars(_parser().parse_args(arguments))
    return serve(given.pop("config"), given)


def serve(config: Path | None, flags: dict[str, Any]) -> int:
    """Run the daemon; ``flags`` are settings by name, None if they were not given."""
    folder = _working_directory()
    named = config or (Path(variable) if (variable := os.environ.get("WALLETD_CONFIG")) else None)
    again = None if named is None else folder / named
    try:
        settings = load_settings(config, flags)
    except ConfigurationError as error:
        sys.stderr.write(f"walletd: {error}\n")
        return EXIT_CONFIGURATION
    with outlets() as (_, stderr):
        set_up(stderr, settings.log_format, settings.log_level)
        return _serve(settings, folder, lambda: load_settings(again, flags))


def _working_directory() -> Path:
    """The base of relative paths; if the directory is already gone, they stay relative."""
    try:
        return Path.cwd()
    except OSError:
        return Path()


def _serve(settings: Settings, folder: Path, read: Callable[[], Settings]) -> int:
    """Run the daemon with absolute paths, whatever happens to ``folder``; messages show the paths as given."""
    from walletd.cli.announcement import announcement
    from walletd.daemon import serving as daemon
    from walletd.daemon.launch import Announcement

    def announce(serving: Announcement) -> None:
        if not is_journal(sys.stdout):
            try:
                print(announcement(serving._replace(settings=settings)), flush=True)
                return
            except OSError as error:  # The directory that the daemon was started in may be gone.
                log.warning("cannot print what to try next: %s", error)
        log.info("serving at %s, metrics at %s/metrics", serving.url, serving.admin_url)

    progress = RebuildProgress()
    try:
        return daemon.serve(settings.rooted(folder), announce, progress.report, lambda: read().rooted(folder))
    finally:
        progress.end()


class RebuildProgress:
    """The progress of rebuilding the read tables: a redrawn line on a terminal, an occasional log line elsewhere."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._begun = self._due = time.monotonic()
        self._is_drawn = False

    def report(self, done: int, whole: int) -> None:
        """Show that ``done`` of ``whole`` entries are folded."""
        now = time.monotonic()
        if now < self._due and done < whole:
            return
        line = f"reading the journal into the read tables: {done:,} of {whole:,} entries ({done * 100 // whole} %)"
        line += self._left(now - self._begun, done, whole)
        if self._is_terminal:
            self._due = now + SECONDS_BETWEEN_REDRAWS
            self._is_drawn = True
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()
            if done == whole:
                self.end()
        else:
            self._due = now + SECONDS_BETWEEN_REPORTS
            log.info("%s", line)

    def _left(self, seconds: float, done: int, whole: int) -> str:
        """The time that the rest takes at this pace, once there is a pace."""
        if seconds < 1 or not done or done >= whole:
            return ""
        left = round(seconds * (whole - done) / done)
        return f", {left // 60}:{left % 60:02} left"

    def end(self) -> None:
        """End the drawn line."""
        if self._is_drawn:
            self._is_drawn = False
            sys.stderr.write("\n")
            sys.stderr.flush()


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"walletd serve: {message}; see: walletd serve --help\n")
        sys.exit(EXIT_USAGE)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="walletd serve", add_help=False, allow_abbrev=False)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--log-level")
    parser.add_argument("--postgresql")
    parser.add_argument("--ledger")
    return parser
