"""The decision to reconnect after a lost connection, when and to which address, or to stop.

    match backoff.after(Lost(1012, "restart")):
        case float() as delay: ...              # seconds until the next attempt
        case ClientError() as error: ...        # stop: every call gets this error

Full-jitter exponential backoff, as in Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015): few
clients of a restarting daemon reconnect at the same moment.  Randomness is passed in.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from walletd.client.errors import AuthenticationFailed, ClientError, ClosedForGood, NotAnAddress, NotReachable
from walletd.client.nodes import Nodes

FIRST_DELAY_SECONDS = 0.1
MAX_DELAY_SECONDS = 10.0
MAX_DELAY_BETWEEN_NODES_SECONDS = 1.0
"""One of several nodes takes over within seconds, and a client that waits for it should notice soon."""
RESTART_DELAY_SECONDS = 0.5
"""After close code 1012 the daemon is expected back at once; the spread only keeps clients from reconnecting
together.
"""

CLOSE_SECONDS = 1.0

MOST_PATIENCE_SECONDS = 5.0
LEAST_PATIENCE_SECONDS = 1.0
"""The time that a daemon may be busy; a connection on which a ping is not answered within the same time again is given
up.
"""

SILENCE_SECONDS = 20.0
"""The silence after which the daemon is pinged; after the same time again the connection counts as dead.

While a request is unanswered, the caller's patience takes its place, so that a dead connection is found within the
deadline of the call.
"""

ABNORMAL_CLOSURE = 1006
RESTART = 1012
AUTHENTICATION_CODES = (4401, 4408)


class Lost(NamedTuple):
    """The end of a connection, or of an attempt at one: a websocket close code and its reason."""

    code: int = ABNORMAL_CLOSURE
    reason: str = ""


class Backoff:
    """The number of failed attempts since the last hello, and the delay before the next one.

    With several nodes each attempt is at another, and the delays grow with the rounds.
    """

    def __init__(self, random: Callable[[], float], nodes: Nodes | None = None) -> None:
        self._random = random
        self.nodes = Nodes([""]) if nodes is None else nodes
        self.failures = 0

    def spread(self, seconds: float) -> float:
        """A time up to a fifth shorter or longer, so that clients that start together do not continue in lockstep."""
        return seconds * (0.8 + 0.4 * self._random())

    def greeted(self) -> None:
        """Note that a hello was received: only this proves that the daemon serves."""
        self.failures = 0
        self.nodes.greeted()

    def after(self, lost: Lost) -> float | ClientError:
        """Seconds until the next attempt, which is at ``nodes.url``; or the error with which to stop."""
        final = final_error(lost)
        if final is not None and self.nodes.refused():
            return final
        self.nodes.go_on()
        if lost.code == RESTART and self.failures == 0 and not self.nodes.are_several:
            self.failures = 1
            return self._random() * RESTART_DELAY_SECONDS
        longest = MAX_DELAY_BETWEEN_NODES_SECONDS if self.nodes.are_several else MAX_DELAY_SECONDS
        rounds = min(self.failures // len(self.nodes), 32)
        self.failures += 1
        return self._random() * min(longest, FIRST_DELAY_SECONDS * 2.0**rounds)

    def after_error(self, error: ClientError) -> float | ClientError:
        """The same after an attempt that failed with this error."""
        if isinstance(error, NotAnAddress):
            return error
        if isinstance(error, AuthenticationFailed | ClosedForGood) and self.nodes.refused():
            return error
        return self.after(Lost())


def final_error(lost: Lost) -> ClientError | None:
    """The error of a connection that was closed for good; None if reconnecting is worthwhile."""
    if not 4400 <= lost.code < 4500:
        return None
    if lost.code in AUTHENTICATION_CODES:
        return AuthenticationFailed(lost.reason or "the daemon does not accept the token")
    return ClosedForGood(lost.code, lost.reason)


def patience_within(deadline_seconds: float, nodes: int = 1) -> float:
    """The silence permitted before a ping to an unanswered request, and after it: together a third of the deadline, or
    a sixth if another node may answer.
    """
    return min(MOST_PATIENCE_SECONDS, max(LEAST_PATIENCE_SECONDS, deadline_seconds / (6 if nodes == 1 else 12)))


def attempt_within(deadline_seconds: float, nodes: int = 1) -> float:
    """The time for one attempt to reconnect, for a network that drops everything: a third of the deadline for one
    attempt at each node.
    """
    return min(deadline_seconds, max(2 * LEAST_PATIENCE_SECONDS, deadline_seconds / (3 * nodes)))


def none_serves(errors: Mapping[str, ClientError], seconds: float) -> ClientError:
    """The error of a client that found no node that serves it, from the last error of each."""
    for error in errors.values():
        if isinstance(error, AuthenticationFailed):
            return error
    return NotReachable(f"no node served within {seconds:g} s: {'; '.join(map(str, errors.values()))}")
