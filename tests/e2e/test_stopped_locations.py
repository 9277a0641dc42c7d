"""A location that cannot go on stands in the database, for all who send or wait elsewhere."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from cli_harness import leadconnector, result_of, sms, started, wait_until, write_jsonl
from worker_harness import PATIENCE_S, start

from leadconnector_async.delivery.stopped_locations import is_final
from leadconnector_async.errors import DailyQuotaSpentError
from leadconnector_async.models import Refusal
from leadconnector_async.outbox.base import StoppedLocation
from leadconnector_async.sandbox import Latency, Limits, SandboxConfig, SandboxThread

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

PLACE = "location000000000000"
ONE_TOKEN = SandboxConfig(tokens={"good": PLACE})
REFUSED = "another"


def words(sandbox: SandboxThread, url: str, token: str, *given: object) -> list[object]:
    """The words of an import."""
    return [
        *("import", *given, "--json", "--outbox", url, "--base-url", sandbox.url),
        *("--token", token, "--quota", "off", "--timeout", "1", "--look-after", "2"),
    ]


def history(path: Path, count: int = 30) -> Path:
    """Write a file of one location's records."""
    return write_jsonl(path, [sms(n, locationId=PLACE) for n in range(count)])


def place(url: str) -> dict[str, Any]:
    """What status tells of the location."""
    status = leadconnector("status", "--json", "--outbox", url)
    return dict(result_of(status.stdout)["locations"][0])


def stopped(worker: subprocess.Popen[bytes]) -> int:
    """Stop a worker; return its exit status."""
    worker.send_signal(signal.SIGTERM)
    return worker.wait(PATIENCE_S)


@pytest.mark.full
def test_a_refused_token_stands_in_the_store_until_a_better_one_comes(
    tmp_path: Path, postgres_place: str
) -> None:
    """Others that wait see it at once; nobody asks in a loop; and it is gone when it goes on."""
    with SandboxThread(ONE_TOKEN) as sandbox, ExitStack() as stack:
        file = history(tmp_path / "h")
        leadconnector(*words(sandbox, postgres_place, REFUSED, file, "--stage-only"))
        worker = start(sandbox, postgres_place, drain=False, token=REFUSED)
        wait_until(lambda: place(postgres_place)["error"] is not None)
        assert place(postgres_place)["stopped_at"] > 1_700_000_000_000
        text = leadconnector("status", "--outbox", postgres_place).stdout
        assert f"Location {PLACE} stopped, 20" in text

        again = words(sandbox, postgres_place, REFUSED, file)
        run = stack.enter_context(started(*again))
        drain = start(sandbox, postgres_place, token=REFUSED)
        out, err = run.communicate(timeout=PATIENCE_S)
        assert (run.returncode, result_of(out)["pending"]) == (1, 30), err
        assert "401" in err
        assert drain.wait(PATIENCE_S) == 1
        assert sum(sandbox.requests.values()) < 200

        better = start(sandbox, postgres_place, token=sandbox.token)
        assert better.wait(PATIENCE_S) == 0
        assert (place(postgres_place)["error"], len(sandbox.messages)) == (None, 30)
        stopped(worker)


@pytest.mark.full
def test_a_day_that_is_spent_ends_an_import_that_waits_for_another(
    tmp_path: Path, postgres_place: str
) -> None:
    """With the exit status that it has alone; no other worker can do better."""
    config = SandboxConfig(trusting=True, limits=Limits(max=1000, interval=1.0, daily=20))
    with SandboxThread(config) as sandbox:
        leadconnector("outbox", "init", postgres_place)
        worker = start(sandbox, postgres_place, drain=False)
        command = words(sandbox, postgres_place, sandbox.token, history(tmp_path / "h"))
        with started(*command) as run:
            out, _ = run.communicate(timeout=PATIENCE_S)
        assert run.returncode == 4
        found = result_of(out)
        assert (found["ended"], found["sent"] + found["pending"]) == ("day_spent", 30)
        assert "day's quota" in place(postgres_place)["error"]
        stopped(worker)


@pytest.mark.full
def test_who_begins_after_a_stop_tries_the_location_itself(
    tmp_path: Path, postgres_place: str
) -> None:
    """A day that was spent yesterday, or for another share of it, ends nothing today."""
    limits = Limits(max=1000, interval=1.0, daily=40)
    config = SandboxConfig(trusting=True, limits=limits, latency=Latency(up=0.4, down=0.4))
    with SandboxThread(config) as sandbox:
        file = history(tmp_path / "h", 60)
        command = words(sandbox, postgres_place, sandbox.token, file)
        for share, sent in (("25%", 10), ("50%", 10)):
            end = leadconnector(*command, "--share", share)
            assert (end.exit_code, result_of(end.stdout)["sent"]) == (4, sent)
        assert start(sandbox, postgres_place).wait(PATIENCE_S) == 4
        assert len(sandbox.messages) == 40


@pytest.mark.full
def test_retry_lets_a_stopped_location_go_on_at_once(tmp_path: Path, postgres_place: str) -> None:
    """It says that the cause is mended: nobody waits for the next try of its own."""
    with SandboxThread(ONE_TOKEN) as sandbox:
        staged = words(sandbox, postgres_place, REFUSED, history(tmp_path / "h"), "--stage-only")
        leadconnector(*staged)
        worker = start(sandbox, postgres_place, drain=False, token=REFUSED)
        wait_until(lambda: place(postgres_place)["error"] is not None)
        first = place(postgres_place)["stopped_at"]
        assert leadconnector("retry", "--outbox", postgres_place).exit_code == 0
        wait_until(lambda: (place(postgres_place)["stopped_at"] or 0) > first)
        stopped(worker)


def test_a_stop_of_yesterday_is_tried_anew_first() -> None:
    """However long whoever submits has been there: only a fresh one ends the wait at once."""
    spent = DailyQuotaSpentError(Refusal(status=429, message="the day's quota is spent"))
    yesterday, fresh = StoppedLocation(spent, 0, 80_000.0), StoppedLocation(spent, 0, 30.0)
    assert not is_final(yesterday, 0.6, 200_000.0)
    assert is_final(yesterday, 15.1, 200_000.0)
    assert is_final(fresh, 0.6, 200_000.0)
    assert not is_final(fresh, 0.6, 0.6)
