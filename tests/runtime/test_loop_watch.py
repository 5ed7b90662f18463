"""The loop's watch: what it says of standstills, and when it ends."""

from pathlib import Path

import pytest

from walletd.daemon import serving
from walletd.daemon.launch import Launch
from walletd.daemon.operations import Operations
from walletd.runtime.fault_reports import FaultReports
from walletd.runtime.lifecycle import Lifecycle
from walletd.runtime.loop_watch import LoopWatch
from walletd.runtime.signals import Stop
from walletd.runtime.systemd import ServiceManager
from walletd.runtime.wall_clock import wall_clock
from walletd.settings.settings import Settings


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


def test_a_node_that_leads_no_longer_is_not_ended_by_the_watch_of_its_former_loop(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    led = Operations(settings, lambda: settings, ServiceManager(), Stop(), FaultReports(tmp_path))
    launch = Launch(settings, led, Lifecycle(wall_clock), lambda _: None, lambda done, whole: None)
    following = serving._again(launch).operations
    assert led.loop_watch._is_over
    assert not following.loop_watch._is_over
