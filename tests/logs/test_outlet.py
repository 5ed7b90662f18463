"""Outlets: nothing waits for a reader; what is lost is counted and said."""

import os
from collections.abc import Iterator
from contextlib import suppress

import pytest

from walletd.logs.outlet import Outlet, OutletStream

PATIENCE_SECONDS = 60.0
HELD = 100


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for descriptor in (reading, writing):
        with suppress(OSError):
            os.close(descriptor)


def stuff(writing: int) -> int:
    """Leave no room in the pipe; how many bytes that took."""
    own = os.open(f"/proc/self/fd/{writing}", os.O_WRONLY | os.O_NONBLOCK)
    stuffed = 0
    with suppress(BlockingIOError):
        while True:
            stuffed += os.write(own, bytes(4096))
    os.close(own)
    return stuffed


def read(reading: int, until: bytes) -> bytes:
    said = b""
    while until not in said:
        said += os.read(reading, 65536)
    return said


def test_what_is_written_comes_out_in_order(pipe: tuple[int, int]) -> None:
    outlet = Outlet(pipe[1], "log")
    for number in range(100):
        outlet.write(f"line {number}\n")
    said = read(pipe[0], b"line 99\n")
    assert said.decode().splitlines() == [f"line {number}" for number in range(100)]
    assert outlet.lost == 0


def test_a_reader_that_stalls_costs_lines_and_no_time_and_is_told_how_many(pipe: tuple[int, int]) -> None:
    stuff(pipe[1])
    outlet = Outlet(pipe[1], "log", max_held_bytes=HELD)
    for number in range(50):
        outlet.write(f"line {number:02}\n")
    kept = HELD // len("line 00\n")
    assert outlet.lost == 50 - kept
    said = read(pipe[0], b"were lost").lstrip(b"\0").decode()
    assert said.splitlines()[:kept] == [f"line {number:02}" for number in range(kept)]
    assert f"walletd: {50 - kept} log lines were lost" in said
    outlet.write("again\n")
    assert b"again" in read(pipe[0], b"again")
    assert outlet.lost == 50 - kept


def test_a_stream_without_a_reader_costs_lines_and_nothing_else(pipe: tuple[int, int]) -> None:
    outlet = Outlet(pipe[1], "log")
    os.close(pipe[0])
    for _ in range(3):
        outlet.write("for nothing\n")
    outlet.flush(PATIENCE_SECONDS)
    assert outlet.lost == 3


def test_a_full_disk_costs_lines_and_nothing_else() -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    outlet = Outlet(descriptor, "log")
    outlet.write("for nothing\n")
    outlet.flush(PATIENCE_SECONDS)
    assert outlet.lost == 1
    os.close(descriptor)


def test_a_stream_that_somebody_made_non_blocking_loses_nothing(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    stuffed = stuff(pipe[1])
    outlet = Outlet(pipe[1], "log")
    outlet.write("late, but there\n")
    said = read(pipe[0], b"late, but there\n")
    assert len(said) == stuffed + len("late, but there\n")
    assert outlet.lost == 0


def test_the_last_words_wait_for_a_stalled_reader_for_a_moment_only(pipe: tuple[int, int]) -> None:
    stuff(pipe[1])
    outlet = Outlet(pipe[1], "log")
    outlet.write("the end\n")
    outlet.flush(0.01)
    assert b"the end" in read(pipe[0], b"the end")


def test_what_python_prints_goes_the_same_way(pipe: tuple[int, int]) -> None:
    outlet = Outlet(pipe[1], "output")
    stream = OutletStream(outlet)
    print("said with print: \ud800 and ü", file=stream, flush=True)
    assert read(pipe[0], b"\n").decode() == "said with print: \\ud800 and ü\n"
    assert stream.fileno() == pipe[1]
    assert not stream.isatty()
