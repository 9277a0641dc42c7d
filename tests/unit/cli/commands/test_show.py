from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cli_harness import at, leadconnector, result_of, sms, write_jsonl

from leadconnector_async.sandbox import Fault, SandboxConfig, SandboxThread

if TYPE_CHECKING:
    from pathlib import Path


def test_what_happened_to_a_record_is_told(tmp_path: Path) -> None:
    """A lost answer, the look that found it, and what the API made of it; no text of it."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1, message="secret"), sms(2, direction=None)])
    config = SandboxConfig(faults=(Fault("drop", when="after", nth=(1,)),))
    with SandboxThread(config) as sandbox:
        leadconnector("import", history, *at(sandbox, tmp_path / "o.db"), "--look-after", "0.1")
        (stored,) = sandbox.messages
    options = "--outbox", tmp_path / "o.db"
    shown = leadconnector("show", "h.jsonl:1", "h.jsonl:2", *options)
    assert shown.exit_code == 0
    assert "no answer" in shown.stdout
    assert "looked for: found" in shown.stdout
    assert f"message {stored.id}" in shown.stdout
    assert "failed: direction is missing" in shown.stdout
    assert "secret" not in shown.stdout
    by_message = result_of(leadconnector("show", stored.id, *options, "--json").stdout)
    (record,) = by_message["records"]
    assert record["state"] == "sent"
    assert [event["what"] for event in record["trail"]][-1] == "looked for: found"


def test_what_nobody_knows_is_an_error(tmp_path: Path) -> None:
    """It names the forms that an ID can have."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1)])
    leadconnector("import", history, "--sandbox", "--outbox", tmp_path / "o.db")
    run = leadconnector("show", "nobody", "--outbox", tmp_path / "o.db")
    assert run.exit_code == 1
    assert "has no record nobody: give an id, FILE:LINE" in run.stderr


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_what_is_known_is_shown_beside_what_nobody_knows(
    tmp_path: Path, more: tuple[str, ...]
) -> None:
    """Whichever is named first; and it is an error all the same."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1), sms(2)])
    leadconnector("import", history, "--sandbox", "--outbox", tmp_path / "o.db")
    run = leadconnector("show", "m1", "x", "m2", "y", "--outbox", tmp_path / "o.db", *more)
    assert run.exit_code == 1
    assert all(f"h.jsonl:{line}" in run.stdout for line in (1, 2))
    assert "has no record x, y: give an id" in run.stderr


@pytest.mark.slow
@pytest.mark.parametrize("place", ["file", "database"])
def test_a_person_is_named_as_people_write(
    tmp_path: Path, place: str, request: pytest.FixtureRequest
) -> None:
    """A number without its country code, or with signs between; an address in any case.

    Signs that a search gives a meaning have none.
    """
    whom = {"contactId": None, "contact.phone": "+14155552671", "contact.email": "a_b@example.com"}
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1, **whom), sms(2)])
    outbox = str(tmp_path / "o.db")
    if place == "database":
        outbox = request.getfixturevalue("postgres_place")
        leadconnector("outbox", "init", outbox)
    leadconnector("import", history, "--sandbox", "--outbox", outbox)
    for one in (
        "(415) 555-2671",
        "415.555.2671",
        "1-415-555-2671",
        "+1 415 555 2671",
        "A_B@Example.com",
    ):
        shown = leadconnector("show", one, "--outbox", outbox, "--json")
        assert shown.exit_code == 0, one
        (record,) = result_of(shown.stdout)["records"]
        assert record["places"] == [f"{history}:1"]
    for one in ("%", "_", "axb@example.com", "a%", "555-2671", "+4155552671", "\\"):
        assert leadconnector("show", one, "--outbox", outbox).exit_code == 1, one
