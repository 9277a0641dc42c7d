from __future__ import annotations

import os
from pathlib import Path
from urllib.request import url2pathname

import pytest
from bad_inputs import jsonl, record

from leadconnector_async.sources import SourceOptions, open_source
from leadconnector_async.sources._files import LARGEST, SUFFIXES, anchored, read_attachments
from leadconnector_async.sources._values import Wrong


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
    assert read_attachments(read, Path("/elsewhere")) == read


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
        "photo.heic/x.jpg": "is a file that is not there",
        "folder.jpg": "is no regular file",
        "pipe.txt": "is no regular file",
        "empty.jpg": "is an empty file",
        "photo.heic": "is no type of file",
        "large.mp4": "is larger than the 25 MB",
        "x" * 5000 + ".jpg": "cannot be read",
    }.items():
        with pytest.raises(Wrong, match=f"item 2 .*{said}") as caught:
            read_attachments(["https://a.example/b.jpg", name], tmp_path)
        assert caught.value.fix


def test_the_largest_file_is_taken(tmp_path: Path) -> None:
    """The limit is meant inclusively."""
    _sparse(tmp_path / "large.mp4", LARGEST)
    assert read_attachments(["large.mp4"], tmp_path)


def test_standard_input_names_no_files(tmp_path: Path) -> None:
    """What comes through a pipe may come from anybody."""
    path = tmp_path / "secret.txt"
    path.write_bytes(b"x")
    for name in ("secret.txt", str(path), path.as_uri()):
        with pytest.raises(Wrong, match="which standard input may not name"):
            read_attachments([name], None)


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
    (tmp_path / "history.csv").write_text("type,attachments\nSMS,a.jpg;a.jpg\nSMS,b.jpg\n")
    url = (tmp_path / "a.jpg").resolve().as_uri()
    for name, urls in {"history.jsonl": [url], "history.csv": [url, url]}.items():
        with open_source(str(tmp_path / name), SourceOptions(undated="now")) as source:
            good, bad = source
        assert good.row is not None
        assert good.row.attachments == urls
        assert [problem.field for problem in bad.problems] == ["attachments"]


def test_a_file_is_anchored_where_it_lies(tmp_path: Path) -> None:
    """So that a list in another folder names it; what is not there keeps its path."""
    path = tmp_path / "a;b.jpg"
    path.write_bytes(b"x")
    assert anchored("a;b.jpg", tmp_path) == path.resolve().as_uri()
    assert ";" not in anchored("a;b.jpg", tmp_path)
    for kept in ("gone.jpg", "https://a.example/b.jpg", ""):
        assert anchored(kept, tmp_path) == kept
