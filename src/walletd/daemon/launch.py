"""The context of a start: the settings, the operator's requests, the states, and the receivers of progress."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from walletd.daemon.operations import Operations
from walletd.runtime.lifecycle import Lifecycle
from walletd.settings.settings import Settings
from walletd.upkeep.recovery import Report


class Made(NamedTuple):
    """What this start had to make."""

    journal: bool = False
    """True if there was none, and a new one was begun."""
    tables: bool = False
    """True if the read tables were made from an older journal."""


class Announcement(NamedTuple):
    """The facts for the person who started the daemon, once it serves."""

    url: str
    settings: Settings
    head: int
    made: Made = Made()
    admin_url: str = ""


Announce = Callable[[Announcement], None]


@dataclass(frozen=True, slots=True)
class Launch:
    """The same for every step of a start."""

    settings: Settings
    """The settings at the start; ``operations`` has those after a reload."""
    operations: Operations
    lifecycle: Lifecycle
    announce: Announce
    report: Report
    """Called with the progress of a recovery."""
