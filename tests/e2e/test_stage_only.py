"""Staging by one command, and sending by another: the same import again, or workers."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING

import pytest
from cli_harness import at, leadconnector, result_of, sms, write_jsonl
from outbox_kit import ENVIRONMENT
from worker_harness import drained, start

from leadconnector_async.delivery import stopped_locations
from leadconnector_async.outbox.postgres.outbox import PostgresOutbox
from leadconnector_async.sandbox import Fault, Limits, SandboxConfig, SandboxThread

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_staged_is_sent_by_the_same_command_later(tmp_path: Path) -> None:
    """Nothing is sent, and no token is asked for; the exit status is that of a whole staging."""
    history, outbox = write_jsonl(tmp_path / "h.jsonl", [sms(n) for n in range(5)]), tmp_path / "o"
    with SandboxThread() as sandbox:
        words = ("--location", sandbox.location_id, "--base-url", sandbox.url, "--outbox", outbox)
        run = leadconnector("import", history, *words, "--stage-only")
        assert run.exit_code == 0, run.output
        assert "All records are staged, and none was sent." in run.output
        assert "without --stage-only" in run.output
        assert "leadconnector worker" not in run.output  # which takes no file
        assert not sandbox.requests
        run = leadconnector("import", history, *at(sandbox, outbox), "--json")
        found = result_of(run.stdout)
        assert (run.exit_code, found["sent"], found["skipped"], found["pending"]) == (0, 5, 5, 0)


def test_a_record_that_is_wrong_is_exit_3(tmp_path: Path) -> None:
    """As for an import: not all of it is there."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1), sms(2, direction="sideways")])
    words = ("--location", "here", "--outbox", tmp_path / "o", "--stage-only", "--json")
    run = leadconnector("import", history, *words)
    found = result_of(run.stdout)
    assert (run.exit_code, found["ended"], found["failed"], found["pending"]) == (3, "staged", 1, 1)


@pytest.mark.full
def test_workers_send_what_is_staged_in_a_database(tmp_path: Path, postgres_place: str) -> None:
    """Two of them, each some of the locations; afterwards the outbox says that all is sent."""
    records = [sms(n, contactId=f"c{n:019}", locationId=f"location{n % 8:012}") for n in range(80)]
    history = write_jsonl(tmp_path / "h.jsonl", records)
    with SandboxThread(SandboxConfig(trusting=True)) as sandbox:
        words = ("--base-url", sandbox.url, "--outbox", postgres_place, "--stage-only")
        run = leadconnector("import", history, *words)
        assert run.exit_code == 0, run.output
        drained([start(sandbox, postgres_place) for _ in range(2)])
        status = result_of(leadconnector("status", "--outbox", postgres_place, "--json").stdout)
        assert (status["sent"], status["pending"]) == (80, 0)
        assert len(sandbox.messages) == 80


@pytest.mark.slow
def test_draining_ends_with_3_as_long_as_records_are_failed(
    tmp_path: Path, postgres_place: str
) -> None:
    """Whoever they failed for: another worker, one that was killed, or the staging."""
    records = [sms(n, contactId=f"c{n:019}", locationId="location00000001") for n in range(3)]
    history = write_jsonl(tmp_path / "h.jsonl", records)
    config = SandboxConfig(trusting=True, faults=(Fault("422", match={"altId": "m1"}),))
    with SandboxThread(config) as sandbox:
        words = ("--base-url", sandbox.url, "--outbox", postgres_place)
        run = leadconnector("import", history, *words, "--stage-only")
        assert run.exit_code == 0, run.output
        command = ("worker", *words, "--drain", "--token", sandbox.token)
        for sent in (2, 0):
            run = leadconnector(*command, "--json")
            found = result_of(run.stdout)
            assert (run.exit_code, found["sent"], found["failed"]) == (3, sent, 1)
        run = leadconnector(*command)
        assert (run.exit_code, "1 record failed" in run.stdout) == (3, True)
        leadconnector("failed", "--outbox", postgres_place, "--dismiss", "422")
        assert leadconnector(*command).exit_code == 0


@pytest.mark.slow
def test_draining_counts_what_failed_beside_a_location_that_stopped(
    tmp_path: Path, postgres_place: str
) -> None:
    """It said that none had failed, where it had not looked."""
    records = [sms(n, contactId=f"c{n:019}", locationId=f"location{n % 2:08}") for n in range(4)]
    history = write_jsonl(tmp_path / "h.jsonl", records)
    refused = Fault("403", match={"altId": "m1"}), Fault("422", match={"altId": "m2"})
    with SandboxThread(SandboxConfig(trusting=True, faults=refused)) as sandbox:
        words = ("--base-url", sandbox.url, "--outbox", postgres_place)
        leadconnector("import", history, *words, "--stage-only")
        run = leadconnector("worker", *words, "--drain", "--json", "--token", sandbox.token)
        found = result_of(run.stdout)
        assert (run.exit_code, [*found["errors"]]) == (1, ["location00000001"])
        assert found["failed"] == 1


@pytest.mark.slow
def test_draining_ends_with_4_where_the_day_is_spent(tmp_path: Path, postgres_place: str) -> None:
    """As an import does, and what only asks: run it again later. It was an error."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(n) for n in range(4)])
    with SandboxThread(SandboxConfig(limits=Limits(daily=2))) as sandbox:
        words = ("--base-url", sandbox.url, "--outbox", postgres_place)
        place = ("--location", sandbox.location_id)
        leadconnector("import", history, *words, *place, "--stage-only")
        run = leadconnector("worker", *words, "--drain", "--json", "--token", sandbox.token)
        found = result_of(run.stdout)
        assert (run.exit_code, found["sent"], [*found["errors"]]) == (4, 2, [sandbox.location_id])
        run = leadconnector("verify", *words, "--token", sandbox.token)
        assert run.exit_code == 4, run.output


@pytest.mark.full
def test_draining_is_no_error_for_a_location_that_has_nothing_to_send(
    tmp_path: Path, postgres_place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands there as stopped, as it did when the rest of it was left for later."""
    records = [sms(n, contactId=f"c{n:019}", locationId=f"location{n:08}") for n in range(2)]
    history = write_jsonl(tmp_path / "h.jsonl", records)
    refused = Fault("403", match={"altId": "m1"})
    with SandboxThread(SandboxConfig(trusting=True, faults=(refused,))) as sandbox:
        words = ("--base-url", sandbox.url, "--outbox", postgres_place)
        drain = ("worker", *words, "--drain", "--json", "--token", sandbox.token)
        run = leadconnector("import", history, *words, "--stage-only", "--only", f"c{1:019}")
        assert run.exit_code == 0, run.output
        run = leadconnector(*drain)
        assert run.exit_code == 1, run.output
        leadconnector("import", history, *words, "--stage-only", "--only", f"c{0:019}")
        monkeypatch.setattr(stopped_locations, "STANDS_S", 0.0)
        run = leadconnector(*drain)
        found = result_of(run.stdout)
        assert (run.exit_code, found["sent"], found["errors"]) == (0, 1, {}), run.output


@pytest.mark.full
def test_workers_send_a_piece_and_nobody_else_may(tmp_path: Path, postgres_place: str) -> None:
    """What is left for later waits for an import without a selection, and a drained worker ends.

    While a worker sends, nothing can be selected: it would send the rest.
    """
    records = [sms(n, contactId=f"c{n % 10:019}", locationId="location00000001") for n in range(40)]
    history = write_jsonl(tmp_path / "h.jsonl", records)
    with SandboxThread(SandboxConfig(trusting=True)) as sandbox:
        words = ("--base-url", sandbox.url, "--outbox", postgres_place, "--stage-only")
        run = leadconnector("import", history, *words, "--limit", "8")
        assert run.exit_code == 0, run.output
        drained([start(sandbox, postgres_place)])
        assert len(sandbox.messages) == 8
        status = result_of(leadconnector("status", "--outbox", postgres_place, "--json").stdout)
        assert (status["sent"], status["pending"], status["later"]) == (8, 32, 32)
        refused = asyncio.run(while_another_sends(postgres_place, history, words))
        assert refused.returncode == 1
        assert "another process sends" in refused.stderr
        assert leadconnector("import", history, *words).exit_code == 0
        drained([start(sandbox, postgres_place)])
        assert len(sandbox.messages) == 40


async def while_another_sends(
    place: str, history: Path, words: tuple[str, ...]
) -> subprocess.CompletedProcess[str]:
    """Import a piece while a process has a location of the outbox."""
    command = [sys.executable, "-m", "leadconnector_async.cli", "import", str(history), *words]
    async with await PostgresOutbox.open(place) as outbox:
        await outbox.acquire("location00000001")
        return await asyncio.to_thread(
            partial(
                subprocess.run,
                [*command, "--limit", "9"],
                env=ENVIRONMENT,
                capture_output=True,
                text=True,
                check=False,
            )
        )
