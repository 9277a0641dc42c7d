from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from cli_harness import sms, write_jsonl
from fault_harness import UNPACED
from outbox_kit import run_apart

from leadconnector_async import AccessError, LeadConnector, OutboxError, Policy, SourceError
from leadconnector_async.importer import Importer
from leadconnector_async.outbox.open import read_outbox
from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox
from leadconnector_async.reports.outbox_status import status_of
from leadconnector_async.sandbox import Latency, Sandbox, SandboxConfig
from leadconnector_async.sources import SourceOptions
from leadconnector_async.sources.batch_reader import SourceReader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from leadconnector_async.delivery.results import RunStats


async def imported(
    sandbox: Sandbox,
    sources: Sequence[Path],
    outbox: Path,
    *,
    location: str | None = "here",
    meanwhile: Callable[[Importer], None] | None = None,
) -> Importer:
    """Run one import."""
    reader = SourceReader([str(source) for source in sources], SourceOptions())
    async with (
        LeadConnector("t", base_url=sandbox.url, limit=UNPACED, policy=Policy(patience=5.0)) as api,
        await SqliteOutbox.open(outbox) as store,
    ):
        importer = Importer(api.session, store, reader, location=location)
        if meanwhile is not None:
            meanwhile(importer)
        await importer.run()
    return importer


def run(sources: Sequence[Path], outbox: Path, **settings: object) -> tuple[RunStats, Sandbox]:
    """Import into a sandbox of its own."""

    async def scenario() -> tuple[RunStats, Sandbox]:
        async with Sandbox() as sandbox:
            importer = await imported(sandbox, sources, outbox, **settings)  # type: ignore[arg-type]
            return importer.stats, sandbox

    return asyncio.run(scenario())


@pytest.mark.slow
def test_every_record_is_sent_once_in_date_order(tmp_path: Path) -> None:
    """Whatever the order of the file, a contact's messages arrive by date."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(n) for n in reversed(range(500))])
    stats, sandbox = run([history], tmp_path / "o.db")
    assert (stats.staged, stats.sent, stats.requests) == (500, 500, 500)
    by_contact: dict[str, list[object]] = {}
    for message in sandbox.messages:
        by_contact.setdefault(str(message.contact_id), []).append(message.date)
    assert len(by_contact) == 20
    assert all(dates == sorted(dates) for dates in by_contact.values())  # type: ignore[type-var]


@pytest.mark.parametrize("dates", ["97766", "999", "7788", "86797", "9976543218887", "776"])
def test_equal_dates_stay_in_order_unless_the_source_is_newest_first(
    tmp_path: Path, dates: str
) -> None:
    """Exports without seconds, newest first, have answers above their questions."""
    made = [sms(at, id=f"m{at}", contactId="c1") for at in range(len(dates))]
    for record, date in zip(made, dates, strict=True):
        record["date"] = f"2024-01-0{date}T00:00:00Z"
    made.insert(4, {**sms(0), "type": "nonsense", "id": "bad"})
    _, sandbox = run([write_jsonl(tmp_path / "h.jsonl", made)], tmp_path / "o.db")
    came = [message.fields["message"] for message in sandbox.messages]
    falls = [*dates] == sorted(dates, reverse=True) and len({*dates}) > 2
    order = sorted(range(len(dates)), key=lambda at: (dates[at], -at if falls else at))
    assert came == [f"secret text {at}" for at in order]


def test_records_name_their_location(tmp_path: Path) -> None:
    """A record's own location wins over the default."""
    where = ["a", "b", None, "a"]
    records = [sms(n, locationId=location) for n, location in enumerate(where)]
    history = write_jsonl(tmp_path / "h.jsonl", records)
    run([history], tmp_path / "o.db")
    counts = {
        of.location: of.sent
        for of in run_apart(read_outbox(tmp_path / "o.db", status_of)).locations
    }
    assert counts == {"a": 2, "b": 1, "here": 1}


def test_two_equal_records_are_two_and_stay_two(tmp_path: Path) -> None:
    """Without ids, equal lines of one file are told apart; read again, they are known."""
    record = {**sms(1), "id": None}
    history = write_jsonl(tmp_path / "h.jsonl", [record, record, record])
    first, sandbox = run([history], tmp_path / "o.db")
    assert len(sandbox.messages) == first.sent == 3
    again, sandbox = run([history], tmp_path / "o.db")
    assert (again.skipped, again.sent, len(sandbox.messages)) == (3, 0, 0)


async def test_an_id_that_is_given_to_two_records_fails_the_second(tmp_path: Path) -> None:
    """Its text would be lost without a word."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1), sms(1, message="another"), sms(2)])
    async with Sandbox() as sandbox:
        importer = await imported(sandbox, [history], tmp_path / "o.db")
        assert importer.stats.sent == 2
        assert importer.stats.refused == 1


async def test_a_stop_while_sending_settles_what_is_in_flight(tmp_path: Path) -> None:
    """``left`` counts down to what is still to be sent, and agrees with the outbox."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(n) for n in range(300)])
    config = SandboxConfig(latency=Latency(up=0.005, down=0.005))
    async with Sandbox(config) as sandbox:

        def stop_soon(importer: Importer) -> None:
            def look() -> None:
                if len(sandbox.messages) > 30:
                    importer.stop()
                else:
                    asyncio.get_running_loop().call_later(0.002, look)

            look()

        importer = await imported(sandbox, [history], tmp_path / "o.db", meanwhile=stop_soon)
        left = sum(importer.left.values())
        assert 0 < left == 300 - len(sandbox.messages)
        assert run_apart(read_outbox(tmp_path / "o.db", status_of)).pending == left


def test_a_stop_while_reading_sends_nothing(tmp_path: Path) -> None:
    """What was staged waits for the next run, which reads the rest."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(n) for n in range(10)])
    stats, sandbox = run([history], tmp_path / "o.db", meanwhile=Importer.stop)
    assert (stats.staged, len(sandbox.messages)) == (0, 0)
    stats, _ = run([history], tmp_path / "o.db")
    assert stats.sent == 10


async def test_a_location_that_cannot_go_on_stops_alone(tmp_path: Path) -> None:
    """Its error is kept, and the others are sent."""
    records = [sms(n, locationId=where) for n in range(20) for where in ("good", "bad")]
    history = write_jsonl(tmp_path / "h.jsonl", records)
    async with Sandbox(SandboxConfig(tokens={"t": "good", "other": "bad"})) as sandbox:

        class Tokens:
            async def token(self, location_id: str) -> str:
                return "t" if location_id == "good" else "wrong"

            async def renew(self, location_id: str, refused: str) -> str | None:
                del location_id, refused
                return None

        reader = SourceReader([str(history)], SourceOptions())
        async with (
            LeadConnector(Tokens(), base_url=sandbox.url, limit=None) as api,
            await SqliteOutbox.open(tmp_path / "o.db") as store,
        ):
            importer = Importer(api.session, store, reader)
            await importer.run()
        assert importer.stats.sent == 20
        assert importer.sending.errors.keys() == {"bad"}
        assert isinstance(importer.sending.errors["bad"], AccessError)


def test_a_source_that_breaks_off_stops_the_import_before_it_sends(tmp_path: Path) -> None:
    """What was staged is sent when the source is mended."""
    good = write_jsonl(tmp_path / "good.jsonl", [sms(1)])
    bad = tmp_path / "bad.jsonl"
    bad.write_text("")
    with pytest.raises(SourceError, match="empty"):
        run([good, bad], tmp_path / "o.db")
    write_jsonl(bad, [sms(2)])
    stats, _ = run([good, bad], tmp_path / "o.db")
    assert (stats.staged, stats.skipped, stats.sent) == (1, 1, 2)


async def test_an_outbox_that_fails_stops_the_import(tmp_path: Path) -> None:
    """Nothing is sent without its claim on disk."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1)])
    async with Sandbox() as sandbox, LeadConnector("t", base_url=sandbox.url) as api:
        store = await SqliteOutbox.open(tmp_path / "o.db")
        reader = SourceReader([str(history)], SourceOptions())
        importer = Importer(api.session, store, reader, location="here")
        await store.close()
        with pytest.raises(OutboxError):
            await importer.run()
        assert not sandbox.messages


def test_a_grown_file_adds_what_is_new(tmp_path: Path) -> None:
    """Nothing that is known is sent again, wherever the new lines stand."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(n) for n in range(10)])
    run([history], tmp_path / "o.db")
    write_jsonl(history, [sms(n) for n in range(-5, 15)])
    stats, sandbox = run([history], tmp_path / "o.db")
    assert (stats.staged, stats.skipped) == (10, 10)
    assert Counter(message.alt_id for message in sandbox.messages) == Counter(
        f"m{n}" for n in (*range(-5, 0), *range(10, 15))
    )
