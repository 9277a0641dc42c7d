from __future__ import annotations

import os
from pathlib import Path
from unicodedata import normalize
from urllib.request import url2pathname
from zipfile import ZipFile

import pytest
from bad_inputs import jsonl, record

from leadconnector_async.sources import SourceOptions, open_source
from leadconnector_async.sources.fields import WrongValueError
from leadconnector_async.sources.files.attachments import (
    LARGEST,
    MAX_OF_WHATSAPP,
    SUFFIXES,
    Attachments,
)
from leadconnector_async.sources.files.members import Beside, FolderMembers, ZipMembers
from leadconnector_async.sources.formats.failed_list import anchored


def read_attachments(
    value: object, folder: Path | None, *files: Path, type_: str = "SMS"
) -> list[str] | None:
    """Read a record's attachments, without packing anything."""
    options = SourceOptions(files=files, other_files="fail")
    members = None if folder is None else FolderMembers(str(folder), deep=False)
    return Attachments(options, Beside(members)).read(value, type_, lambda _: None)


def test_urls_pass_untouched(tmp_path: Path) -> None:
    """Also those of schemes that the rules refuse later, and none at all."""
    urls = ["https://a.example/x.heic", "ftp://a.example/x.jpg", ""]
    assert read_attachments(urls, tmp_path) == urls
    assert read_attachments(urls, None) == urls
    assert read_attachments([], tmp_path) is None


@pytest.mark.parametrize("name", ["photo.jpg", "a b#1?.PDF", "ünïcode;.png"])
def test_files_are_named_by_their_url(name: str, tmp_path: Path) -> None:
    """Relative, absolute, or by a URL already: all come to the same."""
    path = tmp_path / "pictures" / name
    path.parent.mkdir()
    path.write_bytes(b"x")
    given = [f"pictures/{name}", str(path), path.as_uri(), f"pictures/../pictures/{name}"]
    read = read_attachments(given, tmp_path)
    assert read is not None
    assert {*read} == {path.resolve().as_uri()}
    assert Path(url2pathname(read[0].removeprefix("file://"))) == path.resolve()
    assert read_attachments(read, Path("/elsewhere"), tmp_path) == read


def test_a_path_may_begin_above_the_folder_that_is_given(tmp_path: Path) -> None:
    """As in a piece of an export, or one that was moved: what is below the folder's name counts."""
    chat = tmp_path / "inbox" / "kim_1"
    (chat / "photos").mkdir(parents=True)
    (chat / "photos" / "a.jpg").write_bytes(b"x")
    (tmp_path / "a.jpg").write_bytes(b"another")
    for name in ("export/inbox/kim_1/photos/a.jpg", "C:\\inbox\\kim_1\\photos\\a.jpg"):
        for folder in (tmp_path / "inbox", chat):
            read = read_attachments([name, f"/home/kim/{name}"], folder)
            assert {*(read or ())} == {(chat / "photos" / "a.jpg").resolve().as_uri()}
    for name in ("kim_1/../../a.jpg", "inbox/kim_1/a.jpg", "inbox/kim_2/photos/a.jpg"):
        with pytest.raises(WrongValueError, match=r"not there|outside"):
            read_attachments([name], chat)
    with ZipFile(tmp_path / "part.zip", "w") as archive:
        archive.write(chat / "photos" / "a.jpg", "inbox/kim_1/photos/a.jpg")
    beside = Beside(ZipMembers("part.zip", str(tmp_path / "part.zip")), "inbox/kim_1")
    assert beside.find("export/inbox/kim_1/photos/a.jpg") == "inbox/kim_1/photos/a.jpg"


def _sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def test_what_the_api_would_not_take_is_refused(tmp_path: Path) -> None:
    """Before anything is sent, with the number of the item and a fix."""
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "photo.heic").write_bytes(b"x")
    _sparse(tmp_path / "large.mp4", LARGEST + 1)
    os.mkfifo(tmp_path / "pipe.txt")
    for name, said in {
        "gone.jpg": "is a file that is not there",
        "a/" * 500_000: "is longer than the path of any file",  # as of a quote that is not closed
        "photo.heic/x.jpg": "is a file that is not there",
        "folder.jpg": "is no regular file",
        "pipe.txt": "is no regular file",
        "empty.jpg": "is an empty file",
        "photo.heic": "is no type of file",
        "large.mp4": "is larger than the 5 MB",
        "x" * 5000 + ".jpg": "cannot be read",
        "file://[x/a.jpg": "is a file that is not there",
    }.items():
        with pytest.raises(WrongValueError, match=f"item 2 .*{said}") as caught:
            read_attachments(["https://a.example/b.jpg", name], tmp_path)
        assert caught.value.fix


def test_the_largest_file_is_taken(tmp_path: Path) -> None:
    """The limit is meant inclusively, and WhatsApp's is another."""
    _sparse(tmp_path / "large.mp4", LARGEST)
    assert read_attachments(["large.mp4"], tmp_path)
    _sparse(tmp_path / "larger.mp4", MAX_OF_WHATSAPP)
    assert read_attachments(["larger.mp4"], tmp_path, type_="WhatsApp")
    with pytest.raises(WrongValueError, match="is larger than the 5 MB"):
        read_attachments(["larger.mp4"], tmp_path)
    _sparse(tmp_path / "larger.mp4", MAX_OF_WHATSAPP + 1)
    with pytest.raises(WrongValueError, match="is larger than the 100 MB"):
        read_attachments(["larger.mp4"], tmp_path, type_="WhatsApp")


def test_standard_input_names_no_files(tmp_path: Path) -> None:
    """What comes through a pipe may come from anybody."""
    path = tmp_path / "secret.txt"
    path.write_bytes(b"x")
    for name in ("secret.txt", str(path), path.as_uri()):
        with pytest.raises(WrongValueError, match="which standard input may not name"):
            read_attachments([name], None)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A source's folder, with files of the same names outside of it."""
    home = tmp_path / "home"
    for folder in (home / "sub", tmp_path / "homely", home / ".ssh"):
        folder.mkdir(parents=True)
        (folder / "a.txt").write_bytes(b"x")
    (tmp_path / "notes.txt").write_bytes(b"secret")
    (home / "link.txt").symlink_to(tmp_path / "notes.txt")
    (home / "out").symlink_to(tmp_path / "homely")
    (home / "in.txt").symlink_to("sub/a.txt")
    return home


def test_attachments_stay_at_home(home: Path) -> None:
    """A client's table makes nobody upload what else is on the machine, whatever leads there."""
    outside = home.parent
    for item in (
        str(outside / "notes.txt"),
        (outside / "notes.txt").as_uri(),
        f"FILE://localhost{outside}/notes.txt",
        "../notes.txt",
        "sub/../../notes.txt",
        f"file://{home}/../notes.txt",
        f"file://{home}/%2E%2E/notes.txt",
        "link.txt",
        "out/a.txt",
        str(outside / "homely" / "a.txt"),
        str(outside / "none.txt"),
        "file://elsewhere/notes.txt",
        "/dev/zero",
        ".",
    ):
        with pytest.raises(
            WrongValueError, match="item 1 is a file outside the folder of its"
        ) as caught:
            read_attachments([item], home)
        assert "--files FOLDER" in caught.value.fix
        assert "notes" not in str(caught.value) + caught.value.fix


def test_what_looks_like_home_is_a_name(home: Path) -> None:
    """Nobody expands a tilde or a variable."""
    for item in ("~/notes.txt", "$HOME/notes.txt"):
        with pytest.raises(WrongValueError, match="is a file that is not there") as caught:
            read_attachments([item], home)
        assert "--files FOLDER" in caught.value.fix


def test_links_within_are_followed(home: Path) -> None:
    """To the file itself, so that it is the one that is looked at again when it is uploaded."""
    url = (home / "sub" / "a.txt").resolve().as_uri()
    assert read_attachments(["in.txt", "sub/../sub/a.txt"], home) == [url, url]


def test_hidden_files_are_not_taken_by_chance(home: Path) -> None:
    """A source may lie in somebody's home. Whoever means it can say so."""
    with pytest.raises(WrongValueError, match="item 1 is a hidden file"):
        read_attachments([".ssh/a.txt"], home)
    assert read_attachments([str(home / ".ssh" / "a.txt")], home, home / ".ssh")


def test_more_folders_can_be_named(home: Path) -> None:
    """Paths are looked for there too; the source's own folder goes first."""
    near = [(folder / "a.txt").resolve().as_uri() for folder in (home / "sub", home.parent)]
    (home.parent / "a.txt").write_bytes(b"y")
    assert read_attachments(["a.txt"], home / "sub", home.parent) == near[:1]
    assert read_attachments(["notes.txt", "link.txt"], home, home.parent)
    assert read_attachments(["a.txt"], None, home.parent) == near[1:]
    with pytest.raises(WrongValueError, match="outside"):
        read_attachments(["../notes.txt"], home / "sub", home.parent / "homely")


def test_the_types_are_those_of_the_upload() -> None:
    """The list of the API."""
    listed = "JPG JPEG PNG MP4 MPEG ZIP RAR PDF DOC DOCX TXT MP3 WAV"
    assert {f".{name.lower()}" for name in listed.split()} == SUFFIXES


def test_paths_start_at_the_folder_of_the_source(tmp_path: Path) -> None:
    """In JSON Lines and in CSV."""
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "history.jsonl").write_bytes(
        jsonl(record(attachments=["a.jpg"]), record(attachments=["b.jpg"]))
    )
    (tmp_path / "history.csv").write_text(
        "type,direction,attachments\nSMS,inbound,a.jpg;a.jpg\nSMS,inbound,b.jpg\n"
    )
    url = (tmp_path / "a.jpg").resolve().as_uri()
    for name, urls in {"history.jsonl": [url], "history.csv": [url, url]}.items():
        with open_source(str(tmp_path / name), SourceOptions(undated="now")) as source:
            good, bad = source
        assert good.row is not None
        assert good.row.attachments == urls
        assert [problem.field for problem in bad.problems] == ["attachments"]


def test_paths_that_windows_wrote_are_found(tmp_path: Path) -> None:
    """Their separator is another one; a file whose name holds it goes before."""
    (tmp_path / "sub").mkdir()
    for name in ("sub/a.jpg", "sub\\b.jpg"):
        (tmp_path / name).write_bytes(b"x")
    lines = [record(attachments=[f"sub\\{name}.jpg"]) for name in "ab"]
    (tmp_path / "history.jsonl").write_bytes(jsonl(*lines, record(attachments=["..\\c.jpg"])))
    with open_source(str(tmp_path / "history.jsonl"), SourceOptions()) as source:
        first, second, outside = source
    assert first.row is not None
    assert first.row.attachments == [(tmp_path / "sub" / "a.jpg").resolve().as_uri()]
    assert second.row is not None
    assert second.row.attachments == [(tmp_path / "sub\\b.jpg").resolve().as_uri()]
    assert "outside the folder" in outside.problems[0].wrong
    assert anchored("sub\\a.jpg", tmp_path) == (tmp_path / "sub" / "a.jpg").resolve().as_uri()


@pytest.mark.parametrize("is_apart", [True, False])
def test_a_name_is_found_however_its_accents_are_composed(
    tmp_path: Path, *, is_apart: bool
) -> None:
    """As in archives: a folder that a Mac has packed is unpacked with names taken apart."""
    there, named = normalize("NFD", "Café 1.jpg"), normalize("NFC", "Café 1.jpg")
    there, named = (there, named) if is_apart else (named, there)
    (tmp_path / there).write_bytes(b"x")
    (tmp_path / "history.jsonl").write_bytes(jsonl(record(attachments=[named])))
    with open_source(str(tmp_path / "history.jsonl"), SourceOptions()) as source:
        (found,) = source
    assert found.row is not None
    assert found.row.attachments == [(tmp_path / there).resolve().as_uri()]


def test_a_file_is_anchored_where_it_lies(tmp_path: Path) -> None:
    """So that a list in another folder names it; what is not there keeps its path."""
    path = tmp_path / "a;b.jpg"
    path.write_bytes(b"x")
    assert anchored("a;b.jpg", tmp_path) == path.resolve().as_uri()
    assert ";" not in anchored("a;b.jpg", tmp_path)
    for kept in ("gone.jpg", "https://a.example/b.jpg", ""):
        assert anchored(kept, tmp_path) == kept


def test_what_can_be_no_file_keeps_its_path(tmp_path: Path) -> None:
    """The list is written all the same: it is where such a record is mended."""
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    for kept in ("a\0.jpg", "a\ud800.jpg", "x" * 300, "d/" * 3000, "loop.jpg"):
        assert anchored(kept, tmp_path) == kept
