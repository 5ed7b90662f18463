"""The daemon's lifecycle: one table of permitted transitions, one function that performs them.

lifecycle = Lifecycle(clock)
lifecycle.watch(tell_sessions)
lifecycle.move(DaemonState.RECOVERING)
"""

import logging
from collections.abc import Callable
from datetime import datetime

from walletd.vocabulary.states import PERMITTED_MOVES, DaemonState

log = logging.getLogger("walletd.lifecycle")

Watcher = Callable[[DaemonState], None]


class Lifecycle:
    """The daemon's state, its beginning, and its watchers."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._watchers: list[Watcher] = []
        self.state = DaemonState.STARTING
        self.since = clock()
        self.started_at = self.since
        self.moves: dict[tuple[DaemonState, DaemonState], int] = {}
        """The number of times that each transition was made."""

    def watch(self, watcher: Watcher) -> None:
        """Call the watcher at every later transition."""
        self._watchers.append(watcher)

    def unwatched(self) -> "Lifecycle":
        """The same, for another start in this process: without those that watched what is over now."""
        again = Lifecycle(self._clock)
        again.state, again.since, again.started_at, again.moves = self.state, self.since, self.started_at, self.moves
        return again

    def move(self, state: DaemonState) -> None:
        """Change the state.  A transition that the table does not permit is a bug."""
        assert state in PERMITTED_MOVES[self.state], f"{self.state.value} cannot become {state.value}"
        move = self.state, state
        self.moves[move] = self.moves.get(move, 0) + 1
        log.info("%s -> %s", self.state.value, state.value)
        self.state = state
        self.since = self._clock()
        for watcher in self._watchers:
            watcher(state)
