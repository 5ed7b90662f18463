"""The decision to reconnect after a lost connection, when and to which address, or to stop.

    match backoff.after(Lost(1012, "restart")):
        case float() as delay: ...              # seconds until the next attempt
        case ClientError() as error: ...        # stop: every call gets this error

Full-jitter exponential backoff, as in Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015): few
clients of a restarting daemon reconnect at the same moment.  Randomness is passed in.
"""

from collections.abc import Callable
from typing import NamedTuple

from walletd.client.errors import AuthenticationFailed, ClientError, ClosedForGood, NotAnAddress
from walletd.client.nodes import Nodes

FIRST_DELAY_SECONDS = 0.1
MAX_DELAY_SECONDS = 10.0
MAX_DELAY_BETWEEN_NODES_SECONDS = 1.0
"""One of several nodes takes over within seconds, and a client that waits for it should notice soon."""
RESTART_DELAY_SECONDS = 0.5
"""After close code 1012 the daemon is expected back at once; the spread only keeps clients from reconnecting
together.
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
