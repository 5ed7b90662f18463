"""The only handler of the process, and the levels of its components, which can change at run time.

set_up(outlet, "auto", "info", {"journal": "debug"})
set_levels("info", {})
"""

import logging
from collections.abc import Mapping

from walletd.logs.context import AddContext
from walletd.logs.formats import formatter_of
from walletd.logs.outlet import Outlet, OutletHandler
from walletd.logs.repeats import AUDIT, LimitRepeats

COMPONENTS = ("audit", "configuration", "daemon", "gateway", "journal", "lifecycle", "report", "wallets")
"""The components with a level of their own: a logger ``walletd.NAME`` and all below it."""

REPEATS_BURST = 20
REPEATS_WINDOW_SECONDS = 10.0

limit = LimitRepeats(REPEATS_BURST, REPEATS_WINDOW_SECONDS)

_outlets: list[Outlet] = []


def set_up(outlet: Outlet, form: str, level: str, levels: Mapping[str, str] = {}) -> None:
    """Log to the outlet, in this format."""
    _outlets[:] = [outlet]
    handler = OutletHandler(outlet)
    handler.setFormatter(formatter_of(form))
    handler.addFilter(AddContext())
    handler.addFilter(limit)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    set_levels(level, levels)


def set_levels(level: str, levels: Mapping[str, str] = {}) -> None:
    """Log at ``level``, and each named component at its own level; the audit log at ``info``, unless it is named.

    Raises ValueError for an unknown component.
    """
    for component in levels:
        if component not in COMPONENTS:
            raise ValueError(f"there is no component {component!r}; there are {', '.join(COMPONENTS)}")
    logging.getLogger().setLevel(max(logging.INFO, _number(level)))  # details of libraries do not belong here
    logging.getLogger("walletd").setLevel(_number(level))
    for component in COMPONENTS:
        own = levels.get(component, "info" if f"walletd.{component}" == AUDIT else None)
        logging.getLogger(f"walletd.{component}").setLevel(logging.NOTSET if own is None else _number(own))


def set_level(component: str | None, level: str) -> None:
    """Change one component's level or, for None, that of all components without one of their own."""
    if component is None:
        logging.getLogger().setLevel(max(logging.INFO, _number(level)))
    elif component not in COMPONENTS:
        raise ValueError(f"there is no component {component!r}; there are {', '.join(COMPONENTS)}")
    logging.getLogger("walletd" if component is None else f"walletd.{component}").setLevel(_number(level))


def levels() -> dict[str, str]:
    """The present level of each component."""
    loggers = ((name, logging.getLogger(f"walletd.{name}")) for name in COMPONENTS)
    return {name: logging.getLevelName(logger.getEffectiveLevel()).lower() for name, logger in loggers}


def lost() -> int:
    """The number of log lines lost since the start."""
    return sum(outlet.lost for outlet in _outlets)


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]
