"""Processes of walletd that are forked from one that has imported everything: a start in a tenth of the time.

    ended = ran(["verify", "data"], environment=environment, directory=tmp_path)      # as ``python -m walletd``
    process = Forked(["serve", "--data", "data"], environment, stderr=log)

A test of how a process begins (closed streams, a locale, LD_PRELOAD, the moments of a start) takes a real one.
"""

import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

ROOT = Path(__file__).parents[2]
MOST_BYTES = 128 * 1024
"""Of a request: its arguments and its environment."""

MOST_DESCRIPTORS = 64
LOST_OUTPUT = 120
"""The interpreter's exit code where stdout could not be flushed."""

_NUMBER = struct.Struct("<i")
_turn = threading.Lock()


class Forked:
    """A process as ``subprocess.Popen`` has it: its pid, its stdout, how it ended."""

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        program: Sequence[str] = (),
        directory: Path | None = None,
        stdout: int | None = None,
        stderr: int = 2,
        closed: Sequence[int] = (),
    ) -> None:
        """Without a program, walletd; without a descriptor for stdout, a pipe that can be read here.

        The closed ones of the three streams are closed from its beginning, whatever is given for them.
        """
        self.stdout: IO[str] | None = None
        self.returncode: int | None = None
        said: int | None = None
        if stdout is None:
            said, stdout = os.pipe()
            self.stdout = os.fdopen(said, encoding="utf-8")
        self._status, status = os.pipe()
        request = {
            "arguments": list(arguments),
            "program": list(program),
            "environment": dict(environment),
            "directory": str(directory or Path.cwd()),
            "closed": list(closed),
        }
        with open(os.devnull, "rb") as nothing, _turn:
            socket.send_fds(_server(), [json.dumps(request).encode()], [nothing.fileno(), stdout, stderr, status])
        os.close(status)
        if said is not None:
            os.close(stdout)
        self.pid = self._number()

    def poll(self) -> int | None:
        """The exit code, or less than zero for a signal; None while it runs."""
        if self.returncode is None and self._is_said(0):
            self._ended()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The same, once it has ended."""
        if self.returncode is None:
            if not self._is_said(timeout):
                assert timeout is not None
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            self._ended()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def _is_said(self, timeout: float | None) -> bool:
        status = select.poll()
        status.register(self._status, select.POLLIN)
        return bool(status.poll(None if timeout is None else timeout * 1000))

    def _ended(self) -> None:
        self.returncode = self._number()
        os.close(self._status)

    def _number(self) -> int:
        read = os.read(self._status, _NUMBER.size)
        assert read, "the process that forks others has ended"
        number: int = _NUMBER.unpack(read)[0]
        return number


def can_fork(environment: Mapping[str, str]) -> bool:
    """Whether a process in this environment differs from a forked one in nothing that is tested."""
    return "LD_PRELOAD" not in environment


def ran(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    program: Sequence[str] = (),
    directory: Path | None = None,
    timeout: float = 120,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; what it said."""
    environment = os.environ if environment is None else environment
    if not can_fork(environment):
        command = [sys.executable, *(program or ("-m", "walletd")), *arguments]
        return subprocess.run(
            command, env=environment, cwd=directory, capture_output=True, text=True, check=False, timeout=timeout
        )
    with tempfile.TemporaryFile("w+", encoding="utf-8") as out, tempfile.TemporaryFile("w+", encoding="utf-8") as err:
        process = Forked(
            arguments,
            environment,
            program=program,
            directory=directory,
            stdout=out.fileno(),
            stderr=err.fileno(),
        )
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess([*program, *arguments], code, out.read(), err.read())


@functools.cache
def _server() -> socket.socket:
    """The way to the process that forks, which ends with this one."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", "tests.daemon.forked", str(its.fileno())]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WALLETD_")}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, pass_fds=[its.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    its.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


# --- the process that forks ------------------------------------------------------------------------------------------


def main(descriptor: int) -> None:
    """Fork for each request, and say how each ended; until whoever asks is gone."""
    _import_everything()
    requests = socket.socket(fileno=descriptor)
    statuses: dict[int, tuple[int, int]] = {}
    waiting = select.poll()
    waiting.register(requests.fileno(), select.POLLIN)
    while True:
        for ready, _ in waiting.poll():
            if ready != requests.fileno():
                waiting.unregister(ready)
                pid, status = statuses.pop(ready)
                os.close(ready)
                _say(status, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                os.close(status)
                continue
            message, given, _, _ = socket.recv_fds(requests, MOST_BYTES, 4)
            if not message:
                return
            pid = os.fork()
            if pid == 0:
                _become(json.loads(message), given)
            _say(given[3], pid)
            for number in given[:3]:
                os.close(number)
            child = os.pidfd_open(pid)
            statuses[child] = pid, given[3]
            waiting.register(child, select.POLLIN)


def _say(status: int, number: int) -> None:
    try:
        os.write(status, _NUMBER.pack(number))
    except BrokenPipeError:  # Nothing is left that wants to know.
        return


def _import_everything() -> None:
    """What walletd imports at its start and on the way; nothing of it begins a thread."""
    for name in ("cli.app", "cli.serve", "cli.announcement", "daemon.serving"):
        importlib.import_module(f"walletd.{name}")
    gc.collect()
    gc.freeze()
    assert threading.active_count() == 1


def _become(request: dict[str, Any], given: list[int]) -> NoReturn:
    """The process that was asked for, in this copy of the one that forks."""
    code = 1
    try:
        for number in range(3):
            os.dup2(given[number], number)
        os.closerange(3, MOST_DESCRIPTORS + max(given))
        for number in request["closed"]:
            os.close(number)
        _open_streams(request["closed"])
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["directory"])
        _customize(request["environment"].get("PYTHONPATH", ""))
        code = _run(request["program"], request["arguments"])
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except OSError as error:
            sys.stderr.write(f"Exception ignored in: {sys.stdout}\n{error!r}\n")
            code = code or LOST_OUTPUT
        finally:
            os._exit(code)


def _open_streams(closed: Sequence[int]) -> None:
    """The standard streams, as the interpreter opens them at its start: a closed one is None."""
    ways: list[tuple[str, dict[str, Any]]] = [
        ("stdin", {"mode": "r"}),
        ("stdout", {"mode": "w"}),
        ("stderr", {"mode": "w", "buffering": 1, "errors": "backslashreplace"}),
    ]
    streams = {
        name: None if number in closed else os.fdopen(number, encoding="utf-8", closefd=False, **way)
        for number, (name, way) in enumerate(ways)
    }
    vars(sys).update(streams, **{f"__{name}__": stream for name, stream in streams.items()})


def _customize(path: str) -> None:
    """What the interpreter does at its start with what is on the path."""
    for folder in filter(None, path.split(os.pathsep)):
        sys.path.insert(0, folder)
        if (site := Path(folder) / "sitecustomize.py").exists():
            runpy.run_path(str(site))


def _run(program: list[str], arguments: list[str]) -> int:
    """The exit code."""
    import trio

    import walletd.__main__

    vars(trio._core._run)["_r"].seed()
    try:
        if program:
            sys.argv = [*program, *arguments]
            runpy.run_path(program[0], run_name="__main__")
        else:
            sys.argv = [str(walletd.__main__.__file__), *arguments]
            walletd.__main__.main()
    except SystemExit as ended:
        if isinstance(ended.code, str):
            sys.stderr.write(ended.code + "\n")
            return 1
        return ended.code or 0
    atexit._run_exitfuncs()
    return 0


if __name__ == "__main__":
    main(int(sys.argv[1]))
