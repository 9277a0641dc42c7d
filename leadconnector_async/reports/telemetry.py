"""Metrics and traces by the API of OpenTelemetry, which alone is imported, and here alone.

The names of HTTP's are those of its stable semantic conventions. What is told holds no text, token,
number or address of a message: of a path only the words that are the API's own.
"""

from __future__ import annotations

import time
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from weakref import WeakSet

from leadconnector_async.data_files import read_toml
from leadconnector_async.observer import Exchange, Observer, Watched
from leadconnector_async.outbox.base import Settlement, State
from leadconnector_async.public_place import name_public_place
from leadconnector_async.records.draft import TraceContext

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import ModuleType

    from opentelemetry import metrics, trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator


NAME: Final = "leadconnector_async"

BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Seconds: what the conventions advise for `http.client.request.duration`."""

_WORDS: Final = frozenset(
    {
        *("contacts", "conversations", "duplicate", "email", "export", "inbound", "locationToken"),
        *("location-token", "messages", "oauth", "outbound", "search", "token", "upload", "upsert"),
        "workflows",
    }
)

_OUTCOMES: Final = {of: of.name.lower() for of in (State.SENT, State.REJECTED, State.UNRESOLVED)}

_LOCATION: Final = "leadconnector.location"

_FAILED: Final = 400


@lru_cache(maxsize=256)
def template_of(path: str) -> str:
    """A path of the API's without its query, and with ``{id}`` in place of what is not its own."""
    words = path.partition("?")[0].split("/")
    return "/".join(word if word in _WORDS or not word else "{id}" for word in words)


class OpenTelemetry:
    """Tells OpenTelemetry what is sent: `LeadConnector(…, telemetry=OpenTelemetry())`.

    The page on metrics lists instruments and spans. Requests of a submitted record are in the trace
    of whoever submitted it, in another process too; all others are in that of whoever awaits them.

    Args:
        tracer_provider: by default the global one.
        meter_provider: by default the global one.
        locations: whether metrics and spans have the location's id, ``leadconnector.location``.
            With many locations that makes many time series.

    Raises:
        ImportError: the extra ``otel`` is not installed.

    Example:
        >>> async with LeadConnector(token, telemetry=OpenTelemetry()) as api:
        ...     receipt = await api.add_inbound_message(message)
    """

    def __init__(
        self,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        locations: bool = False,
    ) -> None:
        try:
            from opentelemetry import metrics, trace  # noqa: PLC0415 - an extra
            from opentelemetry.trace.propagation import tracecontext  # noqa: PLC0415 - the same
        except ImportError as error:
            fix = 'pip install "leadconnector-async[otel]"'
            raise ImportError(f"OpenTelemetry is not installed: {fix}") from error
        self.api: ModuleType = trace
        kind = tracecontext.TraceContextTextMapPropagator
        self.propagator: TraceContextTextMapPropagator = kind()
        self.tracer: trace.Tracer = trace.get_tracer(NAME, tracer_provider=tracer_provider)
        self.locations = locations
        self._observation: Callable[..., metrics.Observation] = metrics.Observation
        self._watched: WeakSet[Watched] = WeakSet()
        self._make_instruments(metrics.get_meter(NAME, meter_provider=meter_provider))

    def _make_instruments(self, meter: metrics.Meter) -> None:
        of, counter = read_toml(__package__, "telemetry"), meter.create_counter
        timer = partial(meter.create_histogram, explicit_bucket_boundaries_advisory=BUCKETS)
        self.duration: metrics.Histogram = timer(**of["duration"])
        self.records: metrics.Counter = counter(**of["records"])
        self.reconciliations: metrics.Counter = counter(**of["reconciliations"])
        self.quota_wait: metrics.Histogram = timer(**of["quota_wait"])
        self.commit: metrics.Histogram = timer(**of["commit"])
        gauges: dict[str, Callable[..., Iterator[metrics.Observation]]] = {
            "quota_remaining": self._quota_remaining,
            "pending": lambda _: self._gauge("pending", sum),
            "lane_depth": lambda _: self._gauge("lane_depth", max),
        }
        for name, read in gauges.items():
            meter.create_observable_gauge(callbacks=[read], **of[name])

    def observer(self, base_url: str) -> OpenTelemetryObserver:
        """See `Telemetry.observer`."""
        return OpenTelemetryObserver(self, base_url)

    def attach(self, source: Watched) -> None:
        """Take gauges from it."""
        self._watched.add(source)

    def _gauge(
        self, field: str, together: Callable[[list[int]], int], **attributes: str
    ) -> Iterator[metrics.Observation]:
        """Of each location, or of all together."""
        found: dict[str, list[int]] = {}
        watched = list(self._watched)
        for source in [source for source in watched if source.is_open] or watched:
            for name, of in source.read().locations.items():
                value = getattr(of, field)
                if value is not None:
                    found.setdefault(name if self.locations else "", []).append(value)
        for name, values in found.items():
            place = {_LOCATION: name} if self.locations else {}
            yield self._observation(together(values), attributes | place)

    def _quota_remaining(self, _: metrics.CallbackOptions) -> Iterator[metrics.Observation]:
        for period, field in (("window", "quota_left"), ("day", "day_left")):
            yield from self._gauge(field, min, **{"leadconnector.quota.period": period})


class OpenTelemetryObserver(Observer):
    """An `Observer` of requests to one API. Of what it does not hear, others' figures tell."""

    def __init__(self, telemetry: OpenTelemetry, base_url: str) -> None:
        self._telemetry = telemetry
        url = urlsplit(base_url)
        port = url.port or (80 if url.scheme == "http" else 443)
        self._server = {"server.address": url.hostname or "", "server.port": port}

    def trace(self) -> TraceContext | None:
        """See `Observer.trace`."""
        carrier: dict[str, str] = {}
        self._telemetry.propagator.inject(carrier)
        parent = carrier.get("traceparent")
        return None if parent is None else TraceContext(parent, carrier.get("tracestate"))

    def attach(self, source: Watched) -> None:
        """See `Observer.attach`."""
        self._telemetry.attach(source)

    def requested(self, exchange: Exchange) -> None:
        """See `Observer.requested`."""
        telemetry, slot = self._telemetry, exchange.slot
        place = self._place(exchange.location)
        attributes: dict[str, Any] = {
            "http.request.method": exchange.request.method,
            "url.template": template_of(exchange.request.path),
            **self._server,
            **place,
        }
        if exchange.response is not None:
            status = exchange.response.status
            attributes["http.response.status_code"] = status
            if status >= _FAILED:
                attributes["error.type"] = str(status)
        else:
            attributes["error.type"] = type(exchange.error).__name__
        seconds, ended_at = exchange.ended_at - slot.taken_at, time.time_ns()
        context = None  # the present one
        if (trace := exchange.trace) is not None:
            carrier = {"traceparent": trace.parent, "tracestate": trace.state or ""}
            context = telemetry.propagator.extract(carrier)
        telemetry.duration.record(seconds, attributes, context)
        telemetry.quota_wait.record(slot.waited, place)
        span = telemetry.tracer.start_span(
            f"{exchange.request.method} {attributes['url.template']}",
            context,
            telemetry.api.SpanKind.CLIENT,
            attributes,
            start_time=ended_at - round(seconds * 1e9),
        )
        if exchange.resends:
            span.set_attribute("http.request.resend_count", exchange.resends)
        if "error.type" in attributes:
            span.set_status(telemetry.api.StatusCode.ERROR)
        span.end(ended_at)

    def committed(self, settlements: Sequence[Settlement], seconds: float) -> None:
        """See `Observer.committed`."""
        self._telemetry.commit.record(seconds)
        counts: dict[tuple[str, str], int] = {}
        for settlement in settlements:
            if (outcome := _OUTCOMES.get(settlement.state)) is not None:
                of = settlement.claim.lease.location, outcome
                counts[of] = counts.get(of, 0) + 1
        for (location, outcome), count in counts.items():
            self._telemetry.records.add(count, {"outcome": outcome, **self._place(location)})

    def reconciled(self, result: str) -> None:
        """See `Observer.reconciled`."""
        self._telemetry.reconciliations.add(1, {"result": result})

    def _place(self, location: str) -> dict[str, str]:
        return {_LOCATION: location} if self._telemetry.locations else {}


name_public_place(globals())
