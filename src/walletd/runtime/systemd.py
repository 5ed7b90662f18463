"""systemd, over its two plain interfaces: datagrams to ``$NOTIFY_SOCKET``, and sockets that it opened for us.

    manager = ServiceManager(os.environ)
    lifecycle.watch(manager.told)
    sockets = inherited_sockets(os.environ)["ws"]

No library: the protocol is a line of text in a datagram (sd_notify(3)) and file descriptors from 3 on
(sd_listen_fds(3)).  Without systemd all of this does nothing.
"""

import logging
import os
import socket
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, MutableMapping

import trio

from walletd.settings.settings import ConfigurationError
from walletd.vocabulary.states import DaemonState

FIRST_DESCRIPTOR = 3
EXTENSION_SECONDS = 30.0
"""The extension that systemd is asked for at each sign of progress while the daemon starts or stops."""

SENTENCES = {
    DaemonState.STARTING: "starting",
    DaemonState.FOLLOWING: "following: another node leads",
    DaemonState.RECOVERING: "recovering: reading the journal",
    DaemonState.SERVING: "serving",
    DaemonState.COMPACTING: "serving, compacting the journal",
    DaemonState.DEGRADED: "read-only: the journal accepts no writes",
    DaemonState.DRAINING: "draining: answering the requests in progress",
    DaemonState.STOPPED: "stopped",
    DaemonState.FAILED: "failed: see the log",
}

assert set(SENTENCES) == set(DaemonState)

log = logging.getLogger("walletd.daemon")


class ServiceManager:
    """Reports the daemon's state to systemd.  If the notify socket disappears, that is logged once and notification
    stops.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._watchdog_seconds = _watchdog_seconds(environment)
        self._is_lost = False
        self._state = DaemonState.STARTING
        self.failures = 0

    def told(self, state: DaemonState) -> None:
        """Report a transition of the lifecycle."""
        self._state = state
        fields = {"STATUS": SENTENCES[state]}
        match state:
            case DaemonState.SERVING | DaemonState.DEGRADED | DaemonState.COMPACTING | DaemonState.FOLLOWING:
                fields["READY"] = "1"
            case DaemonState.DRAINING:
                fields |= {"STOPPING": "1", "EXTEND_TIMEOUT_USEC": _microseconds(EXTENSION_SECONDS)}
            case DaemonState.STARTING | DaemonState.RECOVERING:
                fields["EXTEND_TIMEOUT_USEC"] = _microseconds(EXTENSION_SECONDS)
            case _:
                pass
        self.notify(**fields)

    def progress(self, done: int, whole: int) -> None:
        """Report the recovery's progress: it may take longer than a start should."""
        sentence = f"{SENTENCES[self._state]}, {done * 100 // max(whole, 1)} %"
        self.notify(STATUS=sentence, EXTEND_TIMEOUT_USEC=_microseconds(EXTENSION_SECONDS))

    def extend(self, seconds: float) -> None:
        """Ask for this much time to stop, from now on."""
        self.notify(EXTEND_TIMEOUT_USEC=_microseconds(seconds))

    def reloading(self) -> None:
        """Report that the configuration is being read again; to be followed by ``reloaded``."""
        self.notify(RELOADING="1", MONOTONIC_USEC=str(time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000))

    def reloaded(self, outcome: str) -> None:
        """Report the outcome of the reload."""
        self.notify(READY="1", STATUS=f"{SENTENCES[self._state]}; {outcome}")

    async def watch(self, is_alive: Callable[[], bool]) -> None:
        """Feed systemd's watchdog while ``is_alive`` returns true; returns at once if there is none.

        It is asked three times per interval: after a whole one without progress, systemd ends the process with SIGABRT.
        """
        if not self._watchdog_seconds:
            return
        while True:
            if is_alive():
                self.notify(WATCHDOG="1")
            await trio.sleep(self._watchdog_seconds / 3)

    def notify(self, **fields: str) -> None:
        """Send one datagram; never blocks, never raises."""
        if not self._address:
            return
        text = "\n".join(f"{name}={value}" for name, value in fields.items())
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as courier:
                courier.setblocking(False)
                courier.sendto(text.encode(), address)
        except OSError as error:
            self.failures += 1
            if not self._is_lost:
                log.warning("cannot notify systemd (%s); walletd continues without it", error)
            self._is_lost = True
        else:
            self._is_lost = False


def _watchdog_seconds(environment: Mapping[str, str]) -> float:
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    interval = environment.get("WATCHDOG_USEC", "")
    return int(interval) / 1_000_000 if interval.isdigit() else 0.0


def _microseconds(seconds: float) -> str:
    return str(int(seconds * 1_000_000))


class JournalProgress:
    """The journal's progress, on which feeding the watchdog depends.

    A journal with nothing to write is well; one with something to write must have written, or have found the disk full
    again, since the last question.
    """

    def __init__(self, pending: Callable[[], int], steps: Callable[[], int]) -> None:
        self._pending = pending
        self._steps = steps
        self._seen = -1

    def __call__(self) -> bool:
        """True if it is well."""
        steps = self._steps()
        moved, self._seen = steps != self._seen, steps
        return moved or not self._pending()


def inherited_sockets(environment: MutableMapping[str, str] = os.environ) -> dict[str, list[socket.socket]]:
    """The listening sockets that systemd opened, by their FileDescriptorName; the variables are removed.

    They stay open in systemd while the daemon restarts: a client that connects meanwhile waits in their backlog.
    Raises ConfigurationError if a descriptor handed over is not a listening socket.
    """
    owner, count = environment.pop("LISTEN_PID", ""), environment.pop("LISTEN_FDS", "0")
    names = environment.pop("LISTEN_FDNAMES", "").split(":")
    found: defaultdict[str, list[socket.socket]] = defaultdict(list)
    if owner != str(os.getpid()) or not count.isdigit():
        return found
    for index in range(int(count)):
        descriptor = FIRST_DESCRIPTOR + index
        name = names[index] if index < len(names) else ""
        found[name if name == "admin" else "ws"].append(_listening(descriptor, name))
    return found


def _listening(descriptor: int, name: str) -> socket.socket:
    try:
        os.set_inheritable(descriptor, False)
        inherited = socket.socket(fileno=descriptor)
        is_ours = inherited.type == socket.SOCK_STREAM and inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        what = "does not listen for streams"
    except OSError as error:
        is_ours, what = 0, f"is not a socket ({error.strerror})"
    if not is_ours:
        raise ConfigurationError(
            f"descriptor {descriptor} ({name or 'without a name'}), which LISTEN_FDS hands over, {what}; give walletd "
            "only sockets with ListenStream=, and FileDescriptorName=admin for the operators' one"
        )
    return inherited
