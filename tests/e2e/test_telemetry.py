"""What OpenTelemetry is told, by its real SDK: instruments, spans, and whose trace they are in."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fault_harness import SHORT_PAUSES, client, records
from msgspec.structs import replace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, format_trace_id
from worker_harness import asked

from leadconnector_async import (
    AccessError,
    Contact,
    InboundMessage,
    Ingestor,
    LeadConnector,
    OpenTelemetry,
    Record,
    Sent,
)
from leadconnector_async.observer import Observer
from leadconnector_async.reports.telemetry import BUCKETS, template_of
from leadconnector_async.sandbox import Fault, Limits, Sandbox, SandboxConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace import ReadableSpan

PAGE = (Path(__file__).parents[2] / "docs/metrics.md").read_text("utf-8")
OPEN = SandboxConfig(trusting=True, closed=False)
PHONE, EMAIL, TEXT = "+12015550123", "jane.roe@example.org", "a text of its own"


class Telling:
    """Real providers in memory, and what they were told."""

    def __init__(self, *, locations: bool = False) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.telemetry = OpenTelemetry(
            tracer_provider=self.tracers,
            meter_provider=MeterProvider([self.reader]),
            locations=locations,
        )
        self.tracer = self.tracers.get_tracer("the program's own")

    @property
    def spans(self) -> list[ReadableSpan]:
        """Those of requests, in their order."""
        spans = self.exporter.get_finished_spans()
        return [span for span in spans if span.kind is SpanKind.CLIENT]

    def metrics(self) -> dict[str, Any]:
        """Each instrument that has told something."""
        data = self.reader.get_metrics_data()
        assert data is not None
        return {
            metric.name: metric
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def points(self) -> Iterator[tuple[str, dict[str, Any], Any]]:
        """Each point, with its instrument's name and its attributes."""
        for name, metric in self.metrics().items():
            for point in metric.data.data_points:
                yield name, dict(point.attributes), point


def trace_id(span: Any) -> str:  # noqa: ANN401 - the SDK has several kinds
    """The trace that a span is in."""
    return format_trace_id(span.get_span_context().trace_id)


FAULTS = (
    Fault("422", nth=(3,)),
    Fault("429", nth=(5,)),
    Fault("drop", when="after", nth=(9,)),
)


def everything(telling: Telling, outbox: Path) -> dict[str, Any]:
    """Send what meets all there is: an end of each kind, doubts, contacts; return the metrics."""

    async def scenario() -> dict[str, Any]:
        limits = replace(SHORT_PAUSES, daily=1_000)
        async with (
            Sandbox(replace(OPEN, faults=FAULTS, limits=limits)) as sandbox,
            client(sandbox, telling.telemetry) as api,
            Ingestor(api, outbox=outbox) as ingestor,
        ):
            named = InboundMessage(type="SMS", direction="inbound", message=TEXT)
            history = [
                *records(30),
                Record(id="named", message=named, contact=Contact(phone=PHONE, email=EMAIL)),
            ]
            outcomes = [outcome async for outcome in ingestor.run(history)]
            assert len(outcomes) == 31
            return telling.metrics()

    return asyncio.run(scenario())


def listed(heading: str) -> dict[str, str]:
    """The first two columns of a table of the page."""
    section = PAGE.partition(f"### {heading}\n")[2].partition("\n#")[0]
    return dict(re.findall(r"^\| `([\w.]+)` \| (.+?) \|", section, re.MULTILINE))


@pytest.mark.slow
def test_each_instrument_is_emitted_and_on_the_page(tmp_path: Path) -> None:
    """With the unit that the page says, and no other instrument."""
    found = everything(Telling(), tmp_path / "o.db")
    units = {name: metric.unit or "1" for name, metric in found.items()}
    assert {name: unit.strip("`") for name, unit in listed("Instruments").items()} == units


@pytest.mark.slow
def test_each_attribute_is_emitted_and_on_the_page(tmp_path: Path) -> None:
    """Those of spans and of metrics; and no other."""
    telling = Telling(locations=True)
    everything(telling, tmp_path / "o.db")
    told = {key for span in telling.spans for key in span.attributes or ()}
    told |= {key for _, attributes, _ in telling.points() for key in attributes}
    assert told == set(listed("Attributes"))


@pytest.mark.slow
def test_what_the_metrics_count(tmp_path: Path) -> None:
    """Ends by outcome, looks by result, and requests by their answers."""
    telling = Telling()
    everything(telling, tmp_path / "o.db")
    counted = {
        (name, *attributes.values()): point.value
        for name, attributes, point in telling.points()
        if hasattr(point, "value")
    }
    assert counted["leadconnector.records", "sent"] == 30
    assert counted["leadconnector.records", "rejected"] == 1
    assert counted["leadconnector.reconciliations", "found"] == 1
    assert counted["leadconnector.outbox.pending",] == 0
    assert counted["leadconnector.quota.remaining", "day"] < 1_000
    durations = [
        (attributes, point)
        for name, attributes, point in telling.points()
        if name == "http.client.request.duration"
    ]
    assert all(tuple(point.explicit_bounds) == BUCKETS for _, point in durations)
    assert sum(point.count for _, point in durations) == len(telling.spans)
    errors = {attributes.get("error.type") for attributes, _ in durations}
    assert errors == {None, "422", "429", "FateUnknownError"}


@pytest.mark.slow
def test_spans_have_the_stable_names(tmp_path: Path) -> None:
    """Of HTTP's client: method, server, status, error, how often it was sent before."""
    telling = Telling()
    everything(telling, tmp_path / "o.db")
    (refused,) = [s for s in telling.spans if (s.attributes or {}).get("error.type") == "422"]
    assert refused.name == "POST /conversations/messages/inbound"
    assert refused.status.status_code is StatusCode.ERROR
    attributes = dict(refused.attributes or {})
    assert attributes.pop("server.address") == "127.0.0.1"
    assert isinstance(attributes.pop("server.port"), int)
    assert attributes == {
        "http.request.method": "POST",
        "url.template": "/conversations/messages/inbound",
        "http.response.status_code": 422,
        "error.type": "422",
    }
    again = [s for s in telling.spans if "http.request.resend_count" in (s.attributes or {})]
    assert [(s.attributes or {})["http.request.resend_count"] for s in again] == [1]
    assert all(s.end_time and s.start_time and s.end_time >= s.start_time for s in telling.spans)


@pytest.mark.slow
@pytest.mark.parametrize("locations", [True, False])
def test_nothing_told_is_a_secret(tmp_path: Path, *, locations: bool) -> None:
    """No text, token, number or address, no id; and a location's id only where it is asked for."""
    telling = Telling(locations=locations)
    everything(telling, tmp_path / "o.db")
    told = " ".join(span.to_json() for span in telling.spans) + repr(list(telling.points()))
    for secret in (PHONE, PHONE[1:], EMAIL, TEXT, OPEN.token, "contact1", "text ", "named"):
        assert secret not in told
    assert (OPEN.location_id in told) == locations


def test_a_path_keeps_the_words_of_the_api_alone() -> None:
    """Whatever an id looks like."""
    assert template_of("/contacts/ve9EPM428h8vShlRW1KT?x=1") == "/contacts/{id}"
    assert template_of("/conversations/messages/email/jane") == "/conversations/messages/email/{id}"
    assert template_of("/contacts/search/duplicate?number=%2B1") == "/contacts/search/duplicate"


@pytest.mark.parametrize("durable", [True, False])
async def test_a_submitted_record_is_sent_in_the_trace_of_its_caller(
    tmp_path: Path, *, durable: bool
) -> None:
    """Each in its own, its look-ups too, though one task sends all; one without a trace in none."""
    telling = Telling()
    async with (
        Sandbox(OPEN) as sandbox,
        client(sandbox, telling.telemetry) as api,
        Ingestor(api, outbox=tmp_path / "o.db" if durable else None) as ingestor,
    ):
        ids = []
        for number, one in enumerate(records(3)):
            with telling.tracer.start_as_current_span("caller") as span:
                ids.append(trace_id(span))
                named = replace(one.message, contact_id=None)
                contact = Contact(phone=f"+1201555010{number}")
                await ingestor.submit(Record(message=named, contact=contact))
        await ingestor.submit(records(1)[0])
        *own, without = telling.spans
        assert {trace_id(span) for span in own} == set(ids)
        assert trace_id(without) not in ids
        assert without.parent is None
        for one_id in ids:
            names = [span.name for span in own if trace_id(span) == one_id]
            assert names[-1] == "POST /conversations/messages/inbound"
            assert len(names) > 1


async def test_a_trace_outlives_its_process(tmp_path: Path) -> None:
    """It is kept in the file with the record, and is gone from there once the record has an end."""
    first, second = Telling(), Telling()
    outbox = tmp_path / "o.db"
    down = replace(OPEN, faults=(Fault("503"),))
    async with Sandbox(down) as sandbox, client(sandbox, first.telemetry) as api:
        with first.tracer.start_as_current_span("caller") as span:
            async with Ingestor(api, outbox=outbox) as ingestor:
                waiting = asyncio.create_task(ingestor.submit(records(1)[0]))
                while not first.spans:  # noqa: ASYNC110 - nothing tells
                    await asyncio.sleep(0.01)
                ingestor.stop()
            await asyncio.wait([waiting])
    async with (
        Sandbox(OPEN) as sandbox,
        client(sandbox, second.telemetry) as api,
        Ingestor(api, outbox=outbox) as ingestor,
    ):
        assert [o async for o in ingestor.run()]
    assert {trace_id(one) for one in (*first.spans, *second.spans)} == {trace_id(span)}
    assert traces(outbox) == []


def traces(outbox: Path) -> list[Any]:
    """What the file keeps of traces."""
    import sqlite3  # noqa: PLC0415 - here alone
    from contextlib import closing  # noqa: PLC0415 - the same

    with closing(sqlite3.connect(outbox)) as connection:
        return connection.execute("SELECT * FROM trace").fetchall()


@pytest.mark.slow
async def test_a_trace_goes_to_another_process(postgres_place: str) -> None:
    """Who only submits is in another process than who sends: the database has it between."""
    caller, sender = Telling(), Telling()
    async with (
        Sandbox(OPEN) as sandbox,
        client(sandbox, caller.telemetry) as theirs,
        client(sandbox, sender.telemetry) as ours,
        Ingestor(theirs, outbox=postgres_place, role="submit") as submitting,
        Ingestor(ours, outbox=postgres_place),
    ):
        with caller.tracer.start_as_current_span("caller") as span:
            assert isinstance(await submitting.submit(records(1)[0]), Sent)
        assert [trace_id(one) for one in sender.spans] == [trace_id(span)]
        assert caller.spans == []
        assert await asked(postgres_place, "SELECT count(*) FROM trace") == 0


class Broken(SpanProcessor):
    """One with a fault."""

    def on_end(self, span: ReadableSpan) -> None:
        """Fail at whatever it is told."""
        raise LookupError(span.name)


async def test_a_processor_with_a_fault_ends_no_sending(caplog: pytest.LogCaptureFixture) -> None:
    """The message was stored, and its caller told that it failed; it is logged once."""
    telling = Telling()
    telling.tracers.add_span_processor(Broken())
    async with (
        Sandbox(OPEN) as sandbox,
        client(sandbox, telling.telemetry) as api,
        Ingestor(api) as ingestor,
    ):
        assert [type(await ingestor.submit(one)) for one in records(2)] == [Sent, Sent]
    assert caplog.text.count("telemetry raised LookupError") == 1


class Failing(Observer):
    """Raises at whatever it is told, and notes what."""

    def __init__(self) -> None:
        self.told: set[str] = set()

    def __getattribute__(self, name: str) -> Any:  # noqa: ANN401 - whatever it is
        if name not in vars(Observer) or name.startswith("_"):
            return super().__getattribute__(name)

        def fail(*_: object) -> None:
            self.told.add(name)
            raise LookupError(name)

        return fail

    def observer(self, _: str) -> Observer:
        """See `Telemetry.observer`."""
        return self


async def test_an_observer_that_raises_ends_no_sending(tmp_path: Path) -> None:
    """Whatever it is told, as of a program's own: each end, commit, look, pause and request."""
    failing, limits = Failing(), replace(SHORT_PAUSES, daily=1_000)
    async with (
        Sandbox(replace(OPEN, faults=FAULTS, limits=limits)) as sandbox,
        client(sandbox, failing) as api,
        Ingestor(api, outbox=tmp_path / "o.db") as ingestor,
    ):
        other, *history = records(31)
        assert len([outcome async for outcome in ingestor.run(history)]) == 30
        assert isinstance(await ingestor.submit(other), Sent)
        assert len(sandbox.messages) == 30
    expected = {name for name in vars(Observer) if not name.startswith("_")}
    assert failing.told == expected - {"ended"}  # of a database alone


async def test_one_message_is_in_the_trace_of_who_awaits_it() -> None:
    """Without any ingestor."""
    telling = Telling()
    async with Sandbox(OPEN) as sandbox, client(sandbox, telling.telemetry) as api:
        with telling.tracer.start_as_current_span("caller") as span:
            await api.add_inbound_message(records(1)[0].message)
        assert [trace_id(one) for one in telling.spans] == [trace_id(span)]


def test_gauges_are_of_all_locations_unless_they_are_asked_for(tmp_path: Path) -> None:
    """Pending together, and the least that is left of a quota; or of each."""
    limits = Limits(window="off", max=50, interval=10.0, daily=100)

    async def scenario(*, locations: bool) -> set[tuple[object, ...]]:
        telling = Telling(locations=locations)
        async with (
            Sandbox(replace(OPEN, limits=limits, apart=True)) as sandbox,
            client(sandbox, telling.telemetry) as api,
            Ingestor(api, outbox=tmp_path / f"{locations}.db") as ingestor,
        ):
            for number, one in enumerate(records(3)):
                await ingestor.submit(replace(one, location_id=f"place{number % 2}"))
            return {
                (*attributes.values(), point.value)
                for name, attributes, point in telling.points()
                if name == "leadconnector.quota.remaining"
            }

    assert asyncio.run(scenario(locations=False)) == {("window", 48), ("day", 98)}
    assert asyncio.run(scenario(locations=True)) == {
        *(("window", "place0", 48), ("window", "place1", 49)),
        *(("day", "place0", 98), ("day", "place1", 99)),
    }


async def test_gauges_are_of_what_is_open(tmp_path: Path) -> None:
    """Not of an ingestor that has ended, though the program has it still, once another is there."""
    telling = Telling()

    def pending() -> int:
        name = "leadconnector.outbox.pending"
        return next(int(point.value) for of, _, point in telling.points() if of == name)

    async with (
        Sandbox(SandboxConfig(tokens={"good": "here"})) as sandbox,
        LeadConnector(
            "bad", location_id="here", base_url=sandbox.url, telemetry=telling.telemetry
        ) as api,
    ):
        first, second = (Ingestor(api, outbox=tmp_path / "o.db") for _ in range(2))
        async with first:
            with pytest.raises(AccessError):
                await first.submit(records(1)[0])
        assert pending() == 1
        async with second:
            assert pending() == 1
