from __future__ import annotations

import io
import os
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mails import ME, PLAIN
from msgspec.structs import replace

from leadconnector_async.errors import SourceError
from leadconnector_async.sources import SourceOptions, open_source, open_sources
from leadconnector_async.sources.files.members import MAX_RATIO

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leadconnector_async.sources import Parsed

CHATS = b"type,contact.phone,direction,date,message,attachments\n%b"
ROW = b"SMS,+12125550100,inbound,2024-03-01T10:00:0%dZ,hi %d,%b\n"
ONE = CHATS % (ROW % (1, 1, b"a.jpg"))
FILES = {
    "chats/one.csv": ONE,
    "chats/a.jpg": b"a picture",
    "all.jsonl": b'{"type":"SMS","contactId":"c1","direction":"inbound","message":"hi",'
    b'"date":"2024-03-01T10:00:00Z"}\n',
    "media/b.jpg": b"another",
    "settings.json": b'{"theme":"dark"}',
}


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Pack files into an archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def laid(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files into a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def read(path: Path, options: SourceOptions = ME) -> tuple[dict[str, Parsed], list[str]]:
    """Read all sources of a path: each record by its place, and what was passed over."""
    sources = open_sources(str(path), options)
    found: dict[str, Parsed] = {}
    warnings: list[str] = []
    for source in sources:
        with source:
            found |= {
                parsed.place(source.name).removeprefix(str(path)): parsed for parsed in source
            }
            warnings += source.warnings
    return found, warnings + sources.warnings


def test_a_folder_and_its_archive_hold_the_same_records(tmp_path: Path) -> None:
    """Each file by its content, its records by file and line, and pictures with them."""
    (tmp_path / "export").write_bytes(zipped(FILES))
    kept = replace(ME, spool=tmp_path / "kept")
    packed, left = read(tmp_path / "export", kept)
    unpacked, same = read(laid(tmp_path / "folder", FILES))
    assert [*packed] == [*unpacked] == ["/all.jsonl:1", "/chats/one.csv:2"]
    assert all(one.row for one in packed.values())
    assert [one.row and one.row.attachments for one in packed.values()] != [None, None]
    assert len([*(tmp_path / "kept").rglob("a.jpg")]) == 1
    assert left == same
    assert left == [
        '2 files that are no sources, and not read: "media/b.jpg", "settings.json"',
        "settings.json: holds no records that are known",
    ]


def test_a_table_in_another_encoding_counts_as_one_that_failed(tmp_path: Path) -> None:
    """Even by its header: else the import of its folder would end as if all were there."""
    good = CHATS % (ROW % (1, 1, b""))
    files = {"old.csv": good.replace(b"message", "Größe".encode("cp1252")), "two.csv": good}
    found, left = read(laid(tmp_path, files | {"x.bin": b"\xff,\xfe\n\xff,\xfe"}))
    assert [bool(one.row) for one in found.values()] == [True, False]
    (problem,) = found["/old.csv:1"].problems
    assert "--encoding cp1252" in problem.fix
    assert 'not read: "x.bin"' in left[0]


def test_a_workbook_that_cannot_be_looked_into_counts_as_one_that_failed(tmp_path: Path) -> None:
    """Such as one with a password, unless a record names it; what Office locks with is none."""
    pytest.importorskip("python_calamine")
    locked = b"\xd0\xcf\x11\xe0" + bytes(600)
    table = CHATS % (ROW % (1, 1, b"named.xlsx"))
    files = {"a.xlsx": locked, "named.xlsx": locked, "z.csv": table, "~$a.xlsx": b"\x03Tom"}
    found, left = read(laid(tmp_path, files))
    assert [*found] == ["/z.csv:2", "/a.xlsx:1"]
    (problem,) = found["/a.xlsx:1"].problems
    assert (problem.field, problem.fix) == ("file", "save it anew, with no password")
    assert left == []


def test_a_workbook_whose_package_is_not_there_counts_as_one_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows what is in it: the import ended with 0."""
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    found, _ = read(
        laid(tmp_path, {"a.xlsx": b"PK\3\4", "b.xls": b"\xd0\xcf\x11\xe0", "z.csv": ONE})
    )
    assert [*found] == ["/z.csv:2", "/a.xlsx:1", "/b.xls:1"]
    assert "pip install" in found["/a.xlsx:1"].problems[0].fix


def test_each_table_that_is_not_read_is_named_however_many_pictures_there_are(
    tmp_path: Path,
) -> None:
    """It may be one of records: those behind the tenth name were counted alone."""
    pictures = {f"a/{number:02}.jpg": b"x" for number in range(12)}
    tables = {f"z/table {number:02}.csv": b"Colour\nred\n" for number in range(12)}
    _, left = read(laid(tmp_path, {"one.csv": ONE} | pictures | tables))
    assert left[0].startswith("24 files that are no sources, and not read: ")
    assert all(f'"{name}"' in left[0] for name in tables)
    assert left[0].endswith(" and 2 more")
    assert "leadconnector inspect '" in left[1]


def test_a_file_of_an_archive_is_named_by_its_place(tmp_path: Path) -> None:
    """As messages name it: what they advise for it said that there is no such file."""
    (tmp_path / "a.zip").write_bytes(zipped(FILES))
    options = replace(ME, spool=tmp_path / "kept")
    every, _ = read(tmp_path / "a.zip", options)
    one, left = read(tmp_path / "a.zip" / "chats" / "one.csv", options)
    assert [*one.values()] == [every["/chats/one.csv:2"]]
    assert left == []
    with pytest.raises(SourceError, match=r"two\.csv: .*check the path"):
        read(tmp_path / "a.zip" / "two.csv")


def test_mails_of_an_archive_are_read_as_those_of_a_folder(tmp_path: Path) -> None:
    """The folders in it say what they are."""
    (tmp_path / "mails.zip").write_bytes(
        zipped({"Takeout/Mail/Trash/a.eml": PLAIN, "Takeout/Mail/b.eml": PLAIN, "x.txt": b"x"})
    )
    found, left = read(tmp_path / "mails.zip")
    assert {place: one.left_out for place, one in found.items()} == {
        "/Takeout/Mail/Trash/a.eml": "mails in the trash",
        "/Takeout/Mail/b.eml": None,
    }
    assert left == ['1 file that is no mails, and not read: "x.txt"']


def test_an_archive_in_a_folder_or_in_an_archive_is_read(tmp_path: Path) -> None:
    """One level, unless a record names it: then it is a file of that record."""
    inner = zipped({"one.csv": ONE, "a.jpg": b"x", "deep.zip": zipped({"one.csv": ONE})})
    (tmp_path / "all.zip").write_bytes(zipped({"in.zip": inner}))
    found, left = read(tmp_path / "all.zip")
    assert [*found] == ["/in.zip/one.csv:2"]
    assert left == ['in.zip: 1 file that is no source, and not read: "deep.zip"']
    named = CHATS % (ROW % (1, 1, b"in.zip"))
    found, left = read(laid(tmp_path / "folder", {"in.zip": inner, "one.csv": named}))
    assert [*found] == ["/one.csv:2"]
    assert left == []


def test_what_an_archive_names_is_never_a_file_of_the_disk(tmp_path: Path) -> None:
    """Whatever a name or an attachment looks like."""
    (tmp_path / "secret.txt").write_bytes(b"secret")
    table = CHATS % (ROW % (1, 1, b"../secret.txt") + ROW % (2, 2, b"/etc/hostname"))
    (tmp_path / "a.zip").write_bytes(zipped({"../one.csv": table, "/etc/x.csv": ONE}))
    found, _ = read(tmp_path / "a.zip", replace(ME, spool=tmp_path / "kept"))
    assert [one.row is None for one in found.values()] == [True] * 3
    wrong = [found[f"/../one.csv:{line}"].problems[0].wrong for line in (2, 3)]
    assert all("is not in the archive" in one for one in wrong)
    assert not (tmp_path / "kept").exists()


@pytest.mark.slow
def test_a_bomb_is_refused_with_its_ratio(tmp_path: Path) -> None:
    """Of one file in it, or of all together."""
    (tmp_path / "bomb.zip").write_bytes(zipped({"one.csv": bytes(20 << 20)}))
    with pytest.raises(SourceError, match=rf"unpacks to 20,\d{{3}},\d{{3}} bytes, .* {MAX_RATIO}"):
        open_sources(str(tmp_path / "bomb.zip"))
    with zipfile.ZipFile(tmp_path / "part.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(20 << 20))
        archive.write(tmp_path / "bomb.zip", "b.zip", zipfile.ZIP_STORED)
        archive.writestr("large", b"".join(i.to_bytes(4, "big") for i in range(1 << 18)))
    with pytest.raises(SourceError, match=r"part.zip/zeros: unpacks to"):
        open_sources(str(tmp_path / "part.zip"))


def test_an_archive_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    """Before anything is read of it."""
    whole = zipped({"one.csv": ONE})
    locked = bytearray(whole)
    locked[6] |= 1
    locked[whole.index(b"PK\x01\x02") + 8] |= 1
    wrong = bytearray(whole)
    wrong[45] ^= 0xFF
    far = bytearray(whole)
    far[whole.rindex(b"PK\x05\x06") + 16] += 1
    for name, content, said in (
        ("locked", locked, "/one.csv: is encrypted: unpack the archive with its password"),
        ("cut", whole[:-30], "damaged or cut short"),
        ("wrong", wrong, "/one.csv: .*is damaged"),
        ("far", far, "nothing that is read: one.csv is damaged"),
        ("empty", zipped({}), "holds no records"),
        ("text", zipped({"notes.txt": b"hello"}), "holds nothing that is read: notes.txt line 1"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SourceError, match=said):
            read(tmp_path / name)


@pytest.mark.slow
def test_a_file_of_an_archive_that_breaks_off_is_a_problem_of_its_own(tmp_path: Path) -> None:
    """What came before is read."""
    rows = b"".join(ROW % (n % 10, n, b"") for n in range(40_000))
    packed = bytearray(zipped({"one.csv": CHATS % rows}))
    packed[-4000] ^= 0xFF
    (tmp_path / "a.zip").write_bytes(packed)
    found, _ = read(tmp_path / "a.zip", SourceOptions(region="US"))
    *whole, last = found.values()
    assert len(whole) > 30_000
    assert last.problems[0].field == "file"


def test_one_source_of_an_export_can_be_opened_alone(tmp_path: Path) -> None:
    """Of several the caller has to choose."""
    path = tmp_path / "a.zip"
    path.write_bytes(zipped({"one.csv": ONE, "a.jpg": b"x"}))
    with open_source(str(path)) as source:
        assert source.name == f"{path}/one.csv"
        assert len([*source]) == 1
        assert source.bytes_read == source.size
    with pytest.raises(SourceError, match=r"holds 2 sources, such as .*/all.jsonl and"):
        open_source(str(laid(tmp_path / "folder", FILES)))


def test_what_lies_beside_an_export_is_no_table_and_empty_files_are_named(tmp_path: Path) -> None:
    """Notes to read are no rows, whatever mapping is given; an empty table may have been one."""
    notes = b"Export of Acme\nThis folder holds, among others, one.csv\n"
    folder = laid(tmp_path / "e", {"README.txt": notes, "two.csv": b"", "one.csv": ONE})
    (folder / "gone.csv").symlink_to(tmp_path / "nowhere.csv")
    found, left = read(folder, replace(ME, mapping_file="generic"))
    assert [*found] == ["/one.csv:2"]
    assert left[-3:] == [
        '3 files that are no sources, and not read: "README.txt", "gone.csv", "two.csv"',
        "gone.csv: is empty, or a link that leads nowhere",
        "two.csv: is empty, or a link that leads nowhere",
    ]


def test_a_file_that_may_not_be_read_stops_its_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be a table: without it the import would not be whole."""
    folder = laid(tmp_path / "e", {"one.csv": ONE, "two.csv": ONE})
    whole = Path.open

    def closed(path: Path, mode: str = "r", buffering: int = -1) -> object:
        if path.name == "two.csv":
            raise PermissionError
        return whole(path, mode, buffering)

    monkeypatch.setattr(Path, "open", closed)
    with pytest.raises(SourceError, match=r"two\.csv: may not be read by you"):
        read(folder)


def test_a_folder_that_may_not_be_read_stops_its_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was passed over without a word; but not one of the system's, as at the top of a disk."""
    folder = laid(tmp_path / "e", {"one.csv": ONE, ".Trashes/two.csv": ONE, "old/two.csv": ONE})
    closed, whole = {".Trashes"}, os.scandir

    def listed(path: str) -> object:
        if Path(path).name in closed:
            raise PermissionError(13, "Permission denied", path)
        return whole(path)

    monkeypatch.setattr(os, "scandir", listed)
    assert [*read(folder)[0]] == ["/one.csv:2", "/old/two.csv:2"]
    for name, said in (
        ("old", r"e/old: may not be read by you"),
        ("e", r"e/\.: may not be read by"),
    ):
        closed.add(name)
        with pytest.raises(SourceError, match=said):
            read(folder)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_no_utf_8_are_spelled_by_their_bytes(tmp_path: Path) -> None:
    """They stand in the outbox and in lists, which are UTF-8: the command ended in a traceback."""
    folder = laid(tmp_path, {os.fsdecode(b"s\xfcb/t\xe4xt.csv"): ONE})
    found, _ = read(folder)
    assert [*found] == ["/s\\xfcb/t\\xe4xt.csv:2"]
    with open_source(str(folder / os.fsdecode(b"s\xfcb/t\xe4xt.csv")), ME) as source:
        assert source.name.endswith("t\\xe4xt.csv")
        assert [one.line for one in source] == [2]
