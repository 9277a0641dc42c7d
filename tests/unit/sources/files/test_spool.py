from __future__ import annotations

from pathlib import Path
from urllib.request import url2pathname

import pytest

from leadconnector_async.errors import SourceError
from leadconnector_async.sources.files.spool import Spool


def _path(url: str) -> Path:
    return Path(url2pathname(url.removeprefix("file://")))


def test_a_content_has_one_place(tmp_path: Path) -> None:
    """However often it comes, for its owner alone."""
    spool = Spool(tmp_path / "import.db.files")
    url = spool.keep("a b.txt", b"one")
    assert spool.keep("a b.txt", b"one") == url
    assert spool.keep("a b.txt", b"two") != url
    assert spool.keep("c.txt", b"one").rpartition("/")[0] == url.rpartition("/")[0]
    path = _path(url)
    assert path.read_bytes() == b"one"
    for folder in (path.parent, path.parent.parent):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(list(tmp_path.rglob("*.txt"))) == 3


def test_what_cannot_be_kept_stops_the_reading(tmp_path: Path) -> None:
    """A full disk is no fault of the mail."""
    (tmp_path / "taken").write_bytes(b"a file")
    with pytest.raises(SourceError, match="attachments cannot be kept there"):
        Spool(tmp_path / "taken").keep("a.txt", b"one")
    (tmp_path / "urls").touch()
    spool = Spool(tmp_path)
    with pytest.raises(SourceError, match="attachments cannot be kept there"):
        spool.note_url("https://a.example/a.txt", "L", spool.keep("a.txt", b"one"))


def test_a_broken_write_leaves_nothing(tmp_path: Path) -> None:
    """Nothing that looks whole, and no temporary file."""
    spool = Spool(tmp_path)
    url = spool.keep("a.txt", b"one")
    name = "a" * 300  # longer than any name may be
    with pytest.raises(SourceError):
        spool.keep(name, b"one")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [_path(url)]
