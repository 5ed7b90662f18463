"""The status pages of plain HTTP: ``/healthz``, whether the process lives, and ``/readyz``, whether it serves."""

from collections.abc import Callable

import msgspec

from walletd.vocabulary.lifecycle import DaemonState

READY = frozenset({DaemonState.SERVING, DaemonState.COMPACTING})


class StatusPages:
    """Pages for load balancers and service managers."""

    def __init__(self, lifecycle: Callable[[], DaemonState]) -> None:
        self._lifecycle = lifecycle

    def page(self, path: str) -> tuple[int, bytes] | None:
        """The status and the JSON body of the page; None where there is no such page."""
        state = self._lifecycle()
        if path == "/healthz":
            return 200, msgspec.json.encode({"alive": True})
        if path == "/readyz":
            return 200 if state in READY else 503, msgspec.json.encode({"ready": state in READY, "lifecycle": state})
        return None
