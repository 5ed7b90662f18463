"""The process in Prometheus' standard metrics: memory, processor time, files.

The same names as prometheus-client's own collector, which shows nothing at all if ``/proc/stat`` is hidden, as the
unit's ``ProcSubset=pid`` hides it.
"""

import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

STATM = Path("/proc/self/statm")
DESCRIPTORS = Path("/proc/self/fd")


class ProcessMetrics(Collector):
    """This process, since the creation of this object."""

    def __init__(self) -> None:
        self._started_at = time.time()

    def collect(self) -> Iterator[Metric]:
        """Read everything once."""
        virtual, resident = (
            int(pages) * resource.getpagesize() for pages in STATM.read_text(encoding="ascii").split()[:2]
        )
        usage = resource.getrusage(resource.RUSAGE_SELF)
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        yield GaugeMetricFamily("process_virtual_memory_bytes", "Virtual memory size in bytes.", virtual)
        yield GaugeMetricFamily("process_resident_memory_bytes", "Resident memory size in bytes.", resident)
        yield GaugeMetricFamily(
            "process_start_time_seconds", "Start time of the process, in seconds since 1970.", self._started_at
        )
        spent = usage.ru_utime + usage.ru_stime
        yield CounterMetricFamily("process_cpu_seconds", "User and system CPU time, in seconds.", spent)
        yield GaugeMetricFamily("process_open_fds", "Open file descriptors.", len(os.listdir(DESCRIPTORS)))
        yield GaugeMetricFamily("process_max_fds", "Limit on open file descriptors.", limit)
