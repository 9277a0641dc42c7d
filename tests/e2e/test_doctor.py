"""Whether an import would work, before the first one."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

import pytest
from cli_harness import leadconnector, result_of, sms, started, wait_until, write_jsonl

from leadconnector_async.sandbox import Fault, Limits, SandboxConfig, SandboxThread
from leadconnector_async.sandbox.config import Reads

if TYPE_CHECKING:
    from pathlib import Path

SHORTER = 20
"""How many times shorter its waits are here than elsewhere."""

PROVIDER = "60d1b9a3f1e2c4a5b6c7d8e9"

READS = {
    "find_contact",
    "create_contact",
    "search",
    "open_conversation",
    "export",
    "inbound",
    "workflows",
}


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for what it wrote to show, and before it tries again to remove it."""
    sleep = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda seconds: sleep(seconds / SHORTER))


def examined(
    sandbox: SandboxThread, *words: object, status: int = 0, told: dict[str, str] | None = None
) -> dict[str, dict[str, Any]]:
    """The findings by what was looked at; of the day there is one."""
    told = {"token": sandbox.token, "location": sandbox.location_id} | (told or {})
    given = ("--base-url", sandbox.url, "--token", told["token"], "--location", told["location"])
    end = leadconnector("doctor", *words, *given, "--json")
    assert end.exit_code == status, end.output
    found = result_of(end.stdout)
    assert found["works"] is (status == 0)
    assert [finding["check"] for finding in found["findings"]].count("day") < 2
    return {finding["check"]: finding for finding in found["findings"]}


def history(folder: Path) -> Path:
    """Messages of four kinds, by number."""
    by_number = {"contactId": None, "contact.phone": "+12125550123"}
    call = {"message": None, "call.to": "+12125550123", "call.from": "+12125550124"}
    kinds: list[dict[str, object]] = [
        {},
        {"type": "Email", "subject": "hi"},
        {"type": "Custom", "conversationProviderId": PROVIDER},
        {"type": "Call", "direction": "outbound", "conversationProviderId": PROVIDER, **call},
    ]
    records = [sms(n, **by_number, **kind) for n, kind in enumerate(kinds)]
    return write_jsonl(folder / "h.jsonl", records)


@pytest.mark.slow
def test_all_is_well(tmp_path: Path) -> None:
    """Nothing is stored, in the account or on disk."""
    with SandboxThread(SandboxConfig(limits=Limits(max=50, daily=9_000))) as sandbox:
        found = examined(sandbox, history(tmp_path), "--outbox", tmp_path / "o.db")
        assert found["quota"]["found"] == "50 requests in 10 s, 9,000 a day"
        assert found["automations"]["state"] == found["clock"]["state"] == "ok"
        assert sum(check.startswith("scope ") for check in found) == 6
        assert not sandbox.messages
        assert not sandbox.contacts
        assert {name for name, _ in sandbox.requests} == READS
    assert [path.name for path in tmp_path.iterdir()] == ["h.jsonl"]


@pytest.mark.parametrize(
    "scope",
    [
        "contacts.readonly",
        "contacts.write",
        "conversations.readonly",
        "conversations/message.readonly",
        "conversations/message.write",
    ],
)
def test_a_scope_that_an_import_needs(tmp_path: Path, scope: str) -> None:
    """Its lack is a fault, and the fix names it."""
    with SandboxThread(SandboxConfig(denied_scopes=frozenset({scope}))) as sandbox:
        found = examined(sandbox, history(tmp_path), status=3)
        faults = [finding for finding in found.values() if finding["state"] == "fault"]
        assert [finding["fix"] for finding in faults] == [f"give the token {scope}"]


@pytest.mark.parametrize("kind", ["garbage", "html"])
def test_an_export_that_cannot_be_read(kind: str) -> None:
    """It is a fault, since ``verify`` would end with it."""
    with SandboxThread(SandboxConfig(faults=(Fault(kind, endpoint="export"),))) as sandbox:  # type: ignore[arg-type]
        found = examined(sandbox, status=3)
        assert "answered 200 with" in found["scope conversations/message.readonly"]["found"]


@pytest.mark.slow
def test_contacts_are_not_needed_where_all_have_ids(tmp_path: Path) -> None:
    """The files tell: then it is only a warning."""
    source = write_jsonl(tmp_path / "h.jsonl", [sms(1)])
    denied = frozenset({"contacts.write", "conversations.write", "workflows.readonly"})
    with SandboxThread(SandboxConfig(denied_scopes=denied)) as sandbox:
        found = examined(sandbox, source)
        assert found["scope contacts.write"]["state"] == "warning"
        assert found["automations"]["state"] == "note"


def test_a_token_that_is_refused(tmp_path: Path) -> None:
    """One finding, and no canary."""
    with SandboxThread(SandboxConfig(tokens={"t": "here"}, location_id="here")) as sandbox:
        words = history(tmp_path), "--canary"
        found = examined(sandbox, *words, told={"token": "wrong"}, status=3)
        assert "Invalid token" in found["api"]["found"]
        assert "wrong" not in str(found)
        assert not sandbox.contacts
        found = examined(sandbox, told={"token": "t", "location": "there"}, status=3)
        assert "403" in found["token"]["found"]


def test_an_api_that_is_not_there() -> None:
    """Said as that, with the address to look at."""
    with SandboxThread() as sandbox:
        sandbox.go_down()
        assert "--base-url" in examined(sandbox, status=3)["api"]["fix"]


@pytest.mark.slow
def test_a_day_that_is_spent_or_too_short(tmp_path: Path) -> None:
    """Seven requests are made; what is left of the day is told, also where nothing was."""
    with SandboxThread(SandboxConfig(limits=Limits(daily=6))) as sandbox:
        for _ in range(2):
            found = examined(sandbox, status=3)
            assert (found["day"]["state"], "api" in found) == ("fault", False)
            assert "wait for the next day" in found["day"]["fix"]
            assert [one for one in found.values() if "429" in one["found"]] == []
    source = write_jsonl(tmp_path / "h.jsonl", [sms(n) for n in range(50)])
    with SandboxThread(SandboxConfig(limits=Limits(daily=30))) as sandbox:
        day = examined(sandbox, source)["day"]
        assert (day["state"], "2 days at least" in day["found"]) == ("warning", True)


def test_automations_are_named() -> None:
    """They may answer what is imported."""
    config = SandboxConfig(workflows=("Customer replied", "AI"))
    with SandboxThread(config) as sandbox:
        found = examined(sandbox)["automations"]
        assert found["state"] == "warning"
        assert "Customer replied, AI" in found["found"]


@pytest.mark.slow
def test_an_outbox_of_another_api(tmp_path: Path) -> None:
    """What was sent there would not be sent here."""
    source = write_jsonl(tmp_path / "h.jsonl", [sms(1)])
    outbox = tmp_path / "o.db"
    leadconnector("import", source, "--sandbox", "--outbox", outbox)
    with SandboxThread() as sandbox:
        found = examined(sandbox, "--outbox", outbox, status=3)
        assert "belongs to an import into the sandbox" in found["outbox"]["found"]
        beside = leadconnector("doctor", "--sandbox", "--outbox", outbox)
        assert beside.exit_code == 0, beside.output
        found = examined(sandbox, "--outbox", tmp_path / "no" / "o.db", status=3)
        assert found["disk"]["state"] == "fault"
        (tmp_path / "x.db").write_text("no outbox")
        assert examined(sandbox, "--outbox", tmp_path / "x.db", status=3)["outbox"]["fix"]


@pytest.mark.slow
def test_an_outbox_in_a_database(postgres_place: str) -> None:
    """Its server's version; it is not there yet, and is not made."""
    with SandboxThread() as sandbox:
        for _ in range(2):
            found = examined(sandbox, "--outbox", postgres_place)
            assert found["postgresql"]["found"].startswith("PostgreSQL 1")
            assert "sqlite" not in found
            assert found["outbox"]["found"].endswith("can be used")


@pytest.mark.slow
def test_a_canary_writes_reads_and_removes(tmp_path: Path) -> None:
    """One message of each kind, and a second mail into the thread of the first."""
    config = SandboxConfig(providers={PROVIDER: "Custom"}, limits=Limits())
    with SandboxThread(config) as sandbox:
        sandbox.state.know(sandbox.location_id, providers=[PROVIDER])
        found = examined(sandbox, history(tmp_path), "--canary", status=3)
        assert found[f"canary Custom by provider {PROVIDER}"]["state"] == "ok"
        call = found[f"canary Call (outbound) by provider {PROVIDER}"]
        assert (call["state"], "Incorrect" in call["found"]) == ("fault", True)
        assert "in its thread" in found["canary Email read"]["found"]
        assert "SMS, inbound, 2020-01-01" in found["canary SMS read"]["found"]
        assert "4 of 4" in found["canary unread"]["found"]
        assert found["canary answer"]["state"] == "ok"
        assert found["canary removal"]["state"] == "ok"
        assert not sandbox.messages
        assert not sandbox.contacts


@pytest.mark.slow
def test_a_canary_writes_in_each_direction_that_the_files_use(tmp_path: Path) -> None:
    """An account may take one for the other."""
    records = [sms(n, direction=way) for n, way in enumerate(("inbound", "outbound"))]
    with SandboxThread(SandboxConfig(limits=Limits())) as sandbox:
        found = examined(sandbox, write_jsonl(tmp_path / "h.jsonl", records), "--canary")
    assert "2 records: SMS, SMS (outbound)" in found["sources"]["found"]
    assert "SMS, inbound, 2020" in found["canary SMS read"]["found"]
    assert "SMS, outbound, 2020" in found["canary SMS (outbound) read"]["found"]


@pytest.mark.slow
def test_a_canary_says_what_the_account_does(tmp_path: Path) -> None:
    """A workflow that answers; and texts of mails aside, nothing else is changed."""
    source = write_jsonl(tmp_path / "h.jsonl", [sms(1)])
    with SandboxThread(SandboxConfig(answer="Thanks!")) as sandbox:
        found = examined(sandbox, source, "--canary")
        assert "answered with 1 messages of its own" in found["canary answer"]["found"]
        assert not sandbox.messages


@pytest.mark.slow
def test_a_canary_does_not_take_its_own_message_for_an_answer(tmp_path: Path) -> None:
    """An error was answered, and the message stored all the same."""
    source = write_jsonl(tmp_path / "h.jsonl", [sms(1), sms(2, direction="outbound")])
    stored = Fault("500", "after", nth=(2,))  # the first asks for a scope
    with SandboxThread(SandboxConfig(faults=(stored,))) as sandbox:
        found = examined(sandbox, source, "--canary", status=3)
    assert "was not taken: 500" in found["canary SMS"]["found"]
    assert found["canary answer"]["state"] == "ok"


@pytest.mark.slow
def test_a_canary_that_cannot_be_removed_is_named(tmp_path: Path) -> None:
    """Its owner has to do it."""
    source = write_jsonl(tmp_path / "h.jsonl", [sms(1)])
    with SandboxThread(SandboxConfig(faults=(Fault("500", endpoint="delete_contact"),))) as sandbox:
        found = examined(sandbox, source, "--canary", status=3)
        (contact,) = sandbox.contacts
        assert contact["id"] in found["canary removal"]["found"]


def test_a_canary_that_may_have_been_made_is_named(tmp_path: Path) -> None:
    """The answer to its making was lost: whoever looks for it is told its number."""
    lost = Fault("drop", "after", endpoint="create_contact", nth=(2,))  # the first asks for a scope
    with SandboxThread(SandboxConfig(faults=(lost,))) as sandbox:
        source = write_jsonl(tmp_path / "h.jsonl", [sms(1)])
        found = examined(sandbox, source, "--canary", status=3)["canary contact"]
        (contact,) = sandbox.contacts
        assert contact["phone"] in found["found"]
        assert "remove it" in found["fix"]


def test_a_canary_that_was_refused_and_made_is_used_and_removed(tmp_path: Path) -> None:
    """As an import takes a contact that the API has refused, and made all the same."""
    refused = Fault("422", "after", endpoint="create_contact", nth=(2,))  # as above
    with SandboxThread(SandboxConfig(faults=(refused,))) as sandbox:
        source = write_jsonl(tmp_path / "h.jsonl", [sms(1)])
        found = examined(sandbox, source, "--canary")
        assert found["canary SMS read"]["state"] == "ok"
        assert not sandbox.contacts


@pytest.mark.slow
@pytest.mark.parametrize("endpoint", ["create_contact", "inbound", "messages", "conversation"])
@pytest.mark.parametrize("kind", ["500", "html", "reset", "404"])
def test_whatever_fails_on_the_way_it_is_removed(tmp_path: Path, endpoint: str, kind: str) -> None:
    """And no finding is lost."""
    source = write_jsonl(tmp_path / "h.jsonl", [sms(1)])
    faults = (Fault(kind, endpoint=endpoint, nth=(2,) if endpoint[1] in "rn" else ()),)  # type: ignore[arg-type]
    with SandboxThread(SandboxConfig(faults=faults)) as sandbox:
        end = leadconnector(
            *("doctor", source, "--canary", "--base-url", sandbox.url, "--token", sandbox.token),
            *("--location", sandbox.location_id, "--json"),
        )
        assert end.exit_code in (0, 3), end.output
        assert not sandbox.contacts
        assert not sandbox.messages


@pytest.mark.full
def test_reads_that_lag_are_waited_for(tmp_path: Path) -> None:
    """As long as an import would wait."""
    source = write_jsonl(tmp_path / "h.jsonl", [sms(1)])
    with SandboxThread(SandboxConfig(reads=Reads(lag=3.0 / SHORTER))) as sandbox:
        assert examined(sandbox, source, "--canary")["canary SMS read"]["state"] == "ok"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "give the token"),
        (("--token", "t"), "--location"),
        (("--token", "t", "--location", "x", "--canary"), "SOURCE"),
        (("--sandbox", "--canary"), "SOURCE"),
        (("--token", "t", "--location", "x", "--base-url", "ftp://x"), "https://host"),
    ],
)
def test_what_cannot_be_examined(words: tuple[str, ...], complaint: str) -> None:
    """Is said before anything is asked."""
    end = leadconnector("doctor", *words)
    assert end.exit_code == 2
    assert complaint in end.output


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """Ends it before the first request; one without a good record is a fault."""
    with SandboxThread() as sandbox:
        missing = leadconnector(
            *("doctor", tmp_path / "no.csv", "--base-url", sandbox.url, "--token", "t"),
            *("--location", "x", "--canary"),
        )
        assert missing.exit_code == 1
        assert not sandbox.requests
        source = write_jsonl(tmp_path / "h.jsonl", [sms(1, direction="sideways")])
        found = examined(sandbox, source, "--canary", status=3)
        assert found["sources"]["state"] == "fault"
        assert not sandbox.contacts


def test_each_location_of_a_file_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One whose token is refused is named, as is one that records are for and the file lacks."""
    source = write_jsonl(
        tmp_path / "h.jsonl",
        [sms(n, locationId=of) for n, of in enumerate(("one", "two", "three", "three"))],
    )
    listed = [f'[[location]]\nid = "{of}"\ntoken_env = "TOKEN_{of}"\n' for of in ("one", "two")]
    (tmp_path / "l.toml").write_text("".join(listed))
    monkeypatch.setenv("TOKEN_one", "good")
    monkeypatch.setenv("TOKEN_two", "bad")
    with SandboxThread(SandboxConfig(tokens={"good": "one"})) as sandbox:
        given = ("--base-url", sandbox.url, "--locations", tmp_path / "l.toml")
        end = leadconnector("doctor", source, *given, "--json")
        told = leadconnector("doctor", source, *given, "--quiet").output
    assert end.exit_code == 3
    found = result_of(end.stdout)["findings"]
    faults = [(one["check"], one["location"]) for one in found if one["state"] == "fault"]
    assert faults == [("sources", None), ("api", "two")]
    assert "2 records are for location three" in told
    assert "FAULT    two: api: " in told


@pytest.mark.slow
def test_without_an_account(tmp_path: Path) -> None:
    """--sandbox needs neither token nor location, and says all in lines."""
    source = write_jsonl(tmp_path / "h.jsonl", [sms(1)])
    end = leadconnector("doctor", source, "--sandbox", "--canary")
    assert end.exit_code == 0, end.output
    assert end.output.endswith("An import would work.\n")


@pytest.mark.slow
def test_an_interrupted_canary_is_removed(tmp_path: Path) -> None:
    """Ctrl-C ends the writing, and not the removal."""
    source = write_jsonl(tmp_path / "h.jsonl", [sms(1)])
    config = SandboxConfig(faults=(Fault("hang", endpoint="inbound", nth=(2,), seconds=60.0),))
    with SandboxThread(config) as sandbox:
        given = ("--base-url", sandbox.url, "--token", "t", "--location", sandbox.location_id)
        with started("doctor", source, "--canary", "--json", *given) as process:
            wait_until(lambda: sandbox.requests["inbound", 0] == 1)
            process.send_signal(signal.SIGINT)
            assert "was interrupted" in process.communicate()[0]
            assert process.returncode == 3
        assert not sandbox.contacts
