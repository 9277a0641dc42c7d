"""One location moved into another, through the API of both."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from cli_harness import leadconnector, result_of, sms, write_jsonl
from fault_harness import QUICK

from leadconnector_async import (
    AccessError,
    ImportSummary,
    LeadConnector,
    SourceError,
    TransportError,
    import_files,
)
from leadconnector_async.location_reader import LocationReader
from leadconnector_async.models import Problem
from leadconnector_async.sandbox import Fault, Limits, SandboxConfig, SandboxThread
from leadconnector_async.sources import Identity, Parsed, SourceOptions, SourceRow
from leadconnector_async.sources.batch_reader import SourceReader
from leadconnector_async.sources.location_copy import LocationCopy
from leadconnector_async.verify import FoundMessages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OLD, NEW = "oldLocation000000001", "newLocation000000001"

PROVIDER = "61d6d1f9cdac7612faf80753"

KIM = {"contact": {"phone": "+13035550142", "email": "kim@example.com", "name": "Kim Lee"}}

CONFIG = SandboxConfig(
    tokens={"old-token": OLD, "new-token": NEW}, providers={PROVIDER: "Call"}, closed=True
)


@pytest.fixture
def sandbox() -> Iterator[SandboxThread]:
    """Two locations, each with a token and a quota of its own."""
    with SandboxThread(CONFIG) as sandbox:
        yield sandbox


def history() -> list[dict[str, object]]:
    """Texts and calls of both directions, a chat, and a thread of mails."""

    def record(minute: int, **fields: object) -> dict[str, object]:
        return {"id": f"r{minute}", "date": f"2024-03-01T10:{minute:02}:07.500Z", **KIM, **fields}

    mail = {"type": "Email", "emailFrom": "kim@example.com", "emailTo": "shop@example.com"}
    return [
        record(0, type="SMS", direction="inbound", message="Are you open?"),
        record(1, type="SMS", direction="outbound", message="Until six."),
        record(
            2,
            type="WhatsApp",
            direction="inbound",
            message="Here",
            attachments=["http://127.0.0.1:9/door.jpg"],
        ),
        record(3, type="Call", direction="inbound", call={"status": "completed"}),
        record(4, type="Call", direction="outbound", call={"status": "no-answer"}),
        record(
            5, **mail, direction="inbound", subject="Brakes", html="<p>How much?</p>", altId="a"
        ),
        record(
            6,
            type="Email",
            direction="outbound",
            subject="Re: Brakes",
            message="Ten.",
            emailFrom="shop@example.com",
            emailTo="kim@example.com",
            emailCc=["lee@example.com"],
            altId="b",
            inReplyTo=["a"],
        ),
        record(7, **mail, direction="inbound", subject="Re: Brakes", message="OK", inReplyTo=["b"]),
        record(8, **mail, direction="inbound", subject="Saddle", message="Another matter."),
        {
            "id": "r9",
            "date": "2024-03-01T11:00:00Z",
            "type": "SMS",
            "direction": "inbound",
            "message": "I am Lou",
            "contact": {"phone": "+13035550163"},
        },
    ]


def account(sandbox: SandboxThread, token: str, location: str) -> list[str]:
    """The options that name one of the two."""
    return ["--base-url", sandbox.url, "--token", token, "--location", location, "--quiet"]


def fill(sandbox: SandboxThread, folder: Path, records: list[dict[str, object]]) -> None:
    """Put a history into the old location, as this library imports it."""
    file = write_jsonl(folder / "old.jsonl", records)
    words = [*account(sandbox, "old-token", OLD), "--provider", PROVIDER, "--quota", "off"]
    done = leadconnector("import", file, *words, "--outbox", folder / "old.db")
    assert done.exit_code == 0, done.output


def merge(sandbox: SandboxThread, folder: Path, *words: object) -> tuple[int, dict[str, Any]]:
    """Move the old location into the new one."""
    done = leadconnector(
        *("import", f"leadconnector:{OLD}", *account(sandbox, "new-token", NEW)),
        *("--source-token", "old-token", "--provider", PROVIDER, "--outbox", folder / "merge.db"),
        *("--quota", "off", "--json", *words),
    )
    return done.exit_code, result_of(done.stdout)


def shown(sandbox: SandboxThread, location: str) -> list[tuple[object, ...]]:
    """What can be compared of the messages of a location, in the order of their dates."""
    names = ("message", "html", "subject", "emailFrom", "emailTo", "emailCc", "attachments", "call")
    found = [one for one in sandbox.messages if one.location_id == location]
    return [
        (one.date, one.type, one.direction, *(str(one.fields.get(name)) for name in names))
        for one in sorted(found, key=lambda one: one.date)
    ]


def threads(sandbox: SandboxThread, location: str) -> list[int]:
    """How many mails each thread of a location has."""
    mails = (one.thread_id for one in sandbox.messages if one.location_id == location)
    return sorted(Counter(thread for thread in mails if thread).values())


@pytest.mark.slow
def test_two_locations_become_one(sandbox: SandboxThread, tmp_path: Path) -> None:
    """Each message comes over once: its type, date, direction, text, person, thread, attachments.

    All of them had been imported into the old location by this library, sent ones too.
    """
    fill(sandbox, tmp_path, history())
    code, result = merge(sandbox, tmp_path)
    assert (code, result["sent"], result["failed"]) == (0, 10, 0)
    assert shown(sandbox, NEW) == shown(sandbox, OLD)
    assert threads(sandbox, NEW) == threads(sandbox, OLD) == [1, 3]
    people = [one for one in sandbox.contacts if one["locationId"] == NEW]
    assert sorted(str((one["phone"], one.get("email"), one.get("name"))) for one in people) == [
        "('+13035550142', 'kim@example.com', 'Kim Lee')",
        "('+13035550163', None, None)",
    ]


@pytest.mark.slow
def test_the_same_command_again_finds_all_known(sandbox: SandboxThread, tmp_path: Path) -> None:
    """And takes what came since. Mails and contacts are not asked for a second time."""
    fill(sandbox, tmp_path, history()[:8])
    merge(sandbox, tmp_path)
    asked = dict(sandbox.requests)
    fill(sandbox, tmp_path, history())
    code, result = merge(sandbox, tmp_path)
    assert (code, result["skipped"], result["sent"]) == (0, 8, 2)
    again = {what: n - asked.get(what, 0) for what, n in sandbox.requests.items()}
    assert (again["email", 200], again["contact", 200]) == (1, 1)
    assert shown(sandbox, NEW) == shown(sandbox, OLD)


def from_program(
    sandbox: SandboxThread,
    folder: Path,
    token: str = "old-token",  # noqa: S107 - the sandbox's
    **changes: Any,  # noqa: ANN401 - as the function takes them
) -> ImportSummary:
    """The same move by a program."""

    async def scenario() -> ImportSummary:
        settings: dict[str, Any] = {"base_url": sandbox.url, "limit": None, "policy": QUICK}
        async with (
            LeadConnector("new-token", location_id=NEW, **settings) as new,
            LeadConnector(token, **settings) as old,
        ):
            options = {"outbox": folder / "merge.db", "source_api": old, "provider": PROVIDER}
            source = changes.pop("source", f"leadconnector:{OLD}")
            return await import_files(new, [source], **{**options, **changes})

    return asyncio.run(scenario())


@pytest.mark.slow
def test_a_program_moves_a_location_too(sandbox: SandboxThread, tmp_path: Path) -> None:
    """With one client for each side, or one whose provider knows the tokens of both."""
    fill(sandbox, tmp_path, history())
    summary = from_program(sandbox, tmp_path)
    assert (summary.sent, summary.failed, summary.ended) == (10, 0, "done")
    assert shown(sandbox, NEW) == shown(sandbox, OLD)


@pytest.mark.slow
def test_a_reading_that_breaks_off_goes_on(sandbox: SandboxThread, tmp_path: Path) -> None:
    """Nothing is sent until all is read; what was read is not asked for again."""
    fill(sandbox, tmp_path, history())
    sandbox.set_faults(Fault("500", endpoint="email", probability=1.0))
    with pytest.raises(TransportError):
        from_program(sandbox, tmp_path)
    assert not [one for one in sandbox.messages if one.location_id == NEW]
    sandbox.set_faults()
    assert sandbox.requests["contact", 200] == 2
    assert from_program(sandbox, tmp_path).sent == 10
    assert sandbox.requests["contact", 200] == 2
    assert shown(sandbox, NEW) == shown(sandbox, OLD)


@pytest.mark.slow
def test_pages_are_read_to_the_last(sandbox: SandboxThread, tmp_path: Path) -> None:
    """Of 500 messages each; each message once."""
    number = 1_200
    sandbox.know(location=OLD, contacts=["c"])
    records = [
        sms(n, contactId="c", date=f"2024-03-01T00:{n // 60:02}:{n % 60:02}Z")
        for n in range(number)
    ]
    fill(sandbox, tmp_path, records)
    summary = from_program(sandbox, tmp_path)
    assert (summary.read, summary.failed) == (number, number)
    assert summary.by_reason[0].reason.startswith("contact.phone is missing")
    assert sandbox.requests["export", 200] == 4
    assert sandbox.requests["contact", 200] == 1


def test_an_empty_location_is_told(sandbox: SandboxThread, tmp_path: Path) -> None:
    """It is no error, and nothing comes of it."""
    code, result = merge(sandbox, tmp_path)
    assert (code, result["staged"], result["sent"]) == (0, 0, 0)
    done = leadconnector(
        *("import", f"leadconnector:{OLD}", *account(sandbox, "new-token", NEW)[:-1]),
        *("--source-token", "old-token", "--outbox", tmp_path / "merge.db"),
    )
    assert f"leadconnector:{OLD}: has no messages" in done.stderr


def test_what_cannot_be_read_ends_with_a_clear_error(
    sandbox: SandboxThread, tmp_path: Path
) -> None:
    """A location that is not the token's, a scope that is not granted, an id that is none."""
    fill(sandbox, tmp_path, history())
    with pytest.raises(AccessError, match=f"leadconnector:{OLD} cannot be read: .*this location"):
        from_program(sandbox, tmp_path, token="new-token")  # noqa: S106 - the sandbox's
    with pytest.raises(SourceError, match="is the location that the records go to"):
        from_program(sandbox, tmp_path, source=f"leadconnector:{NEW}")
    for name in ("", "a/../b", "ä"):
        with pytest.raises(SourceError, match="id of a location"):
            from_program(sandbox, tmp_path, source=f"leadconnector:{name}")
    sandbox.reconfigure(denied_scopes=frozenset({"contacts.readonly"}))
    with pytest.raises(AccessError, match=r"cannot be read: .*it lacks contacts\.readonly"):
        from_program(sandbox, tmp_path)
    assert not [one for one in sandbox.messages if one.location_id == NEW]


@pytest.mark.slow
def test_the_day_of_the_other_location_can_be_spent(sandbox: SandboxThread, tmp_path: Path) -> None:
    """Its own quota is used, and the same command goes on another day."""
    fill(sandbox, tmp_path, history())
    sandbox.reconfigure(location_limits={OLD: Limits(daily=4)})
    code, result = merge(sandbox, tmp_path)
    assert (code, result["ended"], result["sent"]) == (4, "day_spent", 0)
    sandbox.reconfigure(location_limits={})
    assert merge(sandbox, tmp_path)[1]["sent"] == 10


def test_nothing_is_asked_where_nothing_may_be(sandbox: SandboxThread, tmp_path: Path) -> None:
    """A dry run and `validate` make no requests; without a token there is nothing to ask with."""
    source = f"leadconnector:{OLD}"
    for words in (["import", source, "--location", NEW, "--dry-run"], ["validate", source]):
        done = leadconnector(*words)
        assert done.exit_code == 1
        assert "give --stage-only" in done.stderr
    for words in (["--sandbox"], ["--stage-only", "--outbox", str(tmp_path / "o.db")]):
        done = leadconnector("import", source, "--location", NEW, *words)
        assert done.exit_code == 2
        assert "--source-token" in done.stderr
    assert not sandbox.requests


def checked(sandbox: SandboxThread, folder: Path, *words: object) -> tuple[int, dict[str, Any]]:
    """Compare both sides."""
    done = leadconnector(
        *("verify", "--outbox", folder / "merge.db", "--base-url", sandbox.url, "--json"),
        *("--token", "new-token", "--source-token", "old-token", *words),
    )
    return done.exit_code, result_of(done.stdout)["sources"][f"leadconnector:{OLD}"]


@pytest.mark.slow
def test_both_sides_are_compared(sandbox: SandboxThread, tmp_path: Path) -> None:
    """What the old location has now is in the new one, with its date and its direction."""
    fill(sandbox, tmp_path, history()[:9])
    merge(sandbox, tmp_path)
    code, found = checked(sandbox, tmp_path)
    assert (code, found["messages"], found["there"]) == (0, 9, 9)
    fill(sandbox, tmp_path, history())
    code, found = checked(sandbox, tmp_path)
    assert (code, found["absent_count"], found["there"]) == (3, 1, 9)
    assert found["absent"] == [sandbox.messages[-1].id]
    sandbox.set_faults(Fault("422", alt_id=sandbox.messages[-1].id))
    merge(sandbox, tmp_path)
    code, found = checked(sandbox, tmp_path)
    assert (code, found["refused"], found["absent_count"], found["there"]) == (0, 1, 0, 9)


@pytest.mark.slow
def test_what_may_be_there_is_not_refused(sandbox: SandboxThread, tmp_path: Path) -> None:
    """Nobody knows what became of an unresolved record: it is absent until somebody looks."""
    fill(sandbox, tmp_path, history())
    sandbox.set_faults(Fault("drop", nth=(1,)))
    merge(sandbox, tmp_path, "--on-unknown", "hold")
    code, found = checked(sandbox, tmp_path)
    assert (code, found["refused"], found["absent_count"]) == (3, 0, 1)


def test_another_date_or_direction_is_told() -> None:
    """And what is left out or refused is counted apart from what is absent."""
    date = datetime(2024, 3, 1, 10, 0, 7, 500_000, tzinfo=UTC)
    second = int(date.timestamp())

    def parsed(id_: str) -> Parsed:
        return Parsed(1, b"", SourceRow(id=id_, type="SMS", direction="inbound", date=date), ())

    wrong = (Problem("contact.phone", "is missing", "write it"),)
    with closing(FoundMessages()) as found:
        found.add([("a", second, "inbound"), ("b", second, "outbound"), ("c", 1, "inbound")])
        result = found.compare(
            [
                *map(parsed, ("a", "b", "c", "d")),
                Parsed(5, b"", None, wrong, Identity("e", None, None)),
                Parsed(6, b"", None, (), left_out="activities"),
                Parsed(7, b"", None, wrong, Identity("a", None, None)),
            ]
        )
    assert (result.messages, result.there, result.left_out, result.refused) == (7, 4, 1, 1)
    assert (result.absent, result.differing) == (["d"], ["b", "c"])
    assert not result.agrees


@pytest.mark.slow
def test_who_has_no_number_is_listed_and_mended(sandbox: SandboxThread, tmp_path: Path) -> None:
    """The list of what failed goes to the new location, though it shows the ids of the old one."""
    sandbox.know(location=OLD, contacts=["nobody"])
    fill(sandbox, tmp_path, [sms(1, contactId="nobody"), *history()[:2]])
    code, result = merge(sandbox, tmp_path)
    assert (code, result["sent"], result["failed"]) == (3, 2, 1)
    failed = tmp_path / "failed.jsonl"
    leadconnector("failed", "--outbox", tmp_path / "merge.db", "-o", failed)
    (record,) = map(json.loads, failed.read_text().splitlines())
    assert "contact.phone is missing" in record["error"]
    write_jsonl(failed, [record | {"contactPhone": "+13035550163"}])
    words = [*account(sandbox, "new-token", NEW), "--outbox", tmp_path / "merge.db", "--json"]
    result = result_of(leadconnector("import", failed, *words).stdout)
    assert (result["sent"], result["failed"]) == (1, 0)
    assert sandbox.stored == {OLD: 3, NEW: 3}


def test_a_reading_can_be_stopped(sandbox: SandboxThread, tmp_path: Path) -> None:
    """As by Ctrl-C: nothing more is asked for, and nothing is staged."""
    fill(sandbox, tmp_path, history())

    async def scenario() -> None:
        async with LeadConnector("old-token", base_url=sandbox.url, limit=None) as old:
            reader = SourceReader([f"leadconnector:{OLD}"], SourceOptions(spool=tmp_path / "f"))
            reader.stop()
            await LocationReader(old, tmp_path / "f", NEW).read(reader)

    asyncio.run(scenario())
    assert sandbox.requests["export", 200] == 1
    assert not sandbox.requests["email", 200]
    assert not sandbox.requests["contact", 200]


@pytest.mark.slow
def test_the_copy_is_for_its_owner_alone(sandbox: SandboxThread, tmp_path: Path) -> None:
    """It holds the messages. One that is damaged is told, and can be deleted."""
    fill(sandbox, tmp_path, history())
    merge(sandbox, tmp_path)
    (copy,) = (tmp_path / "merge.db.files").glob("*.db")
    assert copy.stat().st_mode & 0o077 == 0
    copy.write_bytes(b"no database at all" * 100)
    with pytest.raises(SourceError, match="no copy of it can be kept"):
        from_program(sandbox, tmp_path)
    copy.unlink()
    assert from_program(sandbox, tmp_path).skipped == 10


@pytest.mark.slow
def test_odd_answers_lose_no_message(sandbox: SandboxThread, tmp_path: Path) -> None:
    """A mail that the API does not give fails, and comes with a later import."""
    fill(sandbox, tmp_path, history()[5:6])
    sandbox.set_faults(Fault("422", endpoint="email", nth=(1,)))
    done = leadconnector(
        *("import", f"leadconnector:{OLD}", *account(sandbox, "new-token", NEW)[:-1]),
        *("--source-token", "old-token", "--outbox", tmp_path / "merge.db"),
    )
    assert done.exit_code == 3
    assert "1 mails whose text the API does not give" in done.stderr
    assert "message is missing" in done.stdout
    code, result = merge(sandbox, tmp_path)
    assert (code, result["sent"]) == (0, 1)
    assert shown(sandbox, NEW) == shown(sandbox, OLD)


@pytest.mark.slow
def test_a_file_of_locations_has_both_tokens(
    sandbox: SandboxThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a quota for each; then no token of the source's has to be given."""
    fill(sandbox, tmp_path, history())
    locations = tmp_path / "locations.toml"
    locations.write_text(
        "".join(
            f'[[location]]\nid = "{id_}"\ntoken_env = "{name}"\nlimit = "500/1"\n'
            f'providers = {{ Call = "{PROVIDER}" }}\n'
            for id_, name in ((OLD, "OLD_TOKEN"), (NEW, "NEW_TOKEN"))
        )
    )
    tokens = {"OLD_TOKEN": "old-token", "NEW_TOKEN": "new-token"}
    for name, token in tokens.items():
        monkeypatch.setenv(name, token)
    words = ["--locations", locations, "--outbox", tmp_path / "m.db", "--base-url", sandbox.url]
    done = leadconnector("import", f"leadconnector:{OLD}", "--location", NEW, *words, "--json")
    assert (done.exit_code, result_of(done.stdout)["sent"]) == (0, 10)
    assert shown(sandbox, NEW) == shown(sandbox, OLD)
    done = leadconnector("verify", *words)
    assert done.exit_code == 0
    assert f"Source leadconnector:{OLD}" in done.stdout


@pytest.mark.slow
def test_attachments_are_fetched_while_their_urls_live(
    sandbox: SandboxThread, tmp_path: Path
) -> None:
    """And uploaded for the new location, of mails too; a URL that gives nothing goes as it is."""
    (tmp_path / "door.jpg").write_bytes(b"\xff\xd8door")
    records = history()
    records[5]["attachments"] = records[1]["attachments"] = ["door.jpg"]
    fill(sandbox, tmp_path, records)
    code, result = merge(sandbox, tmp_path, "--fetch-private")
    assert (code, result["sent"]) == (0, 10)
    told = {one["reason"]: one["count"] for one in result["notices"]}
    assert told["attachments that could not be fetched: their URLs are sent as they are"] == 1
    old, new = ([one for one in sandbox.uploads if one.location_id == id_] for id_ in (OLD, NEW))
    assert [one.content for one in new] == [one.content for one in old] == [b"\xff\xd8door"]
    urls = [one.fields.get("attachments") for one in sandbox.messages if one.location_id == NEW]
    assert sorted(filter(None, urls)) == sorted(
        [[new[0].url]] * 2 + [["http://127.0.0.1:9/door.jpg"]]
    )


def test_attachments_at_private_addresses_keep_their_urls(
    sandbox: SandboxThread, tmp_path: Path
) -> None:
    """Nothing is fetched from there unless told so, and the message comes all the same."""
    fill(sandbox, tmp_path, history()[2:3])
    code, result = merge(sandbox, tmp_path)
    assert (code, result["sent"], result["failed"]) == (0, 1, 0)
    assert shown(sandbox, NEW) == shown(sandbox, OLD)
    assert "could not be fetched" in result["notices"][0]["reason"]


@pytest.mark.slow
def test_an_outbox_in_a_database_takes_a_location_too(
    sandbox: SandboxThread,
    tmp_path: Path,
    postgres_place: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The copy is in the working folder then."""
    monkeypatch.chdir(tmp_path)
    fill(sandbox, tmp_path, history())
    code, result = merge(sandbox, tmp_path, "--outbox", postgres_place)
    assert (code, result["sent"]) == (0, 10)
    assert shown(sandbox, NEW) == shown(sandbox, OLD)
    code, found = checked(sandbox, tmp_path, "--outbox", postgres_place)
    assert (code, found["there"]) == (0, 10)


def test_a_copy_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    """A full disk, or another process that has it."""
    with (
        pytest.raises(SourceError, match=r"disk is full\): free some space"),
        LocationCopy(tmp_path, OLD),
    ):
        raise sqlite3.OperationalError("database or disk is full")


@pytest.mark.slow
def test_a_move_can_be_rehearsed(sandbox: SandboxThread, tmp_path: Path) -> None:
    """The location is read from the API, and nothing goes there: the stand-in takes it."""
    fill(sandbox, tmp_path, history())
    done = leadconnector(
        *("import", f"leadconnector:{OLD}", "--sandbox", "--outbox", tmp_path / "r.db", "--json"),
        *("--base-url", sandbox.url, "--provider", PROVIDER),
        LEADCONNECTOR_SOURCE_TOKEN="old-token",  # noqa: S106 - the sandbox's
    )
    assert (done.exit_code, result_of(done.stdout)["sent"]) == (0, 10)
    assert sandbox.stored == {OLD: 10}
