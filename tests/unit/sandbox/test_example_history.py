from __future__ import annotations

import csv
import io
from collections import Counter
from datetime import datetime
from pathlib import Path

import orjson
from example_history import SIZE, as_csv, as_jsonl, example_records, write_example

from leadconnector_async.models import CALL_STATUSES
from leadconnector_async.sandbox import SandboxConfig
from leadconnector_async.sandbox.app import respond
from leadconnector_async.sandbox.state import SandboxState

SHIPPED = Path(__file__).resolve().parents[3] / "docs" / "example"
HEADERS = {"Authorization": "Bearer any", "Version": "2021-04-15"}


def test_the_shipped_files_are_the_generator_s() -> None:
    """Nobody edits them by hand, and the same seed writes the same bytes."""
    records = example_records()
    assert (SHIPPED / "history.jsonl").read_bytes() == as_jsonl(records)
    assert (SHIPPED / "history.csv").read_bytes() == as_csv(records)


def test_both_files_are_written(tmp_path: Path) -> None:
    """Into a folder that need not exist."""
    write_example(tmp_path / "new")
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert names == ["history.csv", "history.jsonl"]


def test_the_table_holds_the_same_records() -> None:
    """Dotted names and lists taken apart again, the two files agree; empty cells are absent."""
    records = example_records()
    for row, record in zip(
        csv.DictReader(io.StringIO(as_csv(records).decode())), records, strict=True
    ):
        found: dict[str, object] = {}
        for name, cell in row.items():
            head, _, part = name.partition(".")
            if cell and part:
                found[head] = {**dict(found.get(head, {})), part: cell}  # type: ignore[call-overload] # a dict
            elif cell:
                found[name] = cell.split(";") if name in ("emailCc", "attachments") else cell
        assert found == {name: value for name, value in record.items() if value != ""}


def test_it_shows_every_kind_of_message() -> None:
    """Both directions, four types, a long tail of contacts, two years, ids without repetition."""
    records = example_records()
    types = Counter((record["type"], record["direction"]) for record in records)
    for message_type in ("SMS", "Email", "Call", "WhatsApp"):
        assert min(types[message_type, way] for way in ("inbound", "outbound")) >= 10
    assert len(records) == SIZE == len({record["id"] for record in records})
    contacts = Counter(record.get("contactId") for record in records)
    assert contacts.most_common(1)[0][1] > 50
    assert len([contact for contact, count in contacts.items() if count <= 5]) >= 5
    years = {record["date"][:4] for record in records}
    assert years == {"2023", "2024", "2025"}
    assert any("emailCc" in record for record in records)
    statuses = {record["call"]["status"] for record in records if "call" in record}
    assert statuses >= {"completed", "answered", "busy", "no-answer", "failed", "canceled"}


def test_seven_records_are_wrong() -> None:
    """Each in its own way; all others are right."""
    wrong = []
    for record in example_records():
        problems = {
            "no contact": not record.get("contactId"),
            "type": record["type"] not in ("SMS", "Email", "Call", "WhatsApp"),
            "offset": datetime.fromisoformat(record["date"]).tzinfo is None,
            "provider": record["type"] == "Call" and "conversationProviderId" not in record,
            "attachments": not all(
                url.startswith("https://") for url in record.get("attachments", [])
            ),
            "empty": record["type"] != "Call" and not record.get("message"),
            "status": record.get("call", {}).get("status", "busy") not in CALL_STATUSES,
        }
        wrong += [name for name, is_wrong in problems.items() if is_wrong]
    assert sorted(wrong) == sorted(problems)


def test_the_right_ones_are_stored() -> None:
    """The sandbox takes all but the four that the API itself can tell to be wrong."""
    state = SandboxState(SandboxConfig())
    statuses = Counter(
        respond(
            state, "POST", "/conversations/messages/inbound", HEADERS, orjson.dumps(record)
        ).reply.status
        for record in example_records()
    )
    assert statuses == {200: SIZE - 4, 422: 2, 400: 2}
