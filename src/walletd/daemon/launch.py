"""What a start is about: the settings, the operator's wishes, the states, and who is told how far it is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from walletd.daemon.operations import Operations
from walletd.runtime.lifecycle import Lifecycle
from walletd.settings.settings import Settings
from walletd.upkeep.recovery import Report


class Announcement(NamedTuple):
    """What a person who started the daemon wants to know once it serves."""

    url: str
    settings: Settings
    head: int
    rebuilt: bool
    admin_url: str = ""


Announce = Callable[[Announcement], None]


@dataclass(frozen=True, slots=True)
class Launch:
    """The same for every step of a start."""

    settings: Settings
    """Those that the daemon was started with; ``operations`` has those that a reload left in force."""
    operations: Operations
    lifecycle: Lifecycle
    announce: Announce
    report: Report
    """Told how far a recovery is."""
