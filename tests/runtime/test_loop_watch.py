"""The loop's watch: what it says of standstills."""

import pytest

from walletd.runtime.loop_watch import LoopWatch


def test_a_standstill_of_no_length_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    watch = LoopWatch()
    watch.clock.stood_seconds = 0.04
    watch._tell_of_standstills()
    assert caplog.text == ""


def test_short_standstills_are_told_together(caplog: pytest.LogCaptureFixture) -> None:
    watch = LoopWatch()
    for stood in (0.06, 0.12, 0.15):
        watch.clock.stood_seconds = stood
        watch._tell_of_standstills()
    assert caplog.text.count("stood still for 0.1 s") == 1
