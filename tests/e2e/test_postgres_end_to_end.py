"""An outbox in a database gives the same answers as one in a file."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest
from cli_harness import at, leadconnector, result_of, sms, write_jsonl

from leadconnector_async import (
    InboundMessage,
    Ingestor,
    LeadConnector,
    Record,
    Rejected,
    Sent,
    import_files,
)
from leadconnector_async.sandbox import Sandbox, SandboxConfig, SandboxContact, SandboxThread

if TYPE_CHECKING:
    from pathlib import Path

    from postgres_server import PostgresServer

PASSWORD = "tiger"
"""It is in the URL of each test: the server asks for none, and nobody may print it."""

VOLATILE = {"elapsed_s", "outbox", "estimate_s", "estimate_most_s", "rate", "first_at", "last_at"}
"""What differs from run to run."""


CONTACTS = tuple(SandboxContact(id=f"contact{n}") for n in range(19))
"""One less than the records name."""


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    """A URL with a password in it."""
    return postgres.outbox().replace("postgres@", f"postgres:{PASSWORD}@")


def steps(folder: Path, outbox: Path | str) -> list[object]:
    """Go through the life of an import; return all that was said."""
    folder.mkdir()
    records = [sms(n) for n in range(120)]
    records += [sms(200, message=""), sms(201, type="Fax"), sms(3, message="another text"), sms(4)]
    source = write_jsonl(folder / "history.jsonl", records)
    said: list[object] = []
    with SandboxThread(SandboxConfig(contacts=CONTACTS)) as sandbox:
        options = at(sandbox, outbox)
        own = ["--outbox", outbox]
        api = options[:4]

        def run(*words: object) -> str:
            result = leadconnector(*words)
            text = result.stdout.replace(str(folder), "FOLDER")
            assert PASSWORD not in result.output
            said.append((words[0], result.exit_code, stable(text)))
            return text

        run("import", source, "--dry-run", "--json", *options)
        run("import", source, "--json", *options)
        run("import", source, "--json", *options)
        run("status", "--json", *own)
        run("status", *own)
        run("failed", *own)
        run("failed", "--dismiss", "type has an unknown value", *own)
        run("report", "--html", "-", *own)
        run("verify", "--json", *api, *own)
        run("retry", "--json", *own)
        run("status", "--json", *own)
        run("import", "--json", *options)
        run("retry", *own)
        said.append(sorted(str(message.fields["message"]) for message in sandbox.messages))
    return said


def stable(text: str) -> Any:  # noqa: ANN401 - JSON, or the text without moments and places
    """What was printed, without what differs from run to run."""
    last = text.splitlines()[-1] if text else ""
    if last.startswith("{"):
        found = json.loads(last)
        return {name: value for name, value in found.items() if name not in VOLATILE}
    text = re.sub(r"(?m)^(Sent in the last minute|<dt>).*\n", "", text)  # how fast it went
    return re.sub(r"--outbox \S+|\d{4}-\d\d-\d\d[ T][\d:.]+|\d\d:\d\d", "…", text)


@pytest.mark.slow
@pytest.mark.honest_sandbox
def test_all_commands_say_the_same_of_a_database(tmp_path: Path, url: str) -> None:
    """And with the same exit status; none of them prints the password."""
    of_file = steps(tmp_path / "a", tmp_path / "o.db")
    of_database = steps(tmp_path / "b", url)
    for mine, theirs in zip(of_database, of_file, strict=True):
        assert mine == theirs


@pytest.mark.slow
def test_the_lines_for_the_shell_name_the_place_without_its_password(
    tmp_path: Path, url: str
) -> None:
    """They can be run as they are, with the password in PGPASSWORD."""
    source = write_jsonl(tmp_path / "h.jsonl", [sms(1), sms(2, type="Fax")])
    with SandboxThread() as sandbox:
        result = leadconnector("import", source, *at(sandbox, url))
    assert result.exit_code == 3
    shown = url.replace(f":{PASSWORD}", "")
    assert f"leadconnector failed --outbox '{shown}'" in result.stdout
    assert PASSWORD not in result.output


@pytest.mark.slow
def test_the_place_can_be_given_in_the_environment(url: str) -> None:
    """And the tables be made before anything is imported, and again."""
    for word in ("init", "init", "upgrade"):
        result = leadconnector("outbox", word, LEADCONNECTOR_OUTBOX=url)
        assert (result.exit_code, result.output.endswith("is ready.\n")) == (0, True)
    status = leadconnector("status", "--json", LEADCONNECTOR_OUTBOX=url)
    assert result_of(status.stdout)["sent"] == 0


@pytest.mark.slow
def test_a_dry_run_leaves_nothing(tmp_path: Path, url: str) -> None:
    """Not even the tables."""
    source = write_jsonl(tmp_path / "h.jsonl", [sms(n) for n in range(9)])
    result = leadconnector("import", source, "--dry-run", "--json", "--outbox", url, "--location=l")
    assert (result.exit_code, result_of(result.stdout)["staged"]) == (0, 9)
    result = leadconnector("status", "--outbox", url)
    assert (result.exit_code, "does not exist" in result.stderr) == (1, True)


@pytest.mark.slow
def test_a_program_uses_a_database_as_it_uses_a_file(tmp_path: Path, url: str) -> None:
    """It imports, runs and submits; each record is sent once."""

    async def scenario() -> list[str | None]:
        async with (
            Sandbox() as sandbox,
            LeadConnector(
                sandbox.token, location_id=sandbox.location_id, base_url=sandbox.url, limit=None
            ) as api,
        ):
            source = write_jsonl(tmp_path / "h.jsonl", [sms(n) for n in range(40)])
            for sent in (40, 0):
                summary = await import_files(api, [source], outbox=url)
                assert (summary.sent, summary.failed) == (sent, 0)
                assert PASSWORD not in summary.outbox
            async with Ingestor(api, outbox=url) as ingestor:
                records = [record(n) for n in range(10)]
                outcomes = [outcome async for outcome in ingestor.run(records)]
                assert {type(outcome) for outcome in outcomes} == {Sent}
                again = [outcome async for outcome in ingestor.run(records)]
                assert not again
            async with Ingestor(api, outbox=url) as ingestor:
                submitted = await asyncio.gather(*map(ingestor.submit, map(record, range(5, 60))))
                assert {type(outcome) for outcome in submitted} == {Sent}
                other = await ingestor.submit(record(5, "something else"))
                assert isinstance(other, Rejected)
            return [message.fields["message"] for message in sandbox.messages]

    bodies = asyncio.run(scenario())
    assert len(bodies) == len(set(bodies)) == 100


def record(number: int, text: str = "") -> Record:
    """One with an id of its own."""
    text = text or f"text {number}"
    message = InboundMessage(
        type="SMS", contact_id=f"c{number % 7}", message=text, direction="inbound"
    )
    return Record(message=message, id=f"r{number}")


@pytest.mark.parametrize(
    "wrong",
    [
        "postgresql://user:se/cret@host/db",
        "postgresql://user:12/cret@host/db",
        "postgresql://user:secret?cret@host/db",
        "postgresql://user:secret#cret@host/db",
        "postgresql://user:secret@host:port/db",
        "postgresql://user:secret@host/db?secret=1",
        "postgresql://user:secret@host/db?schema=pg_secret",
        "mysql://user:secret@host/db",
        "postgresql:/user:secret@host/db",
        "postgresql:user:secret@host/db",
        "Postgres:user:secret@host/db",
    ],
)
def test_a_wrong_url_is_no_file(
    wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends in one line that names the fix, and does not quote a password."""
    monkeypatch.chdir(tmp_path)
    result = leadconnector("import", "-", "--token=t", "--location=l", "--outbox", wrong, stdin=b"")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "cret" not in result.output
    assert ": write " in result.stderr or ": give " in result.stderr
    assert not list(tmp_path.iterdir())


def test_without_the_driver_its_extra_is_named(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not needed for anything else."""
    for name in [*sys.modules]:
        if name.startswith(("asyncpg", "leadconnector_async.outbox.postgres")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    result = leadconnector("status", "--outbox", url)
    assert result.exit_code == 1
    assert "leadconnector-async[postgres]" in result.stderr


def test_a_place_that_is_not_there_is_not_made_to_be_read(url: str) -> None:
    """So it is with retry, which writes."""
    for words in (["status"], ["failed"], ["retry"], ["outbox", "upgrade", url]):
        place = [] if url in words else ["--outbox", url]
        result = leadconnector(*words, *place)
        assert (result.exit_code, "does not exist" in result.stderr) == (1, True), words
