"""A report shows the tasks as they were when the fault happened, and comes even when its subject is broken."""

import contextlib
import logging
import os
import stat
import threading
from pathlib import Path

import pytest
import trio

from walletd.daemon.report_sections import configuration_lines
from walletd.runtime.fault_reports import FAULT_PAUSE_SECONDS, KEPT, FaultReports, ReportFaults
from walletd.settings.settings import Settings

CANARY = "walletd_4Jk2-x_Qz8mN0pRvT6yWbC1dEfGhIjKl"


async def wait_for_something_that_never_comes() -> None:
    await trio.sleep_forever()


async def break_down() -> None:
    try:
        raise ZeroDivisionError("the fault")
    except ZeroDivisionError:
        logging.getLogger("walletd.probe").exception("a part met a fault")


def logger_with(handler: logging.Handler) -> logging.Logger:
    logger = logging.getLogger("walletd.probe")
    logger.handlers, logger.propagate = [handler], False
    return logger


async def test_a_fault_leaves_a_report_with_every_task_as_it_was(tmp_path: Path) -> None:
    reports = FaultReports(tmp_path / "reports", lambda: {"queues": "three"})
    logger_with(ReportFaults(reports))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait_for_something_that_never_comes)
        await trio.testing.wait_all_tasks_blocked()
        await break_down()
        nursery.cancel_scope.cancel()
    (file,) = reports.folder.iterdir()
    text = file.read_text()
    assert "ZeroDivisionError: the fault" in text
    assert "== queues\nthree" in text
    tasks = text.partition("== tasks\n")[2]
    assert "wait_for_something_that_never_comes" in tasks
    assert "sleep_forever" in tasks
    assert "_traps.py" not in tasks
    assert tasks.count("running now") == 1, "the one that met the fault"
    depths = [len(line) - len(line.lstrip()) for line in tasks.splitlines()]
    assert max(depths) > 4, "a tree"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_a_report_leaves_alone_what_runs_in_threads_meanwhile(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Their frames change under the hands of who looks into them; SQLite's threads are such."""
    ends = threading.Event()

    def enter_and_leave() -> None:
        while not ends.is_set():
            with contextlib.nullcontext(), contextlib.nullcontext():
                contextlib.nullcontext()

    reports = FaultReports(tmp_path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, enter_and_leave)
        await trio.testing.wait_all_tasks_blocked()
        texts = [reports.text("probe") for _ in range(10)]
        ends.set()
    assert all("to_thread_run_sync" in text for text in texts)
    assert capfd.readouterr().err == ""


async def test_a_fault_that_repeats_has_one_report_in_a_while(tmp_path: Path) -> None:
    now = [0.0]
    reports = FaultReports(tmp_path)
    logger_with(ReportFaults(reports, clock=lambda: now[0]))
    for _ in range(100):
        await break_down()
    assert reports.written == 1
    now[0] = FAULT_PAUSE_SECONDS
    await break_down()
    assert reports.written == 2


def test_an_error_without_a_traceback_leaves_none(tmp_path: Path) -> None:
    reports = FaultReports(tmp_path / "reports")
    logger_with(ReportFaults(reports)).error("the disk is full")
    assert not reports.folder.exists()


def test_a_part_that_cannot_be_told_does_not_keep_the_rest_from_being_told(tmp_path: Path) -> None:
    def broken() -> dict[str, str]:
        raise RuntimeError("torn")

    text = FaultReports(tmp_path, broken).text("why not")
    assert "could not be read: RuntimeError('torn')" in text
    assert "== threads" in text
    assert "the event loop does not run in this thread" in text


def test_a_report_that_cannot_be_written_is_said_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    assert FaultReports(tmp_path / "file").write("why") is None
    assert "cannot write a report" in caplog.text


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    reports = FaultReports(tmp_path)
    paths = [reports.write(f"number {number}") for number in range(KEPT + 5)]
    for age, path in enumerate(reversed(paths)):
        if path is not None and path.exists():
            os.utime(path, (1e9 - age, 1e9 - age))
    last = reports.write("last")
    kept = set(tmp_path.iterdir())
    assert len(kept) == KEPT
    assert {paths[-1], last} <= kept
    assert paths[0] not in kept


def test_no_secret_is_in_a_report(tmp_path: Path) -> None:
    try:
        raise ValueError(f"Bearer {CANARY}")
    except ValueError as error:
        text = FaultReports(tmp_path, lambda: {"x": f"token={CANARY}"}).text(f"about {CANARY}", error)
    assert CANARY.removeprefix("walletd_") not in text
    assert text.count("[redacted]") >= 3


def test_a_password_in_a_url_is_left_out_of_the_configuration() -> None:
    shown = configuration_lines(Settings(allowed_origins=("https://a",), host="postgres://me:secret@db/x"))
    assert "secret" not in shown
    assert "postgres://db/x" in shown
