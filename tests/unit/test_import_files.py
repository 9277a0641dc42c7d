from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from math import nan
from typing import TYPE_CHECKING, Any

import pytest
from cli_harness import at, leadconnector, result_of, sms, write_jsonl
from fault_harness import QUICK, UNPACED

from leadconnector_async import (
    AccessError,
    ClosedError,
    ImportProgress,
    ImportSummary,
    LeadConnector,
    OutboxUnusableError,
    SourceError,
    import_files,
)
from leadconnector_async.sandbox import Latency, SandboxConfig, SandboxThread

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def imported(
    sandbox: SandboxThread,
    source: Path,
    outbox: Path | str,
    *,
    token: str | None = None,
    on_progress: Callable[[ImportProgress], object] | None = None,
    **settings: object,
) -> ImportSummary:
    """Import with a client of its own."""

    async def scenario() -> ImportSummary:
        async with LeadConnector(
            token or sandbox.token,
            location_id=sandbox.location_id,
            base_url=sandbox.url,
            limit=UNPACED,
            policy=QUICK,
        ) as api:
            return await import_files(
                api,
                [source],
                outbox=outbox,
                every=0.01,
                on_progress=on_progress,
                **settings,  # type: ignore[arg-type]  # as the test gives them
            )

    return asyncio.run(scenario())


def test_a_program_goes_on_where_the_command_ended(sandbox: SandboxThread, tmp_path: Path) -> None:
    """And the command where the program ended: one outbox, and nothing twice."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(n) for n in range(20)])
    words = ["import", history, *at(sandbox, tmp_path / "o.db"), "--json"]
    leadconnector(*words)
    write_jsonl(history, [*(sms(n) for n in range(30)), sms(30, direction="sideways")])
    summary = imported(sandbox, history, tmp_path / "o.db")
    assert (summary.sent, summary.sent_before, summary.skipped) == (10, 20, 20)
    assert (summary.failed, summary.ended, summary.error) == (1, "done", None)
    assert summary.by_reason[0].lines == [f"{history}:31"]
    again = result_of(leadconnector(*words).stdout)
    assert (again["staged"], again["sent"], again["sent_before"]) == (0, 0, 30)
    assert len(sandbox.messages) == 30


def test_sources_are_read_as_the_call_says(sandbox: SandboxThread, tmp_path: Path) -> None:
    """Columns, the zone of dates, and the country of numbers; and how contacts are had."""
    history = tmp_path / "h.csv"
    history.write_text(
        "kind,direction,contact.phone,date,message\nSMS,inbound,2015550123,2024-07-01,hi\n"
    )
    settings: dict[str, Any] = {"mapping": {"type": "kind"}, "region": "US"}
    settings["timezone"] = "America/New_York"
    summary = imported(sandbox, history, tmp_path / "o.db", contacts="find", **settings)
    assert (summary.sent, summary.failed) == (0, 1)
    summary = imported(sandbox, history, tmp_path / "p.db", **settings)
    assert (summary.sent, summary.failed) == (1, 0), summary.by_reason
    (message,) = sandbox.messages
    assert message.date == 1_719_806_400_000
    settings["timezone"] = UTC
    assert imported(sandbox, history, tmp_path / "q.db", **settings).sent == 1


@pytest.mark.slow
def test_progress_is_a_value(sandbox: SandboxThread, tmp_path: Path) -> None:
    """It grows to the end, and the last one says what was done."""
    history = write_jsonl(
        tmp_path / "h.jsonl", [*(sms(n) for n in range(600)), sms(1, id="x", direction="no")]
    )
    seen: list[ImportProgress] = []
    imported(sandbox, history, tmp_path / "o.db", on_progress=seen.append)
    last = seen[-1]
    assert (last.read, last.staged, last.sent, last.failed) == (601, 601, 600, 1)
    assert (last.unresolved, last.pending, last.total, last.done) == (0, 0, 600, 600)
    assert [one.sent for one in seen] == sorted(one.sent for one in seen)
    with pytest.raises(AttributeError):
        last.sent = 1  # type: ignore[misc]  # frozen


def test_what_stops_the_run_is_raised(sandbox: SandboxThread, tmp_path: Path) -> None:
    """A source, the outbox of another API, a token that no location takes, a closed client."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1)])
    with pytest.raises(SourceError):
        imported(sandbox, tmp_path / "none.csv", tmp_path / "o.db")
    config = SandboxConfig(tokens={"good-token": "good"})
    with SandboxThread(config) as strict, pytest.raises(AccessError):
        imported(strict, history, tmp_path / "strict.db", token="no-such-token")  # noqa: S106 - none
    imported(sandbox, history, tmp_path / "o.db")
    with SandboxThread() as other, pytest.raises(OutboxUnusableError):
        imported(other, history, tmp_path / "o.db")

    async def closed() -> None:
        async with LeadConnector("t", location_id="here") as api:
            pass
        await import_files(api, [history], outbox=tmp_path / "o.db")

    with pytest.raises(ClosedError):
        asyncio.run(closed())


@pytest.mark.slow
def test_what_a_callback_raises_ends_the_import(sandbox: SandboxThread, tmp_path: Path) -> None:
    """The same call again sends the rest, and nothing twice."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(n) for n in range(500)])

    def enough(progress: ImportProgress) -> None:
        if progress.sent:
            raise LookupError

    with pytest.raises(LookupError):
        imported(sandbox, history, tmp_path / "o.db", on_progress=enough)
    summary = imported(sandbox, history, tmp_path / "o.db")
    assert (summary.pending, summary.unresolved, summary.ended) == (0, 0, "done")
    assert len({message.alt_id for message in sandbox.messages}) == len(sandbox.messages) == 500


def test_a_piece_from_a_program(sandbox: SandboxThread, tmp_path: Path) -> None:
    """With the options of the command; the same call without them goes on."""
    source = write_jsonl(tmp_path / "h.jsonl", [sms(n) for n in range(30)])
    outbox = tmp_path / "o.db"
    found = imported(sandbox, source, outbox, limit=5, share=0.5)
    assert (found.sent, found.later, found.ended) == (5, 25, "done")
    found = imported(sandbox, source, outbox, until="2024-01-01T00:00:10Z", only=["SMS"])
    assert (found.sent, found.later) == (5, 20)
    found = imported(sandbox, source, outbox, run_for=0.0)
    assert (found.sent, found.pending, found.ended) == (0, 20, "time_up")
    found = imported(sandbox, source, outbox)
    assert (found.sent, found.later) == (20, 0)
    with pytest.raises(ValueError, match="limit is 0"):
        imported(sandbox, source, outbox, limit=0)


def test_a_callback_may_be_a_coroutine_function(sandbox: SandboxThread, tmp_path: Path) -> None:
    """It is awaited, and what it raises ends the import too."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(n) for n in range(5)])
    seen: list[ImportProgress] = []

    async def tell(progress: ImportProgress) -> None:
        await asyncio.sleep(0)
        seen.append(progress)

    async def fail(_: ImportProgress) -> None:
        raise LookupError

    imported(sandbox, history, tmp_path / "o.db", on_progress=tell)
    assert seen[-1].sent == 5
    with pytest.raises(LookupError):
        imported(sandbox, history, tmp_path / "o.db", on_progress=fail)


@pytest.mark.parametrize("name", ["sources", "mine", "only"])
def test_a_text_is_not_a_list_of_its_letters(tmp_path: Path, name: str) -> None:
    """The first one of a path is the root folder."""
    given: dict[str, Any] = {"sources": [], name: "/h.csv"}

    async def scenario() -> None:
        async with LeadConnector("t", location_id="here") as api:
            await import_files(api, **given, outbox=tmp_path / "o.db")

    with pytest.raises(TypeError, match=f"{name} is a str: give a list"):
        asyncio.run(scenario())


@pytest.mark.parametrize("name", ["every", "stats_every"])
@pytest.mark.parametrize("seconds", [0, -1.0, nan])
def test_nothing_is_told_without_a_pause(tmp_path: Path, name: str, seconds: float) -> None:
    """It would take all of the time: the call is refused before it begins."""
    given: dict[str, Any] = {name: seconds}

    async def scenario() -> None:
        async with LeadConnector("t", location_id="here") as api:
            await import_files(api, [], **given, outbox=tmp_path / "o.db")

    with pytest.raises(ValueError, match=f"^{name} is {seconds}: give `float` > 0"):
        asyncio.run(scenario())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("run_for", -1.0),
        ("run_for", nan),
        ("every", None),
        ("concurrency", "4"),
        ("limit", 0.5),
        ("limit_conversations", -1),
        ("region", 1),
        ("provider", 1),
        ("timezone", 1),
        ("api", None),
    ],
)
def test_an_argument_that_is_none_is_refused_by_its_name(
    tmp_path: Path, name: str, value: object
) -> None:
    """At the call: some were taken for another one, others failed deep within."""

    async def scenario() -> None:
        async with LeadConnector("t", location_id="here") as api:
            given: dict[str, Any] = {"api": api, "outbox": tmp_path / "o.db", name: value}
            await import_files(sources=[], **given)

    with pytest.raises((TypeError, ValueError), match=f"^{name} is .*: give"):
        asyncio.run(scenario())


@pytest.mark.skipif(sys.platform == "win32", reason="an open file stays in its place there")
@pytest.mark.parametrize(("outbox", "concurrency"), [("", None), (":memory:", None), ("o", 0)])
def test_what_an_ingestor_refuses_is_refused(
    sandbox: SandboxThread, tmp_path: Path, outbox: str, concurrency: int | None
) -> None:
    """By the same words: 0 requests at once were as many as there may be."""
    place = str(tmp_path / "o.db") if outbox == "o" else outbox
    with pytest.raises(ValueError, match=r"no file|concurrency is 0"):
        imported(sandbox, tmp_path / "none.csv", place, concurrency=concurrency)


def test_an_outbox_that_is_taken_away_meanwhile_is_asked_for(tmp_path: Path) -> None:
    """Whoever runs the same command again without it sends all of it twice; with it, nothing."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(n) for n in range(20)])
    folder = tmp_path / "away"
    folder.mkdir()
    outbox = folder / "o.db"

    def move(progress: ImportProgress) -> None:
        if progress.sending and folder.exists():
            folder.rename(tmp_path / "moved")

    with SandboxThread(SandboxConfig(latency=Latency(up=0.3))) as sandbox:
        with pytest.raises(OutboxUnusableError, match="put it back"):
            imported(sandbox, history, outbox, on_progress=move)
        (tmp_path / "moved").rename(folder)
        imported(sandbox, history, outbox)
        assert len(sandbox.messages) == 20


def test_signals_in_a_thread_are_refused(sandbox: SandboxThread, tmp_path: Path) -> None:
    """Python has them in the main thread alone: the call says so before anything is staged."""
    source = write_jsonl(tmp_path / "h.jsonl", [sms(1)])
    outbox = tmp_path / "o.db"
    with ThreadPoolExecutor(1) as thread:
        call = thread.submit(imported, sandbox, source, outbox, handle_signals=True)
        with pytest.raises(ValueError, match="leave handle_signals out"):
            call.result()
    assert not outbox.exists()
