"""systemd's interfaces by themselves: inherited sockets, and what the watchdog is fed for."""

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import trio

from walletd.runtime.systemd import JournalProgress, ServiceManager, inherited_sockets
from walletd.settings.settings import ConfigurationError


def test_sockets_are_taken_over_by_name_and_the_variables_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        first = max(int(name) for name in os.listdir("/proc/self/fd")) + 10  # where no descriptor is
        for offset, opened in enumerate((one, other)):
            os.dup2(opened.fileno(), first + offset)
        monkeypatch.setattr("walletd.runtime.systemd.FIRST_DESCRIPTOR", first)
        environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "ws:admin", "KEPT": "1"}
        found = inherited_sockets(environment)
        assert environment == {"KEPT": "1"}
        assert {name: [each.getsockname() for each in sockets] for name, sockets in found.items()} == {
            "ws": [one.getsockname()],
            "admin": [other.getsockname()],
        }
        for sockets in found.values():
            for each in sockets:
                assert not each.get_inheritable()
                each.close()


def _a_file() -> Any:
    return open(os.devnull, "rb")


def _a_datagram_socket() -> Any:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def _a_connected_socket() -> Any:
    ours, theirs = socket.socketpair()
    theirs.close()
    return ours


@pytest.mark.parametrize(
    ("opened", "words"),
    [
        (_a_file, "is not a socket (Socket operation on non-socket)"),
        (_a_datagram_socket, "does not listen for streams"),
        (_a_connected_socket, "does not listen for streams"),
        (None, "is not a socket (Bad file descriptor)"),
    ],
)
def test_what_is_no_listening_socket_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, opened: Callable[[], Any] | None, words: str
) -> None:
    first = max(int(name) for name in os.listdir("/proc/self/fd")) + 10
    monkeypatch.setattr("walletd.runtime.systemd.FIRST_DESCRIPTOR", first)
    if opened is not None:
        with opened() as handed_over:
            os.dup2(handed_over.fileno(), first)
    environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "other.socket"}
    with pytest.raises(ConfigurationError) as refused:
        inherited_sockets(environment)
    assert f"descriptor {first} (other.socket), which LISTEN_FDS hands over, {words}" in str(refused.value)
    assert "\n" not in str(refused.value)
    with suppress(OSError):
        os.close(first)


@pytest.mark.parametrize(
    "environment",
    [{}, {"LISTEN_PID": "1", "LISTEN_FDS": "2"}, {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "x"}],
)
def test_what_is_not_meant_for_this_process_is_left_alone(environment: dict[str, str]) -> None:
    assert inherited_sockets(environment) == {}


def test_a_journal_is_well_when_it_is_idle_or_has_moved_since_the_last_question() -> None:
    pending, steps = 0, 0
    is_well = JournalProgress(lambda: pending, lambda: steps)
    assert is_well()
    assert is_well()
    pending, steps = 5, 1
    assert is_well()
    assert not is_well()
    assert not is_well()
    steps = 2
    assert is_well()
    assert not is_well()
    pending = 0
    assert is_well()


async def test_the_watchdog_is_fed_three_times_in_an_interval_and_only_while_all_is_well(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "30000000"})
    fed: list[float] = []
    monkeypatch.setattr(manager, "notify", lambda **fields: fed.append(trio.current_time()))
    with trio.move_on_after(65):
        await manager.watch(lambda: trio.current_time() < 25)
    assert fed == [0.0, 10.0, 20.0]


async def test_without_a_watchdog_nobody_is_fed() -> None:
    await ServiceManager({"NOTIFY_SOCKET": "/nowhere"}).watch(lambda: True)
    await ServiceManager({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}).watch(lambda: True)
