from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from leadconnector_async.records.files import FileLostError, are_local, located

if TYPE_CHECKING:
    from pathlib import Path

FAR = "https://example.com/a%20b.png"


def test_files_are_told_from_urls() -> None:
    """By their scheme alone."""
    assert are_local([FAR, "file:///a.png"])
    assert not are_local([FAR])
    assert not are_local([])
    assert not are_local(None)


def test_a_file_is_known_by_what_it_holds(tmp_path: Path) -> None:
    """Equal contents have equal digests, wherever they lie and whatever they are called."""
    (tmp_path / "a b#?.png").write_bytes(b"one")
    (tmp_path / "c.png").write_bytes(b"one")
    (tmp_path / "d.png").write_bytes(b"two")
    paths = [tmp_path / name for name in ("a b#?.png", "c.png", "d.png")]
    one, far, equal, other = located([paths[0].as_uri(), FAR, *(p.as_uri() for p in paths[1:])])
    assert far == FAR
    assert not isinstance(one, str)
    assert not isinstance(equal, str)
    assert not isinstance(other, str)
    assert (one.path, equal.path) == (str(paths[0]), str(paths[1]))
    assert one.digest == equal.digest != other.digest


@pytest.mark.parametrize("name", ["none.png", "folder", "none/none.png", "a%00b"])
def test_a_file_that_cannot_be_read_is_a_problem(name: str, tmp_path: Path) -> None:
    """Of its item, with the way out."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileLostError) as error:
        located([FAR, f"{tmp_path.as_uri()}/{name}"])
    assert error.value.problem.field == "attachments"
    assert error.value.problem.wrong.startswith("item 2 cannot be read (")
    assert "put the file back" in str(error.value)
