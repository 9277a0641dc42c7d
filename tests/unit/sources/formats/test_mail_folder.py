from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from mails import ME, PLAIN

from leadconnector_async.errors import SourceError
from leadconnector_async.sources import open_source

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.sources import Parsed


def _read(folder: Path) -> tuple[list[Parsed], list[str]]:
    with open_source(str(folder), ME) as source:
        parsed = list(source)
        assert source.size is None
        return parsed, source.warnings


def _write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PLAIN.replace(b"one@", f"{name.replace('/', '.')}@".encode()))


def test_a_folder_of_files_is_read_in_order(tmp_path: Path) -> None:
    """With the folders in it; what are no mails is named."""
    _write(tmp_path, "b.eml", "a.EML", "sub/c.eml", "notes.txt")
    parsed, warnings = _read(tmp_path)
    ids = [one.row.id for one in parsed if one.row]
    assert ids == ["a.EML@example.org", "b.eml@example.org", "sub.c.eml@example.org"]
    assert [one.line for one in parsed] == [1, 2, 3]
    assert json.loads(parsed[2].raw)["file"] == "sub/c.eml"
    assert parsed[2].place("mails") == "mails/sub/c.eml"
    assert warnings == ['1 file that is no mails, and not read: "notes.txt"']


def test_a_maildir_has_mails_in_cur_and_new(tmp_path: Path) -> None:
    """Drafts and deleted ones are left out, what is being delivered and indices too."""
    names = ["cur/1:2,S", "cur/2:2,DS", "cur/3:2,ST", "new/4", ".Sent/cur/5:2,", "tmp/6", "cur/.x"]
    names += ["cur/7;2,ST", "cur/8.host_2,T", "cur/9!2,S"]  # where a name can have no colon
    names += ["cur/a:2,ST.eml", "cur/b-2,T"]
    _write(tmp_path, *names)
    parsed, warnings = _read(tmp_path)
    found = {json.loads(one.raw)["file"]: one.left_out for one in parsed}
    assert found == {
        ".Sent/cur/5:2,": None,
        "cur/1:2,S": None,
        "cur/2:2,DS": "drafts",
        "cur/3:2,ST": "deleted mails",
        "cur/7;2,ST": "deleted mails",
        "cur/8.host_2,T": "deleted mails",
        "cur/9!2,S": None,
        "cur/a:2,ST.eml": "deleted mails",
        "cur/b-2,T": None,
        "new/4": None,
    }
    assert warnings == []


def test_a_mail_that_cannot_be_opened_costs_no_other(tmp_path: Path) -> None:
    """A mail program may delete one meanwhile."""
    _write(tmp_path, "a.eml", "c.eml")
    (tmp_path / "b.eml").symlink_to(tmp_path / "gone")
    parsed, _ = _read(tmp_path)
    assert [one.row is None for one in parsed] == [False, True, False]
    assert parsed[1].problems[0].wrong == "cannot be opened"


def test_a_folder_without_records_is_an_error(tmp_path: Path) -> None:
    """It says what is in it, and what may be."""
    with pytest.raises(SourceError, match="holds no records: name a file, or a folder or a zip"):
        open_source(str(tmp_path), ME)
    (tmp_path / "notes.txt").write_bytes(b"nothing")
    with pytest.raises(SourceError, match=r"nothing that is read: notes\.txt line 1: no column is"):
        open_source(str(tmp_path), ME)
