"""Imports into one database, beside each other and beside workers: each as one more worker."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from cli_harness import leadconnector, result_of, sms, started, wait_until, write_jsonl
from worker_harness import PATIENCE_S, drained, how_often, members, records_of, start, wait_for

from leadconnector_async import LeadConnector, Policy, Timeouts, import_files
from leadconnector_async.outbox.postgres.outbox import PostgresOutbox
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.sandbox import Latency, Sandbox, SandboxConfig, SandboxThread

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from leadconnector_async.reports.progress import ImportProgress

SLOW = SandboxConfig(latency=Latency(up=0.02, down=0.02), trusting=True)


def history(path: Path, numbers: range, locations: int = 12) -> Path:
    """Write a file of records in several locations."""
    records = [
        sms(n, contactId=f"c{n % 60:019}", locationId=f"location{n % locations:012}")
        for n in numbers
    ]
    return write_jsonl(path, records)


def importing(sandbox: SandboxThread, url: str, *words: object, token: str = "") -> list[object]:
    """The words of an import in a process of its own."""
    return [
        *("import", *words, "--json", "--outbox", url, "--base-url", sandbox.url),
        *("--token", token or sandbox.token, "--quota", "off", "--concurrency", "8"),
        *("--timeout", "1", "--look-after", "2"),
    ]


def ended(process: subprocess.Popen[str], code: int = 0) -> dict[str, Any]:
    """The report of an import that has come to its end by itself."""
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code, err
    return result_of(out)


@pytest.mark.full
def test_two_imports_at_once_both_end_well(tmp_path: Path, postgres_place: str) -> None:
    """Each counts its own records, whoever has sent them; none is sent twice."""
    files = [history(tmp_path / f"{n}", range(600 * n, 600 * n + 600)) for n in range(2)]
    with SandboxThread(SLOW) as sandbox, ExitStack() as stack:
        runs = [
            stack.enter_context(started(*importing(sandbox, postgres_place, file)))
            for file in files
        ]
        for found in map(ended, runs):
            counts = found["read"], found["staged"], found["sent"], found["failed"], found["ended"]
            assert counts == (600, 600, 600, 0, "done")
        stored = how_often(sandbox)
        assert (len(stored), set(stored.values())) == (1200, {1})


@pytest.mark.full
def test_one_file_can_be_imported_by_two_at_once(tmp_path: Path, postgres_place: str) -> None:
    """What one of them has staged is known to the other, which waits for it all the same."""
    file = history(tmp_path / "h", range(900))
    with SandboxThread(SLOW) as sandbox, ExitStack() as stack:
        command = importing(sandbox, postgres_place, file)
        runs = [stack.enter_context(started(*command)) for _ in range(2)]
        found = [ended(run) for run in runs]
        assert [of["read"] for of in found] == [900, 900]
        assert sum(of["staged"] for of in found) == 900
        assert [of["pending"] for of in found] == [0, 0]
        stored = how_often(sandbox)
        assert (len(stored), set(stored.values())) == (900, {1})


@pytest.mark.full
def test_an_import_beside_workers_shares_with_them(tmp_path: Path, postgres_place: str) -> None:
    """It ends though most of its records are sent by others, and one of these is killed."""
    first, second = history(tmp_path / "a", range(300)), history(tmp_path / "b", range(300, 1500))
    with SandboxThread(SLOW) as sandbox:
        words = importing(sandbox, postgres_place, first, "--stage-only")
        assert leadconnector(*words).exit_code == 0
        workers = [start(sandbox, postgres_place, drain=False) for _ in range(2)]
        wait_for(sandbox, 100)
        with started(*importing(sandbox, postgres_place, second)) as run:
            wait_for(sandbox, 500)
            workers.pop().kill()
            found = ended(run)
        assert (found["sent"], found["sent_before"], found["failed"]) == (1200, 300, 0)
        assert found["requests"] < 1200
        stored = how_often(sandbox)
        assert (len(stored), set(stored.values())) == (1500, {1})
        workers[0].send_signal(signal.SIGTERM)
        assert workers[0].wait(PATIENCE_S) == 0


@pytest.mark.full
def test_an_import_that_is_killed_goes_on_in_others(tmp_path: Path, postgres_place: str) -> None:
    """A worker takes over at once; the same command again only looks, and ends."""
    file = history(tmp_path / "h", range(900))
    with SandboxThread(SLOW) as sandbox:
        with started(*importing(sandbox, postgres_place, file)) as run:
            wait_for(sandbox, 100)
            run.kill()
        drained([start(sandbox, postgres_place)])
        with started(*importing(sandbox, postgres_place, file)) as run:
            found = ended(run)
        assert (found["skipped"], found["sent"], found["sent_before"]) == (900, 0, 900)
        assert set(how_often(sandbox).values()) == {1}


@pytest.mark.full
def test_a_signal_hands_over(tmp_path: Path, postgres_place: str) -> None:
    """What is in flight is answered, the report tells the rest, and the next one sends that."""
    file = history(tmp_path / "h", range(900))
    with SandboxThread(SLOW) as sandbox:
        with started(*importing(sandbox, postgres_place, file)) as run:
            wait_for(sandbox, 100)
            run.send_signal(signal.SIGTERM)
            found = ended(run, 130)
        assert found["ended"] == "interrupted"
        assert found["sent"] + found["pending"] == 900
        assert found["sent"] == len(sandbox.messages)
        with started(*importing(sandbox, postgres_place, file)) as run:
            again = ended(run)
        assert (again["sent"], again["sent_before"]) == (found["pending"], found["sent"])
        assert set(how_often(sandbox).values()) == {1}


@pytest.mark.full
def test_what_a_stager_has_left_that_is_gone_is_sent_by_workers(postgres_place: str) -> None:
    """And what another one reads at that moment is not, before it has read all."""

    async def scenario(sandbox: SandboxThread) -> None:
        gone, living = [await PostgresOutbox.open(postgres_place) for _ in range(2)]
        await gone.stage(records_of(0, 50), SourcePass())
        await living.stage(records_of(1, 50), SourcePass())
        gone.cut_off()
        worker = start(sandbox, postgres_place)
        await asyncio.to_thread(wait_for, sandbox, 50)
        assert {text.partition(".")[0] for text in how_often(sandbox)} == {"0"}
        assert worker.poll() is None
        await living.publish()
        await asyncio.to_thread(drained, [worker])
        assert (len(how_often(sandbox)), set(how_often(sandbox).values())) == (100, {1})
        for outbox in (gone, living):
            await outbox.close()

    with SandboxThread(SLOW) as sandbox:
        asyncio.run(scenario(sandbox))


@pytest.mark.full
def test_two_imports_with_a_token_each_find_their_locations(
    tmp_path: Path, postgres_place: str
) -> None:
    """Nothing is sent with another's token: it would get into the wrong location."""
    places = [f"location{n:012}" for n in range(2)]
    with SandboxThread(SandboxConfig(tokens={"one": places[0], "two": places[1]})) as sandbox:
        with ExitStack() as stack:
            runs = []
            for token, place in zip(("one", "two"), places, strict=True):
                records = [sms(n, id=f"{token}{n}") for n in range(300)]
                file = write_jsonl(tmp_path / token, records)
                words = importing(sandbox, postgres_place, file, "--location", place, token=token)
                runs.append(stack.enter_context(started(*words)))
            for run in runs:
                assert ended(run)["sent"] == 300
        status = result_of(leadconnector("status", "--json", "--outbox", postgres_place).stdout)
        assert [of["error"] for of in status["locations"]] == [None, None]
        where = Counter((str(m.alt_id)[:3], m.location_id) for m in sandbox.messages)
        assert where == {("one", places[0]): 300, ("two", places[1]): 300}


@pytest.mark.slow
def test_progress_shows_what_others_settle(tmp_path: Path, postgres_place: str) -> None:
    """Also where this process sends little or nothing of it."""
    file = history(tmp_path / "h", range(600))
    seen: list[ImportProgress] = []

    async def scenario(sandbox: SandboxThread) -> None:
        async with LeadConnector(sandbox.token, base_url=sandbox.url, limit=None) as api:
            summary = await import_files(
                api, [file], outbox=postgres_place, on_progress=seen.append, every=0.1
            )
        assert (summary.sent, summary.ended) == (600, "done")
        assert summary.requests < 600

    with SandboxThread(SLOW) as sandbox:
        leadconnector("outbox", "init", postgres_place)
        worker = start(sandbox, postgres_place, drain=False)
        wait_until(lambda: asyncio.run(members(postgres_place)) == 1)
        asyncio.run(scenario(sandbox))
        worker.kill()
    last = seen[-1]
    assert (last.sending, last.done, last.total, last.sent) == (True, 600, 600, 600)


@pytest.mark.full
async def test_a_call_that_is_cancelled_is_gone_on_with(
    tmp_path: Path, postgres_place: str
) -> None:
    """It settles what is known and lets go of its locations; nothing is sent twice."""
    file = write_jsonl(tmp_path / "h", [sms(n) for n in range(500)])
    latency = Latency(up=0.02, down=0.02)
    async with (
        Sandbox(SandboxConfig(latency=latency)) as sandbox,
        LeadConnector(
            sandbox.token,
            location_id=sandbox.location_id,
            base_url=sandbox.url,
            limit=None,
            timeouts=Timeouts(read=5.0),
            policy=Policy(look_after=(0.5, 1.0)),
        ) as api,
    ):
        call = asyncio.create_task(import_files(api, [file], outbox=postgres_place))
        while len(sandbox.messages) < 20:  # noqa: ASYNC110 - the sandbox tells nobody
            await asyncio.sleep(0.01)
        call.cancel()
        await asyncio.wait([call])
        assert call.cancelled()
        summary = await import_files(api, [file], outbox=postgres_place)
        assert (summary.sent + summary.sent_before, summary.pending) == (500, 0)
        assert set(how_often(sandbox).values()) == {1}
        assert len(sandbox.messages) == 500
