from __future__ import annotations

import gzip
import io
import json
import tarfile
from typing import TYPE_CHECKING

import pytest
from mails import ME, PLAIN

from leadconnector_async.errors import SourceError
from leadconnector_async.sources import open_source

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.sources import Parsed

MARK = b"From kim@example.org Wed Jan 31 09:30:00 2024\n"
MULTIPART = b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nhi\n"


def _mbox(*ids: str) -> bytes:
    return b"\n".join(MARK + PLAIN.replace(b"one@", f"{id_}@".encode()) for id_ in ids)


def _read(path: Path) -> tuple[list[Parsed], list[str]]:
    with open_source(str(path), ME) as source:
        return list(source), source.warnings


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _ids(parsed: list[Parsed]) -> list[str | None]:
    return [one.row.id.partition("@")[0] if one.row and one.row.id else None for one in parsed]


def test_a_folder_of_mboxes_is_read_whole(tmp_path: Path) -> None:
    """Each record has its file and its line in that."""
    _write(tmp_path / "Mail/Inbox.mbox", _mbox("a", "b"))
    _write(tmp_path / "Mail/Sent.mbox.gz", gzip.compress(_mbox("c")))
    _write(tmp_path / "Mail/Spam.mbox", _mbox("d"))
    parsed, warnings = _read(tmp_path)
    assert _ids(parsed) == ["a", "b", "c", None]
    assert [one.left_out for one in parsed] == [None, None, None, "spam"]
    assert [one.line for one in parsed] == [1, 10, 1, 1]
    assert parsed[1].place("x") == "x/Mail/Inbox.mbox:10"
    assert json.loads(parsed[1].raw)["file"] == "Mail/Inbox.mbox"
    assert warnings == []


def test_thunderbirds_folders_have_no_endings(tmp_path: Path) -> None:
    """What begins as an mbox is one; indices are passed over, and empty folders."""
    _write(tmp_path / "ImapMail/host/INBOX", _mbox("a"))
    _write(tmp_path / "ImapMail/host/INBOX.msf", b"// <!-- <mdb:mork:z v=1.4 -->")
    _write(tmp_path / "ImapMail/host/INBOX.sbd/Kunden", _mbox("b"))
    _write(tmp_path / "ImapMail/host/Trash", _mbox("c"))
    _write(tmp_path / "ImapMail/host/Templates", b"")
    parsed, warnings = _read(tmp_path)
    assert _ids(parsed) == ["a", None, "b"]
    assert parsed[1].left_out == "mails in the trash"
    assert warnings == []


def test_apples_bundle_and_files_are_mails(tmp_path: Path) -> None:
    """A folder called .mbox with an mbox in it, and trees of .emlx."""
    _write(tmp_path / "INBOX.mbox/mbox", _mbox("a"))
    _write(tmp_path / "INBOX.mbox/table_of_contents", b"\0\1")
    mail = PLAIN.replace(b"one@", b"b@")
    _write(tmp_path / "V10/Sent.mbox/Messages/7.emlx", b"%d\n%b<plist/>" % (len(mail), mail))
    assert _ids(_read(tmp_path / "INBOX.mbox")[0]) == ["a"]
    parsed, warnings = _read(tmp_path)
    assert _ids(parsed) == ["a", "b"]
    assert warnings == []
    (one,), _ = _read(tmp_path / "V10/Sent.mbox/Messages/7.emlx")
    assert one.row is not None
    assert one.row.message == "How are you?"


def test_maildir_folders_have_their_state(tmp_path: Path) -> None:
    """Maildir++ keeps them beside each other, with dots in their names."""
    for name in (
        "cur/1:2,S",
        ".Sent/cur/2:2,S",
        ".Trash/cur/3:2,S",
        ".Spam/new/4",
        ".INBOX.Drafts/cur/5",
    ):
        _write(tmp_path / name, PLAIN)
    found = {json.loads(one.raw)["file"]: one.left_out for one in _read(tmp_path)[0]}
    assert found == {
        ".INBOX.Drafts/cur/5": "drafts",
        ".Sent/cur/2:2,S": None,
        ".Spam/new/4": "spam",
        ".Trash/cur/3:2,S": "mails in the trash",
        "cur/1:2,S": None,
    }


def test_what_is_no_mail_in_a_folder_is_named(tmp_path: Path) -> None:
    """So is a folder that lies elsewhere, and an mbox that holds nothing."""
    _write(tmp_path / "in.mbox", b"lost\n" + _mbox("a"))
    _write(tmp_path / "old.mbox", b"nothing\n")
    _write(tmp_path / "mail.msg", b"\xd0\xcf\x11\xe0")
    (tmp_path / "more").symlink_to(tmp_path.parent)
    parsed, warnings = _read(tmp_path)
    assert _ids(parsed) == ["a"]
    assert sorted(warnings) == [
        '2 files that are no mails, and not read: "mail.msg", "more"',
        "in.mbox: 1 line before its first mail, from line 1 on: not read",
        "old.mbox: 1 line before its first mail, from line 1 on: not read",
        'old.mbox: holds no mail: an mbox file has lines "From …" with a header after them',
    ]


def test_a_file_of_a_folder_that_is_cut_fails_alone(tmp_path: Path) -> None:
    """Its whole mails are kept, and those of the other files."""
    _write(tmp_path / "a.mbox.gz", gzip.compress(_mbox("a", "b"))[:-5])
    _write(tmp_path / "b.mbox.gz", gzip.compress(_mbox("c"))[:12])
    _write(tmp_path / "c.mbox", _mbox("d"))
    parsed, _ = _read(tmp_path)
    assert _ids(parsed) == ["a", None, None, "d"]
    assert [one.problems[0].field for one in parsed if one.problems] == ["file", "file"]


def test_an_mbox_that_ends_within_a_part_is_cut(tmp_path: Path) -> None:
    """Its last mail is refused; one before it is only told of."""
    open_end = PLAIN.replace(b"\nHow", MULTIPART + b"How").replace(b"one@", b"cut@")
    _write(tmp_path / "in.mbox", MARK + open_end + b"\n" + MARK + open_end)
    parsed, _ = _read(tmp_path / "in.mbox")
    assert _ids(parsed) == ["cut", None]
    assert parsed[0].notices == ("mails whose last part has no end: they may be cut short",)
    assert [problem.field for problem in parsed[1].problems] == ["file"]
    assert parsed[1].identity is not None
    assert parsed[1].identity.id == "cut@example.org"


def test_an_emlx_that_is_shorter_than_it_says_is_cut(tmp_path: Path) -> None:
    """Its first line says how long it is."""
    _write(tmp_path / "1.emlx", b"%d\n%b" % (len(PLAIN) + 5, PLAIN))
    (parsed,), _ = _read(tmp_path / "1.emlx")
    assert [problem.field for problem in parsed.problems] == ["file"]


@pytest.mark.parametrize(("name", "content"), [("INBOX", _mbox("a")), ("17", PLAIN)])
def test_a_file_without_an_ending_is_known_by_its_beginning(
    name: str, content: bytes, tmp_path: Path
) -> None:
    """A From line with a header after it, or a header that mails begin with."""
    _write(tmp_path / name, content)
    (parsed,), _ = _read(tmp_path / name)
    assert parsed.row is not None


def test_a_column_that_begins_with_from_makes_no_mail(tmp_path: Path) -> None:
    """Tables have such headers."""
    _write(tmp_path / "log.txt", b"From here,type,message,date\nx,SMS,hi,2024-01-31T09:30:00Z\n")
    (parsed,), _ = _read(tmp_path / "log.txt")
    assert parsed.row is not None
    assert parsed.row.message == "hi"


def _archive(kind: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("Takeout/Mail/Inbox.mbox"), io.BytesIO())
    return gzip.compress(out.getvalue()) if kind == "tgz" else out.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "fix"),
    [
        ("takeout.tgz", _archive("tgz"), "unpack it"),
        ("takeout.tar", _archive("tar"), "unpack it"),
        ("mail.pst", b"!BDN" + bytes(600), "readpst -e"),
        ("mail.msg", b"\xd0\xcf\x11\xe0" + bytes(600), "as .eml"),
    ],
    ids=["tgz", "tar", "pst", "msg"],
)
def test_what_holds_mails_in_another_form_says_how_to_get_them_out(
    name: str, content: bytes, fix: str, tmp_path: Path
) -> None:
    """Instead of a header that cannot be read."""
    _write(tmp_path / name, content)
    with pytest.raises(SourceError, match=fix):
        _read(tmp_path / name)
