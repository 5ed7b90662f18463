"""The shapes of metric families: from plain integers to what Prometheus' client draws."""

from collections.abc import Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from walletd.runtime.histogram import Histogram


def histogram(name: str, meaning: str, counted: Histogram) -> Metric:
    """A histogram as it was counted."""
    return HistogramMetricFamily(name, meaning, buckets=counted.cumulative(), sum_value=counted.total)


def gauge(name: str, meaning: str, value: float) -> Metric:
    """One value that rises and falls."""
    return GaugeMetricFamily(name, meaning, value)


def counter(name: str, meaning: str, value: float) -> Metric:
    """One value that only rises."""
    return CounterMetricFamily(name, meaning, value)


def labelled(name: str, meaning: str, label: str, counts: Mapping[str, int]) -> Metric:
    """Values that only rise, one for each value of the label."""
    family = CounterMetricFamily(name, meaning, labels=[label])
    for value, count in sorted(counts.items()):
        family.add_metric([value], count)
    return family
