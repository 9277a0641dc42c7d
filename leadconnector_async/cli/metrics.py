"""``--metrics``: what `Statistics` tells, served for Prometheus.

Without ``--metrics-locations`` the figures of all locations stand together: the sum, but the least
that is left of a quota and the deepest lane.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from leadconnector_async.cli.import_options import SendingOptions
from leadconnector_async.data_files import read_toml
from leadconnector_async.errors import LeadConnectorError
from leadconnector_async.reports.statistics import Latency, Statistics
from leadconnector_async.sources.base import needs

_Sample = tuple[dict[str, str], float]

PREFIX: Final = "leadconnector_"

_TABLES: Final = read_toml(__package__, "metrics")

_TOGETHER: Final[dict[str, Callable[[list[float]], float]]] = {"sum": sum, "min": min, "max": max}

_OUTCOMES: Final = ("sent", "rejected", "unresolved")

_QUANTILES: Final = {"p50": "0.5", "p90": "0.9", "p99": "0.99", "max": "1"}


class Metrics:
    """Where the figures are read, once there are any. A collector of the package's."""

    def __init__(self, *, locations: bool) -> None:
        self._locations = locations
        self.read: Callable[[], Statistics] | None = None

    def describe(self) -> Iterable[Any]:
        """Nothing ahead: it is asked when it is registered, and nothing is sent yet."""
        return ()

    def collect(self) -> Iterator[Any]:
        """Each metric that there is now."""
        from prometheus_client.metrics_core import Metric  # noqa: PLC0415 - an extra

        if self.read is None:
            return
        stats = self.read()
        for name, kind, field, samples in self._families(stats):
            metric = Metric(PREFIX + name, f"See docs/metrics.md: {field}.", kind)
            for labels, value in samples:
                metric.add_sample(metric.name + "_total" * (kind == "counter"), labels, value)
            yield metric
        for field, name in _TABLES["latencies"].items():
            latency: Latency = getattr(stats, field)
            metric = Metric(PREFIX + name, f"See docs/metrics.md: {field}.", "summary")
            for of, quantile in _QUANTILES.items():
                if (value := getattr(latency, of)) is not None:
                    metric.add_sample(metric.name, {"quantile": quantile}, value)
            metric.add_sample(f"{metric.name}_count", {}, latency.count)
            metric.add_sample(f"{metric.name}_sum", {}, latency.total)
            yield metric

    def _families(self, stats: Statistics) -> Iterator[tuple[str, str, str, Iterable[_Sample]]]:
        for field, (name, kind, together) in _TABLES["locations"].items():
            values = {place: getattr(of, field) for place, of in stats.locations.items()}
            yield name, kind, field, self._of(values, _TOGETHER[together])
        for field, (name, kind) in _TABLES["process"].items():
            if (value := getattr(stats, field)) is not None:
                yield name, kind, field, [({}, value)]
        for name, kind, label, counts in (
            ("records", "counter", "outcome", lambda of: {n: getattr(of, n) for n in _OUTCOMES}),
            ("pauses", "counter", "reason", lambda of: of.pauses),
            ("paused_locations", "gauge", "reason", lambda of: {of.paused: 1} if of.paused else {}),
        ):
            samples: list[_Sample] = []
            words = dict.fromkeys(word for of in stats.locations.values() for word in counts(of))
            for word in words:
                values = {place: counts(of).get(word) for place, of in stats.locations.items()}
                samples += (({label: word, **place}, n) for place, n in self._of(values, sum))
            yield name, kind, name, samples
        looks = [({"result": of}, n) for of, n in stats.reconciliations.items()]
        yield "reconciliations", "counter", "reconciliations", looks

    def _of(
        self, values: Mapping[str, float | None], together: Callable[[list[float]], float]
    ) -> Iterator[_Sample]:
        """A figure of each location, or one of all, with its labels."""
        found = {name: value for name, value in values.items() if value is not None}
        if self._locations:
            yield from (({"location": name}, value) for name, value in found.items())
        elif found:
            yield {}, together(list(found.values()))


@contextmanager
def served_metrics(options: SendingOptions) -> Iterator[Metrics]:
    """Serve them while the block runs, where that is asked for.

    Raises:
        LeadConnectorError: the extra is missing, or the address cannot be used.
    """
    metrics = Metrics(locations=options.metrics_locations)
    if options.metrics is None:
        yield metrics
        return
    host, port = options.metrics
    with needs("--metrics", "prometheus-client", "metrics"):
        from prometheus_client import CollectorRegistry, start_http_server  # noqa: PLC0415 - an extra
    registry = CollectorRegistry()
    registry.register(metrics)
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        wrong = f"--metrics {host}:{port} cannot be used: {error.strerror or error}"
        fix = "Choose another port, or end the program that has it"
        raise LeadConnectorError(f"{wrong}. {fix}") from error
    try:
        yield metrics
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
