"""``--metrics``: names, labels and figures, as Prometheus reads them, and the dashboard's names."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import sys
import urllib.request
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cli_harness import at, leadconnector, result_of, sms, started, wait_until, write_jsonl
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from worker_harness import stage

from leadconnector_async import Latency, LocationStatistics, Statistics
from leadconnector_async.cli.metrics import Metrics
from leadconnector_async.sandbox import Fault, SandboxConfig, SandboxThread

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "metrics.md").read_text("utf-8")
DASHBOARD = json.loads((DOCS / "grafana.json").read_text("utf-8"))
LATENCY = Latency(count=3, total=1.5, p50=0.5, p90=0.6, p99=0.6, max=0.6)
BUSY = LocationStatistics(
    pending=5, sent=2, rejected=1, requests=4, quota_left=60, day_left=7, lane_depth=3
)
STOPPED = LocationStatistics(
    pending=2, requests=1, quota_left=90, lane_depth=4, paused="no_access", pauses={"no_access": 1}
)
STATISTICS = Statistics(
    time=0.0,
    age=1.0,
    read=10,
    rate=2.0,
    request_rate=2.0,
    seconds_left=3.0,
    reconciliations={"found": 1},
    request_latency=LATENCY,
    settle_latency=LATENCY,
    commit_latency=LATENCY,
    locations={"busy": BUSY, "stopped": STOPPED},
)


def told(text: str) -> dict[tuple[str, ...], float]:
    """Each sample: its name, its labels' values, and its figure."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def served(*, locations: bool) -> dict[tuple[str, ...], float]:
    """What is told of statistics that have something of all."""
    metrics = Metrics(locations=locations)
    metrics.read = lambda: STATISTICS
    registry = CollectorRegistry()
    registry.register(metrics)
    return told(generate_latest(registry).decode())


def test_locations_stand_together() -> None:
    """As sums; but the least that is left, and the deepest lane."""
    found = served(locations=False)
    assert found["leadconnector_pending_records",] == 7
    assert found["leadconnector_quota_left_requests",] == 60
    assert found["leadconnector_day_left_requests",] == 7
    assert found["leadconnector_lane_depth_records",] == 4
    assert found["leadconnector_requests_total",] == 5
    assert found["leadconnector_records_total", "sent"] == 2
    assert found["leadconnector_paused_locations", "no_access"] == 1
    assert found["leadconnector_request_duration_seconds", "0.5"] == 0.5
    assert found["leadconnector_request_duration_seconds_count",] == 3
    assert not any("busy" in sample for sample in found)


def test_each_location_has_its_own_where_that_is_asked_for() -> None:
    """By the label ``location``; what they share has none."""
    found = served(locations=True)
    assert found["leadconnector_pending_records", "busy"] == 5
    assert found["leadconnector_records_total", "busy", "rejected"] == 1
    assert found["leadconnector_pauses_total", "stopped", "no_access"] == 1
    assert found["leadconnector_read_records_total",] == 10


def emitted() -> set[str]:
    """The names of all metrics, as the statistics above have them."""
    names = {sample[0] for sample in served(locations=False)}
    return {re.sub("_(total|count|sum)$", "", name) for name in names}


def test_the_page_names_each_metric() -> None:
    """And no other; those that were not known above stand there too."""
    section = PAGE.partition("### Metrics\n")[2]
    listed = set(re.findall(r"^\| `(leadconnector_\w+)` \|", section, re.MULTILINE))
    assert listed - emitted() == {
        f"leadconnector_{name}_requests" for name in ("quota_limit", "day_limit")
    }
    assert emitted() <= listed


def expressions(found: Any) -> Iterator[str]:  # noqa: ANN401 - JSON of any depth
    """What the dashboard asks Prometheus, wherever it stands."""
    if isinstance(found, dict):
        for name, value in found.items():
            if name in {"expr", "definition"}:
                yield value
            else:
                yield from expressions(value)
    elif isinstance(found, list):
        for value in found:
            yield from expressions(value)


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    """Counters by their whole name; and each metric of the page is shown somewhere."""
    asked = set(re.findall(r"leadconnector_\w+", " ".join(expressions(DASHBOARD))))
    rows = re.findall(r"^\| `(leadconnector_\w+)` \| (\w+) \|", PAGE, re.MULTILINE)
    ends = {"counter": ["_total"], "gauge": [""], "summary": ["", "_count", "_sum"]}
    there = {name + end for name, kind in rows for end in ends[kind]}
    assert asked <= there
    assert {name for name, _ in rows} <= {re.sub("_(total|count|sum)$", "", a) for a in asked}


def test_the_dashboard_is_one_that_grafana_imports() -> None:
    """Each panel has a place of its own, a data source that is chosen, and something to show."""
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 10
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels)
    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in panels)
    assert all(panel["targets"] and panel["title"] for panel in panels)
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert variables == {"datasource", "job"}
    assert DASHBOARD["schemaVersion"] >= 36


def free_port() -> int:
    """One that nobody listens on, and that no system gives out meanwhile to who asks for any."""
    for port in range(10_000 + 10 * os.getpid() % 20_000, 32_768):
        with suppress(OSError), closing(socket.socket()) as free:
            free.bind(("127.0.0.1", port))
            return port
    raise AssertionError


def scraped(port: int) -> dict[tuple[str, ...], float]:
    """What is served; nothing where nobody does."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as response:
            return told(response.read().decode())
    except OSError:
        return {}


@pytest.mark.slow
def test_an_import_serves_its_figures_while_it_runs(tmp_path: Path) -> None:
    """They are those of the sandbox; and the port is free afterwards."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(number) for number in range(20)])
    port = free_port()
    hangs = Fault("hang", nth=(20,), seconds=600.0)
    found: dict[tuple[str, ...], float] = {}

    def all_but_one() -> bool:
        found.update(scraped(port))
        return found.get(("leadconnector_records_total", "sent")) == 19

    with (
        SandboxThread(SandboxConfig(closed=False, faults=(hangs,))) as sandbox,
        started(
            *("import", history, *at(sandbox, tmp_path / "o.db"), "--json"),
            *("--metrics", f"127.0.0.1:{port}", "--concurrency", "1"),
        ) as process,
    ):
        wait_until(all_but_one)
        process.kill()
    assert found["leadconnector_pending_records",] == 1
    assert found["leadconnector_staged_records_total",] == 20
    assert found["leadconnector_in_flight_records",] == 1
    assert scraped(port) == {}


@pytest.mark.slow
def test_a_worker_serves_what_its_locations_have_left(postgres_place: str) -> None:
    """Also what it has not claimed yet."""
    port = free_port()
    asyncio.run(stage(postgres_place, 2, 30))
    found: dict[tuple[str, ...], float] = {}

    def pending() -> bool:
        found.update(scraped(port))
        return found.get(("leadconnector_pending_records",)) == 60

    hangs = Fault("hang", seconds=600.0)
    with (
        SandboxThread(SandboxConfig(trusting=True, faults=(hangs,))) as sandbox,
        started(
            *("worker", "--outbox", postgres_place, "--base-url", sandbox.url, "--drain"),
            LEADCONNECTOR_TOKEN=sandbox.token,
            LEADCONNECTOR_METRICS=f"127.0.0.1:{port}",
        ) as process,
    ):
        wait_until(pending)
        process.kill()
    assert found["leadconnector_out_of_reach_seconds",] == 0


def test_a_port_that_is_taken_is_a_clear_error(sandbox: SandboxThread, tmp_path: Path) -> None:
    """Before anything is staged."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1)])
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        words = ["import", history, *at(sandbox, tmp_path / "o.db"), "--metrics", address]
        result = leadconnector(*words)
    assert result.exit_code == 1
    assert f"--metrics {address} cannot be used: Address already in use. Choose" in result.stderr
    assert not (tmp_path / "o.db").exists()


def test_without_the_extra_its_name_is_told(
    sandbox: SandboxThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And an import without the option needs none."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1)])
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    words = ["import", history, *at(sandbox, tmp_path / "o.db"), "--json"]
    result = leadconnector(*words, "--metrics", "127.0.0.1:0")
    assert result.exit_code == 1
    assert "pip install 'leadconnector-async[metrics]'" in result.stderr
    assert result_of(leadconnector(*words).stdout)["sent"] == 1


@pytest.mark.parametrize("value", ["9464", "here:port", ":1", "here:65536"])
def test_an_address_is_a_host_and_a_port(value: str) -> None:
    """Anything else is wrong usage."""
    result = leadconnector("import", "x", "--outbox", "o.db", "--token", "t", "--metrics", value)
    assert result.exit_code == 2
    assert "is not HOST:PORT" in result.stderr
