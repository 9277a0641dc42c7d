"""A file that a command writes takes its place whole, or leaves what was there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click
import pytest

from leadconnector_async.cli.atomic_write import atomic_write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt),
        (ValueError(), ValueError),
        (OSError(28, "No space left on device"), click.ClickException),
    ],
)
def test_what_is_not_whole_leaves_nothing(
    tmp_path: Path, error: BaseException, raised: type[BaseException]
) -> None:
    """Neither a part of it, nor a loss of what stood there."""
    path = tmp_path / "page.html"
    path.write_text("an earlier one")
    with pytest.raises(raised):
        _fail_half_way(path, error)
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [
        ("page.html", "an earlier one")
    ]


def _fail_half_way(path: Path, error: BaseException) -> None:
    with atomic_write(str(path)) as file:
        file.write(b"half of ")
        raise error


def test_a_place_that_is_no_folder_is_said(tmp_path: Path) -> None:
    """Also where what was not made cannot be removed."""
    (tmp_path / "file").touch()
    with pytest.raises(click.ClickException, match="choose another file"):
        atomic_write(str(tmp_path / "file" / "page.html")).__enter__()


def test_what_is_no_file_is_written_to(tmp_path: Path) -> None:
    """A device or a pipe stays what it is: put in the place of /dev/null, a file fills the disk."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with atomic_write(str(pipe)) as file:
        file.write(b"whole")
    assert os.read(reader, 9) == b"whole"
    os.close(reader)
    assert pipe.is_fifo()


def test_a_link_stays_one(tmp_path: Path) -> None:
    """What it leads to is written anew."""
    link, target = tmp_path / "link", tmp_path / "elsewhere" / "page.html"
    target.parent.mkdir()
    link.symlink_to(target)
    with atomic_write(str(link)) as file:
        file.write(b"whole")
    assert link.is_symlink()
    assert target.read_bytes() == b"whole"
