"""The main flows under each version of the API, against a sandbox that takes no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cli_harness import at, leadconnector, result_of, write_jsonl
from late_harness import CLOSED, KIM, LEE, QUICK, import_records, mail, mailbox, named, run
from msgspec.structs import replace
from oauth_kit import APP, FIRST_COMPANY

from leadconnector_async.sandbox import Fault, SandboxThread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["v3", "2023-02-21"])
def version(request: pytest.FixtureRequest) -> str:
    """The version that is asked for, and served alone."""
    return str(request.param)


@pytest.fixture
def sandbox(version: str) -> Iterator[SandboxThread]:
    """A sandbox of one version: any other is refused as an invented one is."""
    with SandboxThread(replace(CLOSED, versions=frozenset({version}))) as sandbox:
        yield sandbox


@pytest.mark.slow
def test_every_request_of_an_import_has_the_version(
    sandbox: SandboxThread, version: str, tmp_path: Path
) -> None:
    """Contacts found and made, conversations, files, calls, looks after doubt; then verify."""
    (tmp_path / "a.png").write_bytes(b"picture")
    call = {"from": "+12125550000", "to": KIM, "status": "completed"}
    records = [
        named(1),
        named(2, "+12125550199"),
        named(3, LEE, attachments=[(tmp_path / "a.png").as_uri()]),
        named(4, type="Call", direction="outbound", conversationProviderId="p1", call=call),
        *(named(number) for number in range(5, 12)),
    ]
    sandbox.set_faults(Fault("500", when="after", endpoint="inbound", nth=(2,)))
    result = import_records(sandbox, tmp_path, records, *QUICK, "--api-version", version)
    assert result["sent"] == len(records) == len(sandbox.messages)
    endpoints = {name for name, _ in sandbox.requests}
    assert {"find_contact", "create_contact", "upload", "outbound", "messages"} <= endpoints
    assert 401 not in {status for _, status in sandbox.requests}
    words = at(sandbox, tmp_path / "o.db")[:4]
    done = leadconnector(
        "verify", *words, "--outbox", tmp_path / "o.db", "--api-version", version, "--json"
    )
    assert done.exit_code == 0, done.output
    assert result_of(done.stdout)["agrees"]
    assert leadconnector("verify", *words, "--outbox", tmp_path / "o.db").exit_code == 1


def test_mails_keep_their_threads(sandbox: SandboxThread, version: str, tmp_path: Path) -> None:
    """By the ids of earlier answers, as in every version."""
    box = mailbox(tmp_path, mail("a", 1), mail("b", 2, "a"))
    options = ("--mine", "me@example.com", "--api-version", version)
    assert run(sandbox, box, *options)["sent"] == 2
    assert len({stored.thread_id for stored in sandbox.messages}) == 1


def test_tokens_of_an_agency_are_asked_for_in_the_version(version: str, tmp_path: Path) -> None:
    """Refreshed and derived, at the path and in the spelling of the version."""
    places = tmp_path / "places.toml"
    places.write_text(
        '[oauth]\nclient_id = "app"\nclient_secret_env = "SECRET"\nstore = "tokens.db"\n'
        '[[company]]\nid = "co"\nrefresh_token_env = "FIRST"\n'
        '[[location]]\nid = "loc-1"\ncompany = "co"\n'
    )
    source = write_jsonl(tmp_path / "h.jsonl", [named(1), named(2, LEE)])
    config = replace(CLOSED, versions=frozenset({version}), oauth=APP)
    with SandboxThread(config) as sandbox:
        to = ("--base-url", sandbox.url, "--locations", places, "--outbox", tmp_path / "o.db")
        done = leadconnector(
            *("import", source, *to, "--location", "loc-1", "--api-version", version, "--json"),
            SECRET=APP.client_secret,
            FIRST=FIRST_COMPANY,
        )
        assert done.exit_code == 0, done.output
        assert result_of(done.stdout)["sent"] == 2
        assert sandbox.requests["token", 200] == sandbox.requests["location_token", 200] == 1
