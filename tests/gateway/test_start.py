"""A start that takes long: operators are answered from before the journal is opened, clients once the daemon serves."""

import json
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.gateway.wires import request
from walletd.daemon import admin_listener, journals, serving
from walletd.daemon.launch import Launch
from walletd.daemon.operations import Operations
from walletd.journal.sqlite.opening import open_journal
from walletd.runtime.fault_reports import FaultReports
from walletd.runtime.lifecycle import Lifecycle
from walletd.runtime.signals import Stop
from walletd.runtime.systemd import ServiceManager
from walletd.runtime.wall_clock import wall_clock
from walletd.settings.settings import Settings

PATIENCE_SECONDS = 60
NO_WEBSOCKET = {
    "Host": "127.0.0.1",
    "Connection": "close",
    "Upgrade": None,
    "Sec-WebSocket-Key": None,
    "Sec-WebSocket-Version": None,
}


class Gate:
    """A step of the start that stands until it is let go on."""

    def __init__(self) -> None:
        self.reached = trio.Event()
        self.opened = trio.Event()

    async def wait(self) -> None:
        self.reached.set()
        await self.opened.wait()


class Start:
    """A daemon that starts, and how to ask it."""

    def __init__(self, directory: Path, admin: tuple[str, int]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.admin = admin
        self.served = trio.Event()
        settings = Settings(data=directory, port=self.port)
        manager, reports = ServiceManager({}), FaultReports(directory / "reports")
        self.told: list[dict[str, str]] = []
        manager.notify = lambda **fields: self.told.append(fields)  # type: ignore[method-assign]
        self.operations = Operations(settings, lambda: settings, manager, Stop(), reports)

    async def run(self) -> None:
        try:
            await serving._run(
                Launch(
                    self.operations.settings,
                    self.operations,
                    Lifecycle(wall_clock),
                    announce=lambda said: self.served.set(),
                    report=lambda done, whole: None,
                )
            )
        finally:
            self.operations.loop_watch.over()  # Else it would end the process of the tests 30 s later.

    async def page(self, path: str) -> tuple[int, bytes]:
        """The status and the body of a page of the operators."""
        with trio.fail_after(PATIENCE_SECONDS):
            async with await trio.open_tcp_stream(*self.admin) as stream:
                await stream.send_all(request(NO_WEBSOCKET, f"GET {path} HTTP/1.1"))
                answer = b"".join([chunk async for chunk in stream])
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body

    async def ready(self) -> tuple[int, Any]:
        status, body = await self.page("/readyz")
        return status, json.loads(body)

    async def refuses_clients(self) -> bool:
        try:
            async with await trio.open_tcp_stream("127.0.0.1", self.port):
                return False
        except OSError:
            return True


@asynccontextmanager
async def starting(directory: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Start]:
    with socket.create_server(("127.0.0.1", 0)) as admin:
        handed_over: dict[str, list[socket.socket]] = defaultdict(list, admin=[admin.dup()])
        monkeypatch.setattr(admin_listener, "inherited_sockets", lambda: handed_over)
        start = Start(directory, admin.getsockname())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(start.run)
            yield start
            start.operations.stop.wish("the test")


def gated(monkeypatch: pytest.MonkeyPatch, step: str, gate: Gate, tell: Callable[..., None] | None = None) -> None:
    """Let this step of the start stand before the gate; what it is given is told."""
    plain = getattr(serving, step)

    async def stands(*arguments: Any) -> Any:
        if tell is not None:
            tell(*arguments)
        await gate.wait()
        return await plain(*arguments)

    monkeypatch.setattr(serving, step, stands)


async def test_operators_are_answered_while_the_daemon_recovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    gated(monkeypatch, "recover", gate, lambda store, directory, report, *_: report(3_000, 10_000))
    async with starting(tmp_path / "data", monkeypatch) as start:
        await gate.reached.wait()
        assert await start.page("/healthz") == (200, b'{"alive":true}')
        assert await start.ready() == (
            503,
            {"ready": False, "lifecycle": "recovering", "done": 3_000, "whole": 10_000},
        )
        status, metrics = await start.page("/metrics")
        assert status == 200
        assert b"walletd_recovery_entries 10000.0" in metrics
        assert b"walletd_recovery_done_entries 3000.0" in metrics
        assert b'walletd_lifecycle_state{walletd_lifecycle_state="recovering"} 1.0' in metrics
        assert b"walletd_commands_total" not in metrics, "there is nothing that counts them yet"
        assert await start.refuses_clients(), "who looks whether the port listens must not think that it serves"
        assert not any("READY" in fields for fields in start.told)
        gate.opened.set()
        await start.served.wait()
        assert await start.ready() == (200, {"ready": True, "lifecycle": "serving"})
        status, metrics = await start.page("/metrics")
        assert status == 200
        assert b"walletd_commands_total" in metrics
        assert not await start.refuses_clients()
        assert any("READY" in fields for fields in start.told)


async def test_operators_are_answered_before_the_journal_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, plain = Gate(), open_journal

    @asynccontextmanager
    async def stands(*arguments: Any, **words: Any) -> AsyncIterator[Any]:
        await gate.wait()
        async with plain(*arguments, **words) as store:
            yield store

    monkeypatch.setattr(journals, "open_journal", stands)
    async with starting(tmp_path / "data", monkeypatch) as start:
        await gate.reached.wait()
        assert not (tmp_path / "data" / "journal.db").exists()
        assert await start.page("/healthz") == (200, b'{"alive":true}')
        assert await start.ready() == (503, {"ready": False, "lifecycle": "starting"})
        assert (await start.page("/metrics"))[0] == 200
        gate.opened.set()
        await start.served.wait()
        assert (await start.ready())[0] == 200


async def test_operators_are_answered_while_the_books_are_audited_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    gated(monkeypatch, "audit_at_start", gate)
    async with starting(tmp_path / "data", monkeypatch) as start:
        await gate.reached.wait()
        status, said = await start.ready()
        assert (status, said["lifecycle"]) == (503, "recovering")
        assert (await start.page("/metrics"))[0] == 200
        assert await start.refuses_clients()
        gate.opened.set()
        await start.served.wait()
        assert (await start.ready())[0] == 200


async def test_a_stop_while_the_daemon_recovers_is_heeded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    gated(monkeypatch, "recover", gate)
    with trio.fail_after(PATIENCE_SECONDS):
        async with starting(tmp_path / "data", monkeypatch) as start:
            await gate.reached.wait()
    assert not start.served.is_set()
