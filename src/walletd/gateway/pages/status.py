"""The status pages of plain HTTP: ``/healthz``, whether the process lives, and ``/readyz``, whether it serves.

pages = StatusPages(lambda: lifecycle.state, recovery)
status, headers, body = pages.page("/readyz")
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from walletd.vocabulary.states import DaemonState

READY = frozenset({DaemonState.SERVING, DaemonState.COMPACTING})

JSON: Mapping[str, str] = {"Content-Type": "application/json"}


@dataclass(slots=True)
class RecoveryProgress:
    """The number of entries that the recovery has folded into the read tables, and the total; both 0 if there is
    nothing to fold.
    """

    done: int = 0
    whole: int = 0

    def told(self, done: int, whole: int) -> None:
        """Note the progress."""
        self.done, self.whole = done, whole


class StatusPages:
    """Pages for load balancers and service managers."""

    def __init__(self, lifecycle: Callable[[], DaemonState], recovery: RecoveryProgress | None = None) -> None:
        self._lifecycle = lifecycle
        self._recovery = recovery or RecoveryProgress()

    def page(self, path: str) -> tuple[int, Mapping[str, str], bytes] | None:
        """The status, the headers and the JSON body of a page; None if there is no such page.

        A process that can answer is alive, even while it recovers or drains: only ``/readyz`` depends on the lifecycle.
        """
        if path == "/healthz":
            return 200, JSON, msgspec.json.encode({"alive": True})
        if path == "/readyz":
            state = self._lifecycle()
            is_ready = state in READY
            body: dict[str, Any] = {"ready": is_ready, "lifecycle": state}
            if state is DaemonState.RECOVERING:
                body |= {"done": self._recovery.done, "whole": self._recovery.whole}
            return 200 if is_ready else 503, JSON, msgspec.json.encode(body)
        return None
