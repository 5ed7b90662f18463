"""When to come back after a connection was lost, or that there is no coming back.

    match backoff.after(Lost(1012, "restart")):
        case float() as delay: ...              # seconds until the next attempt
        case ClientError() as error: ...        # stop: every call gets this error

Full-jitter exponential backoff, as in Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015): of
all clients of a daemon that restarts, few come back at the same moment.  Randomness is handed in.
"""

from collections.abc import Callable
from typing import NamedTuple

from walletd.client.errors import AuthenticationFailed, ClientError, ClosedForGood

FIRST_DELAY_SECONDS = 0.1
MAX_DELAY_SECONDS = 10.0
RESTART_DELAY_SECONDS = 0.5
"""After close code 1012 the daemon is expected back at once; the spread only keeps clients from coming together."""

ABNORMAL_CLOSURE = 1006
RESTART = 1012
AUTHENTICATION_CODES = (4401, 4408)


class Lost(NamedTuple):
    """How a connection, or the attempt at one, ended: a websocket close code and its reason."""

    code: int = ABNORMAL_CLOSURE
    reason: str = ""


class Backoff:
    """How many attempts went wrong since the last hello, and how long to wait for the next one."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self.failures = 0

    def spread(self, seconds: float) -> float:
        """A time of up to a fifth less or more, so that what many begin together does not go on in lockstep."""
        return seconds * (0.8 + 0.4 * self._random())

    def greeted(self) -> None:
        """A hello was received: only this proves that the daemon serves."""
        self.failures = 0

    def after(self, lost: Lost) -> float | ClientError:
        """Seconds until the next attempt, or the error with which to stop."""
        final = final_error(lost)
        if final is not None:
            return final
        if lost.code == RESTART and self.failures == 0:
            self.failures = 1
            return self._random() * RESTART_DELAY_SECONDS
        delay: float = self._random() * min(MAX_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** min(self.failures, 32))
        self.failures += 1
        return delay


def final_error(lost: Lost) -> ClientError | None:
    """The error of a connection that was closed for good; None where it is worth coming back."""
    if not 4400 <= lost.code < 4500:
        return None
    if lost.code in AUTHENTICATION_CODES:
        return AuthenticationFailed(lost.reason or "the daemon does not accept the token")
    return ClosedForGood(lost.code, lost.reason)
