"""An operator's actions on a running daemon: reload its configuration, change a log level, drain it, request a report.

operations = Operations(settings, read, manager, stop, reports)
operations.takers.append(take)                        # take(settings) cannot fail
operations.reload()                                   # all or nothing
"""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from walletd.gateway.pages.status import RecoveryProgress
from walletd.logs.setup import COMPONENTS, levels, set_level, set_levels
from walletd.runtime.fault_reports import FaultReports
from walletd.runtime.loop_watch import LoopWatch
from walletd.runtime.signals import Stop
from walletd.runtime.systemd import ServiceManager
from walletd.settings.settings import RELOADABLE, ConfigurationError, Settings
from walletd.wallets.ledger_clock import LedgerClock

log = logging.getLogger("walletd.configuration")


class Operations:
    """The daemon as its operator sees it.  ``settings`` are the current ones."""

    def __init__(
        self,
        settings: Settings,
        read: Callable[[], Settings],
        manager: ServiceManager,
        stop: Stop,
        reports: FaultReports,
    ) -> None:
        self.settings = settings
        self.read = read
        """Reads the configuration again."""
        self.manager = manager
        self.stop = stop
        self.reports = reports
        self.loop_watch = LoopWatch()
        self.clock = LedgerClock()
        """The ledger's clock; a start sets it after the journal's last entry."""
        self.recovery = RecoveryProgress()
        self.takers: list[Callable[[Settings], None]] = [_take_levels]
        """Functions that receive new settings; none of them may refuse."""
        self.reloads = 0
        self.last_reload_succeeded = True
        self.last_reload_at = time.time()
        self.audit_violations = 0
        self.audited_at = 0.0

    def reload(self) -> None:
        """Read the configuration again and adopt its reloadable part; if anything is wrong, nothing changes."""
        self.manager.reloading()
        self.reloads += 1
        outcome = self._reload()
        if self.last_reload_succeeded:
            self.last_reload_at = time.time()
            log.info("%s", outcome)
        else:
            log.error("%s", outcome)
        self.manager.reloaded(outcome)

    def _reload(self) -> str:
        try:
            wanted = self.read()
            refuse_unknown_components(wanted)
        except ConfigurationError as error:
            self.last_reload_succeeded = False
            return f"the configuration was not reloaded, nothing has changed: {error}"
        self.last_reload_succeeded = True
        changed = difference(self.settings, wanted)
        taken = {name: change for name, change in changed.items() if name in RELOADABLE}
        if taken:
            self.settings = msgspec.structs.replace(self.settings, **{name: new for name, (_, new) in taken.items()})
        for take in self.takers:
            take(self.settings)
        words = [f"{name} {old!r} -> {new!r}" for name, (old, new) in taken.items()]
        said = f"the configuration was reloaded: {', '.join(words) or 'nothing to change'}"
        waiting = sorted(changed.keys() - taken.keys())
        return f"{said}; needs a restart: {', '.join(waiting)}" if waiting else said

    def log_level(self, component: str | None, level: str | None) -> Mapping[str, str]:
        """Change a level until the next reload, if one is named; returns the levels of all components.  Raises
        ValueError.
        """
        if level is not None:
            set_level(component, level)
            log.warning("the log level of %s is now %s", component or "walletd", level)
        return levels()

    def drain(self) -> None:
        """Stop as SIGTERM does."""
        self.stop.wish("daemon.drain")

    def audited(self, violations: int) -> None:
        """Note that the books were audited, with this many violations."""
        self.audit_violations, self.audited_at = violations, time.time()

    def report(self) -> tuple[str, str | None]:
        """A report, and the file that it was written to."""
        path = self.reports.write("requested with daemon.report")
        text = self.reports.text("requested with daemon.report") if path is None else path.read_text(encoding="utf-8")
        return text, None if path is None else str(path)


def difference(old: Settings, new: Settings) -> dict[str, tuple[Any, Any]]:
    """The differences by name, as (old, new)."""
    pairs = {name: (getattr(old, name), getattr(new, name)) for name in Settings.__struct_fields__}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def refuse_unknown_components(settings: Settings) -> None:
    """Raises ConfigurationError for the level of an unknown component."""
    for component in settings.log_levels:
        if component not in COMPONENTS:
            raise ConfigurationError(
                f"log_levels: there is no component {component!r}; the components are {', '.join(COMPONENTS)}"
            )


def _take_levels(settings: Settings) -> None:
    set_levels(settings.log_level, settings.log_levels)
