"""The status pages of plain HTTP: ``/healthz``, whether the process lives, and ``/readyz``, whether it serves.

pages = StatusPages(lambda: lifecycle.state)
status, headers, body = pages.page("/readyz")
"""

from collections.abc import Callable, Mapping

import msgspec

from walletd.vocabulary.lifecycle import DaemonState

READY = frozenset({DaemonState.SERVING, DaemonState.COMPACTING})

JSON: Mapping[str, str] = {"Content-Type": "application/json"}


class StatusPages:
    """Pages for load balancers and service managers."""

    def __init__(self, lifecycle: Callable[[], DaemonState]) -> None:
        self._lifecycle = lifecycle

    def page(self, path: str) -> tuple[int, Mapping[str, str], bytes] | None:
        """The status, the headers and the JSON body of a page; None where there is no such page.

        A process that can answer is alive, also while it drains: only ``/readyz`` depends on the lifecycle.
        """
        if path == "/healthz":
            return 200, JSON, msgspec.json.encode({"alive": True})
        if path == "/readyz":
            state = self._lifecycle()
            is_ready = state in READY
            return 200 if is_ready else 503, JSON, msgspec.json.encode({"ready": is_ready, "lifecycle": state})
        return None
