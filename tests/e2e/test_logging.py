from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cli_harness import OWN_FORM, at, leadconnector, sms, started, write_jsonl
from fault_harness import QUICK, SHORT_PAUSES, import_into, records
from msgspec.structs import replace

from leadconnector_async import (
    AccessError,
    InboundMessage,
    Ingestor,
    LeadConnector,
    Record,
    Rejected,
)
from leadconnector_async.models import Contact
from leadconnector_async.sandbox import Fault, Sandbox, SandboxConfig, SandboxThread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRETS = ("a text that nobody may read", "+12125550142", "kim@example.com")


@pytest.mark.slow
def test_what_an_operator_asks_for_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A run's start and end, a pause after 429, doubt and finding; no text, token or person."""

    async def scenario() -> str:
        async with Sandbox(SandboxConfig(limits=SHORT_PAUSES)) as sandbox:
            sandbox.set_faults(
                Fault("429", nth=(3,), seconds=0.01), Fault("500", when="after", nth=(5,))
            )
            text, phone, mail = SECRETS
            message = InboundMessage(
                type="SMS", direction="inbound", date=datetime(2024, 1, 1, tzinfo=UTC), message=text
            )
            named = Record(id="secret", message=message, contact=Contact(phone=phone, email=mail))
            outcomes = await import_into(sandbox, [*records(20), named], tmp_path / "o.db")
            assert len(outcomes) == 21
            return sandbox.token

    with caplog.at_level(logging.DEBUG, "leadconnector_async"):
        token = asyncio.run(scenario())
    told = [record.getMessage() for record in caplog.records if "asyncio" not in record.name]
    for event in ("run starts", "429: location", "in doubt", "found stored", "run ends"):
        assert any(event in line for line in told), event
    everything = "\n".join(told)
    assert not [secret for secret in (*SECRETS, token) if secret in everything]


def test_a_location_that_stops_is_logged_without_the_apis_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its words may quote a person's number: status and code say enough."""

    async def scenario() -> None:
        async with (
            Sandbox(SandboxConfig(tokens={"good-token": "good"})) as sandbox,
            LeadConnector("bad-token", location_id="good", base_url=sandbox.url) as api,
            Ingestor(api) as ingestor,
        ):
            async for _ in ingestor.run(records(3)):
                pass

    with caplog.at_level(logging.INFO, "leadconnector_async"), pytest.raises(AccessError):
        asyncio.run(scenario())
    stopped = [record.getMessage() for record in caplog.records if "stopped" in record.getMessage()]
    assert [line.partition("stopped: ")[2] for line in stopped] == ["AccessError (401)"]


def test_a_record_that_is_given_up_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One that never came to be stored, after its last attempt, and none of those that did."""

    async def scenario() -> None:
        async with Sandbox() as sandbox:
            sandbox.set_faults(Fault("500", alt_id="r1"))
            outcomes = await import_into(
                sandbox, records(3), tmp_path / "o.db", policy=replace(QUICK, attempts=2)
            )
            assert sum(isinstance(outcome, Rejected) for outcome in outcomes) == 1

    with caplog.at_level(logging.INFO, "leadconnector_async"):
        asyncio.run(scenario())
    told = [(record.levelname, record.msg) for record in caplog.records if "given up" in record.msg]
    assert told == [("WARNING", "record %d given up: not stored after its last attempt")]


async def test_a_log_that_raises_doubles_nothing(tmp_path: Path) -> None:
    """As where its reader is gone: what was in doubt was given back, and sent again unlooked."""

    class Gone(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "in doubt" in record.getMessage():
                raise BrokenPipeError

    log, gone = logging.getLogger("leadconnector_async"), Gone()
    async with Sandbox(SandboxConfig(faults=(Fault("drop", when="after", nth=(1,)),))) as sandbox:
        log.addHandler(gone)
        log.setLevel(logging.INFO)
        try:
            with pytest.raises(BrokenPipeError):
                await import_into(sandbox, records(1), tmp_path / "o.db")
        finally:
            log.removeHandler(gone)
            log.setLevel(logging.NOTSET)
        await import_into(sandbox, records(1), tmp_path / "o.db")
        assert len(sandbox.messages) == 1


def test_what_a_killed_run_left_in_doubt_is_logged_when_it_is_resumed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With how many there are."""

    async def scenario() -> None:
        async with Sandbox() as sandbox:
            sandbox.set_faults(Fault("hang", seconds=60.0, times=1))
            path = tmp_path / "o.db"
            first = asyncio.ensure_future(import_into(sandbox, records(1), path))
            while not sandbox.faults_fired:  # noqa: ASYNC110 - a counter has no event
                await asyncio.sleep(0)
            first.cancel()
            await asyncio.wait([first])
            await import_into(sandbox, records(1), path)
            assert len(sandbox.messages) == 1

    with caplog.at_level(logging.INFO, "leadconnector_async"):
        asyncio.run(scenario())
    told = [record.getMessage() for record in caplog.records if "resume" in record.getMessage()]
    assert [line.partition(" has ")[2] for line in told] == ["1 unknown of an earlier run"]


@pytest.fixture
def quiet_again() -> Iterator[None]:
    """The command ends with its process, and its handlers with it; here it does not."""
    logger = logging.getLogger("leadconnector_async")
    before, level = list(logger.handlers), logger.level
    yield
    logger.handlers[:] = before
    logger.setLevel(level)


@pytest.mark.usefixtures("quiet_again")
def test_verbose_shows_the_log(tmp_path: Path) -> None:
    """On standard error; without it nothing is shown."""
    with SandboxThread() as sandbox:
        history = write_jsonl(tmp_path / "h.jsonl", [sms(1)])
        for verbose in ([], ["--verbose"]):
            outbox = tmp_path / f"{len(verbose)}.db"
            run = leadconnector("import", history, *at(sandbox, outbox), *verbose)
            assert ("run starts" in run.stderr) == bool(verbose)


@pytest.mark.slow
@pytest.mark.usefixtures("quiet_again")
def test_without_verbose_no_warning_is_shown_either(tmp_path: Path) -> None:
    """Python shows a warning that no handler takes, even with --quiet: but for the tests' own."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1, contactId=OWN_FORM)])
    with SandboxThread(SandboxConfig(limits=SHORT_PAUSES)) as sandbox:
        sandbox.set_faults(Fault("429", nth=(1, 3), seconds=0.01))
        words = ["import", history, "--quiet", *at(sandbox, tmp_path / "o.db")]
        with started(*words) as process:
            _, told = process.communicate()
        assert (process.returncode, "429: location" in told) == (0, False)
        words[-3] = tmp_path / "p.db"
        assert "429: location" in leadconnector(*words, "--verbose").stderr
