"""Objects that records name by an id: in the same file, beside it, or nowhere."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from leadconnector_async.models import Contact
from leadconnector_async.sources import SourceOptions, open_source, open_sources

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.sources import Parsed

USERS = [
    {"id": 71, "name": "Kim", "email": "kim@example.org", "role": "end-user"},
    {"id": 5, "name": "Ann", "email": "ann@spoke.example", "role": "agent"},
]
COMMENT = {"public": True, "audit_id": 1, "via": {"channel": "web"}, "plain_body": "hi"}
TICKET = {
    "id": 35,
    "requester_id": 71,
    "comments": [
        {"id": 1, "author_id": 71, "created_at": "2024-03-29T15:06:41Z", **COMMENT},
        {"id": 2, "author_id": 5, "created_at": "2024-03-29T15:07:41Z", **COMMENT},
    ],
}
KIM = Contact(email="kim@example.org", name="Kim")
LINES = "\n".join(map(json.dumps, USERS))
OPTIONS = SourceOptions()


def _read(path: Path, options: SourceOptions = OPTIONS) -> tuple[list[Parsed], list[str]]:
    sources = open_sources(str(path), options)
    parsed, warnings = [], []
    for opened in sources:
        with opened as source:
            parsed += list(source)
            warnings += source.warnings
    return parsed, [*warnings, *sources.warnings]


@pytest.mark.parametrize(
    ("name", "users"),
    [
        ("users.json", json.dumps({"users": USERS, "next_page": None})),
        ("users.json", json.dumps(USERS)),
        ("users.json", LINES),
        ("users.jsonl", LINES),
    ],
)
@pytest.mark.parametrize("place", ["beside", "folder", "archive"])
def test_who_an_id_is_stands_in_a_file_beside_it(
    tmp_path: Path, name: str, users: str, place: str
) -> None:
    """A page, a list or lines; the file of users is read for that, and no source that is lost."""
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "tickets.json").write_text(json.dumps({"tickets": [TICKET]}))
    (folder / name).write_text(users)
    path = {"beside": folder / "tickets.json", "folder": folder}.get(place)
    if path is None:
        path = tmp_path / "export.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file in folder.iterdir():
                archive.write(file, file.name)
    parsed, warnings = _read(path)
    assert [one.row and (one.row.id, one.row.direction) for one in parsed] == [
        ("1", "inbound"),
        ("2", "outbound"),
    ]
    assert {one.row.contact for one in parsed if one.row} == {KIM}
    assert not [one for one in warnings if "not read" in one or "not hold" in one]


def test_tickets_in_a_list(tmp_path: Path) -> None:
    """The comments are the records, though the tickets around them are known too."""
    (tmp_path / "users.json").write_text(LINES)
    (tmp_path / "tickets.json").write_text(json.dumps([TICKET]))
    parsed, _ = _read(tmp_path / "tickets.json")
    assert [one.row and one.row.contact for one in parsed] == [KIM, KIM]


def test_tickets_a_line_and_users_behind_them(tmp_path: Path) -> None:
    """As the export of a whole account has them; a list of what failed needs no users."""
    path = tmp_path / "tickets.json"
    page = {"users": USERS, "count": 2}
    path.write_text("\n".join(map(json.dumps, [TICKET, page])))
    parsed, _ = _read(path)
    assert [one.row and one.row.contact for one in parsed] == [KIM, KIM]
    assert json.loads(parsed[1].raw)["contact.email"] == "kim@example.org"


def test_an_id_that_nobody_has_is_told(tmp_path: Path) -> None:
    """With the way to mend it: its records are refused, and none is guessed."""
    path = tmp_path / "tickets.json"
    path.write_text(json.dumps({"tickets": [TICKET], "users": USERS[:1]}))
    parsed, warnings = _read(path)
    assert [bool(one.row) for one in parsed] == [True, True]  # the ticket says whom it is with
    assert any("author_id has ids that users[*] does not hold (1 times)" in one for one in warnings)
    path.write_text(json.dumps({"tickets": [TICKET]}))
    parsed, warnings = _read(path)
    assert [bool(one.row) for one in parsed] == [False, False]
    assert any("put users.json beside the file" in one for one in warnings)
    path.write_text(json.dumps({"comments": TICKET["comments"]}))
    fixes = [problem.fix for one in _read(path)[0] for problem in one.problems]
    assert "give --mine with the name that is yours" in fixes  # of names there are none to show


def test_a_pipe_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that nobody is known; it is said, and nothing breaks."""
    content = json.dumps({"tickets": [TICKET], "users": USERS}).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    with open_source("-") as source:
        assert [bool(one.row) for one in source] == [False, False]
        assert any("does not hold" in one for one in source.warnings)


def test_any_mapping_may_look_up(tmp_path: Path) -> None:
    """Chats of teams name their writers so, in a file that all channels share."""
    folder = tmp_path / "export"
    (folder / "general").mkdir(parents=True)
    lines = [{"user": "U1", "ts": "1711724801.5", "text": "hi", "type": "message"}]
    (folder / "general" / "2024-03-29.json").write_text(json.dumps(lines))
    (folder / "users.json").write_text(json.dumps([{"id": "U1", "email": "kim@example.org"}]))
    mapping = tmp_path / "chat.toml"
    mapping.write_text(
        'lookup = { user = "users[*]" }\nrecords = "[*]"\nrequires = ["user", "ts"]\n'
        '[fields]\ntype = { constant = "Custom" }\nmessage = "text"\n'
        'date = { column = "ts", formats = ["epoch"] }\ndirection = { constant = "inbound" }\n'
        'contact.email = "user.email"\n'
    )
    parsed, _ = _read(folder, SourceOptions(mapping_file=str(mapping)))
    rows = [one.row for one in parsed if one.row]
    assert [row.contact for row in rows] == [Contact(email="kim@example.org")]
