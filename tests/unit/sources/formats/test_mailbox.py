from __future__ import annotations

import gzip
import json
from email.message import EmailMessage
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec
import pytest
from mails import ME, PLAIN

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Contact
from leadconnector_async.sources import FailedRow, SourceOptions, open_source, write_failed
from leadconnector_async.sources.base import MAIL_LIMIT, Parsed

if TYPE_CHECKING:
    from pathlib import Path

BEGIN = b"From - Wed Jan 31 10:30:00 2024\n"


def _read(
    content: bytes, path: Path, options: SourceOptions = ME
) -> tuple[list[Parsed], list[str]]:
    path.write_bytes(content)
    with open_source(str(path), options) as source:
        parsed = list(source)
        assert source.bytes_read == source.size
        return parsed, source.warnings


@pytest.mark.parametrize("name", ["inbox.mbox", "Inbox", "inbox.mbx", "one.eml", "INBOX.MBOX.gz"])
def test_a_mail_becomes_a_row(name: str, tmp_path: Path) -> None:
    """Whatever the file is called that has a From line, and for .eml without one."""
    content = PLAIN if name.endswith("eml") else BEGIN + PLAIN
    content = gzip.compress(content) if name.endswith("gz") else content
    (parsed,), warnings = _read(content, tmp_path / name)
    row = parsed.row
    assert row is not None
    assert parsed.line == 1
    assert row.contact == Contact(email="kim@example.org", name="Kim Lee")
    assert (row.id, row.alt_id) == ("one@example.org", "one@example.org")
    assert (row.type, row.direction, row.subject) == ("Email", "inbound", "Hello")
    assert (row.message, row.html) == ("How are you?", None)
    assert (row.email_from, row.email_to) == ("Kim@example.org", "me@example.com")
    assert str(row.date) == "2024-01-31 09:30:00+00:00"
    assert warnings == []


def test_bad_mails_stand_beside_good_ones(tmp_path: Path) -> None:
    """Each with the line where it begins and what is wrong with it."""
    undated = PLAIN.replace(b"Date: ", b"Date: long ago, ")
    content = b"\n".join([BEGIN + PLAIN, BEGIN + undated, BEGIN + PLAIN])
    (one, two, three), _ = _read(content, tmp_path / "inbox.mbox")
    assert one.row is not None
    assert three.row is not None
    assert (two.line, two.row) == (10, None)
    assert [problem.field for problem in two.problems] == ["date"]
    assert two.identity is not None
    assert two.identity.id == "one@example.org"


def test_a_failed_mail_is_mended_as_json(tmp_path: Path) -> None:
    """Its list has the API's names, and reads as the mail would have."""
    undated = BEGIN + PLAIN.replace(b"Date: ", b"Date: long ago, ")
    path = tmp_path / "inbox.mbox"
    (failed,), _ = _read(undated, path)
    with open_source(str(path), ME) as source:
        form = source.form
    row = FailedRow("key", "it failed", "loc", form, failed.raw, None, "inbox.mbox", 1)
    out = (tmp_path / "failed.jsonl").open("wb")
    with out:
        write_failed([row], out, forms={form})
    record = json.loads((tmp_path / "failed.jsonl").read_bytes())
    assert record["date"].startswith("long ago")
    record["date"] = "2024-01-31T09:30:00Z"
    (tmp_path / "failed.jsonl").write_text(json.dumps(record))
    with open_source(str(tmp_path / "failed.jsonl")) as source:
        (mended,) = source
    (whole,), _ = _read(BEGIN + PLAIN, tmp_path / "good.mbox")
    assert mended.row is not None
    assert mended.row.outbox_key == "key"
    mended.row.outbox_key = mended.row.location_id = None
    assert mended.row == whole.row


def test_local_dates_are_read_in_the_zone(tmp_path: Path) -> None:
    """Or refused, with the option that helps."""
    local = PLAIN.replace(b" +0100", b"")
    (parsed,), _ = _read(local, tmp_path / "one.eml")
    assert "--timezone" in str(parsed.problems[0])
    options = msgspec.structs.replace(ME, timezone=ZoneInfo("Europe/Berlin"))
    (parsed,), _ = _read(local, tmp_path / "one.eml", options)
    assert parsed.row is not None
    assert str(parsed.row.date) == "2024-01-31 09:30:00+00:00"


def _with_attachment() -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"] = "kim@example.org", "me@example.com"
    mail["Date"] = "Wed, 31 Jan 2024 10:30:00 +0100"
    mail.set_content("see there")
    mail.add_attachment(b"%PDF", "application", "pdf", filename="bill.pdf")
    return mail.as_bytes()


def test_attachments_are_kept_beside_the_outbox(tmp_path: Path) -> None:
    """Read again, they are the same files."""
    options = msgspec.structs.replace(ME, spool=tmp_path / "import.db.files")
    first, warnings = _read(_with_attachment(), tmp_path / "one.eml", options)
    again, _ = _read(_with_attachment(), tmp_path / "one.eml", options)
    assert first == again
    assert warnings == []
    row = first[0].row
    assert row is not None
    (path,) = (tmp_path / "import.db.files").rglob("bill.pdf")
    assert row.attachments == [path.resolve().as_uri()]
    assert path.read_bytes() == b"%PDF"


def test_without_a_place_for_them_attachments_are_named(tmp_path: Path) -> None:
    """So that a rehearsal says the same as an import; nothing is written."""
    (parsed,), _ = _read(_with_attachment(), tmp_path / "one.eml")
    assert parsed.row is not None
    assert [url.rpartition("/")[2] for url in parsed.row.attachments or ()] == ["bill.pdf"]
    assert parsed.notices == ()
    assert [path.name for path in tmp_path.iterdir()] == ["one.eml"]


def test_deleted_mails_are_counted(tmp_path: Path) -> None:
    """They are not sent, and nothing is wrong with them."""
    content = BEGIN + b"X-Mozilla-Status: 0008\n" + PLAIN
    (parsed,), _ = _read(content, tmp_path / "inbox.mbox")
    assert (parsed.line, parsed.left_out) == (1, "deleted mails")
    assert (parsed.row, parsed.problems) == (None, ())


@pytest.mark.slow
def test_a_mail_over_the_limit_says_whose_it_is(tmp_path: Path) -> None:
    """Its head is read, its content is not."""
    content = PLAIN + b"x" * MAIL_LIMIT
    (parsed,), _ = _read(content, tmp_path / "one.eml")
    assert [problem.field for problem in parsed.problems] == ["mail"]
    assert "over the limit" in parsed.problems[0].wrong
    assert parsed.identity is not None
    assert parsed.identity.id == "one@example.org"
    assert len(parsed.raw) < 1000


def test_a_broken_file_gives_its_whole_mails(tmp_path: Path) -> None:
    """The last one may be cut, so it is refused."""
    content = BEGIN + PLAIN + b"\n" + BEGIN + PLAIN
    packed = gzip.compress(content)[:-5]
    parsed, _ = _read(packed, tmp_path / "inbox.mbox.gz")
    assert [one.row is None for one in parsed] == [False, True]
    assert "cut short" in parsed[1].problems[0].wrong


def test_an_mbox_without_mails_is_an_error(tmp_path: Path) -> None:
    """The name promises some."""
    for content in (b"", b"hello\n", gzip.compress(BEGIN)[:15]):
        with pytest.raises(SourceError):
            _read(content, tmp_path / "inbox.mbox")


def test_mails_need_the_owner(tmp_path: Path) -> None:
    """Before anything is read."""
    (tmp_path / "inbox.mbox").write_bytes(BEGIN + PLAIN)
    with pytest.raises(SourceError, match="--mine"):
        open_source(str(tmp_path / "inbox.mbox"))
