"""Records and files of people, and exports in archives, through the command and the library."""

from __future__ import annotations

import asyncio
import zipfile
from typing import TYPE_CHECKING

import pytest
from cli_harness import at, leadconnector, result_of

from leadconnector_async import LeadConnector, import_files
from leadconnector_async.sandbox import SandboxThread

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "type,contact.name,contact.phone,direction,date,message,attachments\n"
ROW = "SMS,{},{},inbound,2024-03-01T10:00:0{}Z,hi,{}\n"


def _laid(folder: Path) -> tuple[Path, Path]:
    """A table in a folder with a picture, and people."""
    (folder / "chats").mkdir(parents=True)
    rows = [("Ann Lee", "", 1, "a.jpg"), ("", "+12125550101", 2, ""), ("Zed", "", 3, "")]
    rows += [("Zed", "", 4, ""), ("", "+12125550102", 5, "")]
    table = HEADER + "".join(ROW.format(*row) for row in rows)
    (folder / "chats" / "one.csv").write_text(table)
    (folder / "chats" / "a.jpg").write_bytes(b"a picture")
    people = folder.parent / "people.csv"
    people.write_text("Ann Lee,+12125550100\nAnn Lee,+12125550101\n")
    return folder, people


def _zipped(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, file.relative_to(folder))
    return path


@pytest.mark.slow
def test_who_is_missing_is_told_once_and_sent_when_it_is_known(tmp_path: Path) -> None:
    """Counted by name, in the exit status; nothing is sent twice, whatever is learned of people."""
    folder, people = _laid(tmp_path / "export")
    with SandboxThread() as sandbox:
        run = ["import", folder, *at(sandbox, tmp_path / "a.db"), "--people", people]
        first = leadconnector(*run, "--region", "US", "--json")
        assert first.exit_code == 3
        counts = result_of(first.stdout)
        assert (counts["sent"], counts["failed"]) == (3, 2)
        (reason,) = counts["by_reason"]
        assert reason["reason"].startswith('contact.name "Zed" is not there in --people')
        assert reason["count"] == 2
        assert [line.rpartition("export/")[2] for line in reason["lines"]] == [
            "chats/one.csv:4",
            "chats/one.csv:5",
        ]
        assert len({one.contact_id for one in sandbox.messages}) == 2
        more = "Ann Lee,+12125550102\nZed,+12125550103\n"
        people.write_text(more + people.read_text())
        second = leadconnector(*run, "--region", "US", "--json")
        assert second.exit_code == 0
        assert result_of(second.stdout)["sent"] == 2
        assert len(sandbox.messages) == 5


@pytest.mark.slow
def test_an_archive_goes_on_where_its_folder_ended(tmp_path: Path) -> None:
    """The keys of its records are the same, attachments included."""
    folder, people = _laid(tmp_path / "export")
    people.write_text(people.read_text() + "Zed,+12125550103\n")
    packed = _zipped(folder)

    async def run(path: Path) -> tuple[int, int, int]:
        async with LeadConnector(
            sandbox.token, location_id=sandbox.location_id, base_url=sandbox.url
        ) as api:
            outbox = tmp_path / "a.db"
            found = await import_files(api, [path], outbox=outbox, region="US", people=people)
            return found.sent, found.failed, found.skipped

    with SandboxThread() as sandbox:
        assert asyncio.run(run(packed)) == (5, 0, 0)
        assert asyncio.run(run(folder)) == (0, 0, 5)
        assert asyncio.run(run(packed)) == (0, 0, 5)
        (with_file,) = [one for one in sandbox.messages if one.fields.get("attachments")]
        assert len(with_file.fields["attachments"]) == 1


def test_inspect_shows_who_cannot_be_told_apart(tmp_path: Path) -> None:
    """Before the move, with or without a file; and what an archive holds."""
    folder, people = _laid(tmp_path / "export")
    book = tmp_path / "book.csv"
    book.write_text("Name,Phone,Email\nBob,+12125550104,\nBob,+12125550105,\nEve,+12125550104,\n")
    shown = leadconnector("inspect", "--people", people, "--people", book).output
    assert "Ann Lee: +12125550100, +12125550101" in shown
    assert f"Bob: {book}:2, {book}:3" in shown
    assert "+12125550104: Bob, Eve" in shown
    shown = leadconnector("inspect", _zipped(folder), "--people", people, "--region", "US").output
    assert "export.zip/chats/one.csv" in shown
    assert '"Zed" is not there in --people' in shown
    assert 'Other files, named by records or not read: "a.jpg"' not in shown
    assert leadconnector("inspect").exit_code == 2


def test_validate_tells_the_same_as_an_import(tmp_path: Path) -> None:
    """Places, reasons and what is left over of the export."""
    folder, people = _laid(tmp_path / "export")
    (folder / "b.jpg").write_bytes(b"x")
    found = leadconnector("validate", _zipped(folder), "--people", people, "--json")
    assert found.exit_code == 3
    told = result_of(found.stdout)
    assert told["wrong"] == 2
    assert told["by_reason"][0]["lines"][0].endswith("export.zip/chats/one.csv:4")
    assert told["warnings"] == [
        f'{tmp_path}/export.zip: 1 file that is no source, and not read: "b.jpg"'
    ]
