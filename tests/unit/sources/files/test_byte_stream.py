from __future__ import annotations

import gzip
import io
import os
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Problem
from leadconnector_async.sources.base import LINE_LIMIT
from leadconnector_async.sources.files.byte_stream import (
    CHUNK,
    ByteStream,
    LineSplitter,
    SourceFile,
    TooLong,
)

if TYPE_CHECKING:
    from pathlib import Path

TEXT = b"".join(b"line %d\n" % number for number in range(100_000))


def _written(folder: Path, content: bytes) -> ByteStream:
    path = folder / "history"
    path.write_bytes(content)
    return SourceFile.at(str(path)).stream()


def _drained(stream: ByteStream) -> bytes:
    try:
        return b"".join(stream.chunks())
    finally:
        stream.close()


def test_a_file_comes_in_pieces_and_is_counted(tmp_path: Path) -> None:
    """Memory depends on the piece and not on the file; progress is counted in stored bytes."""
    stream = _written(tmp_path, TEXT)
    pieces = list(stream.chunks())
    stream.close()
    assert b"".join(pieces) == TEXT
    assert max(map(len, pieces)) <= CHUNK
    assert stream.bytes_read == stream.size == len(TEXT)
    assert stream.damage is None


@pytest.mark.parametrize(
    "tail", [b"", b"\0" * 512, gzip.compress(b"more\n", mtime=0), gzip.compress(b"", mtime=0)]
)
def test_gzip_is_known_by_its_content(tmp_path: Path, tail: bytes) -> None:
    """Whatever the name; with several members, and zeros after the last."""
    stream = _written(tmp_path, gzip.compress(TEXT, mtime=0) + tail)
    whole = _drained(stream)
    assert whole.startswith(TEXT)
    assert len(whole) - len(TEXT) in {0, 5}
    assert stream.damage is None
    assert stream.bytes_read == stream.size


@pytest.mark.slow
def test_a_gzip_bomb_comes_in_pieces(tmp_path: Path) -> None:
    """A small file that unpacks to much is unpacked piece by piece."""
    stream = _written(tmp_path, gzip.compress(bytes(20_000_000)))
    sizes = [len(piece) for piece in stream.chunks()]
    stream.close()
    assert sum(sizes) == 20_000_000
    assert max(sizes) <= CHUNK


@given(st.integers(2, 250))
def test_what_lies_before_a_cut_is_given(cut: int) -> None:
    """A truncated gzip gives all that it holds, then says that it is cut short."""
    packed = gzip.compress(bytes(range(256)), mtime=0)[:cut]
    stream = ByteStream(io.BytesIO(packed), "history.gz")
    assert bytes(range(256)).startswith(_drained(stream))
    assert stream.damage is not None
    assert stream.damage.wrong == f"is cut short: its gzip data ends or breaks before byte {cut}"


def test_what_lies_before_damage_is_given(tmp_path: Path) -> None:
    """The library drops the output of the call that fails; here it is saved."""
    stream = _written(tmp_path, gzip.compress(TEXT, mtime=0)[:-8] + b"\xff" * 8)
    assert _drained(stream) == TEXT
    assert stream.damage is not None
    assert "is damaged" in stream.damage.wrong


def test_rubbish_after_gzip_is_damage(tmp_path: Path) -> None:
    """Nothing behind the last member is passed over in silence."""
    stream = _written(tmp_path, gzip.compress(TEXT, mtime=0) + b"rubbish")
    assert _drained(stream) == TEXT
    assert stream.damage is not None


def test_standard_input_has_no_size_and_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """``-`` is read as bytes; closing it is the business of the program."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(b"hello\n"))))
    stream = SourceFile.at("-").stream()
    assert _drained(stream) == b"hello\n"
    assert (stream.name, stream.size) == ("standard input", None)
    assert not sys.stdin.closed


def test_a_pipe_can_be_named(tmp_path: Path) -> None:
    """A named pipe gives short pieces, the first perhaps one byte, and has no size."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    packed = gzip.compress(b"hello\n")

    def write() -> None:
        with path.open("wb", buffering=0) as pipe:
            pipe.write(packed[:1])
            opened.wait(10)
            pipe.write(packed[1:])

    opened = threading.Event()
    writer = threading.Thread(target=write)
    writer.start()
    stream = SourceFile.at(str(path)).stream()
    opened.set()
    assert _drained(stream) == b"hello\n"
    assert stream.size is None
    writer.join()


def test_files_that_cannot_be_opened_are_named_with_a_fix(tmp_path: Path) -> None:
    """A wrong path is the commonest error of all."""
    with pytest.raises(SourceError, match=r"gone\.csv: there is no such file: check the path"):
        SourceFile.at(str(tmp_path / "gone.csv")).stream()
    with pytest.raises(SourceError, match="is a folder: name the files in it"):
        SourceFile.at(str(tmp_path)).stream()
    with pytest.raises(SourceError, match="cannot be opened"):
        SourceFile.at(str(tmp_path / ("x" * 5000))).stream()


@pytest.mark.skipif(sys.platform == "win32", reason="files have no such modes there")
def test_a_file_that_may_not_be_read(bound_by_modes: Path) -> None:
    """Permissions are named."""
    path = bound_by_modes / "secret.csv"
    path.write_bytes(b"type\n")
    path.chmod(0)
    with pytest.raises(SourceError, match="may not be read by you: change its permissions"):
        SourceFile.at(str(path)).stream()


class _FailingDisk(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        if self.tell():
            raise OSError(5, "Input/output error")
        return super().read(size)


def test_a_failing_disk_stops_the_reading() -> None:
    """An error of the system names the file, how far it was read, and where to look."""
    stream = ByteStream(_FailingDisk(TEXT), "history.csv")
    wrong = rf"history\.csv: cannot be read after byte {CHUNK} \(Input/output error\): check"
    with pytest.raises(SourceError, match=wrong):
        _drained(stream)


def _whole() -> ByteStream:
    return ByteStream(io.BytesIO(), "history.jsonl")


def _cut() -> ByteStream:
    stream = _whole()
    stream.damage = Problem("file", "is cut short", "export it again")
    return stream


@given(st.lists(st.binary(max_size=8)))
def test_lines_are_those_of_the_whole(pieces: list[bytes]) -> None:
    """However the bytes are cut, lines are split at line feeds, and at nothing else."""
    lines = b"".join(pieces).split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    assert list(LineSplitter(pieces, _whole())) == lines


@given(st.lists(st.binary(max_size=8)))
def test_the_last_line_of_a_broken_stream_is_held_back(pieces: list[bytes]) -> None:
    """Nobody can tell whether it is whole."""
    whole = LineSplitter(pieces, _cut())
    *lines, rest = b"".join(pieces).split(b"\n")
    assert list(whole) == lines
    assert whole.rest == rest


def _pieces(*lengths: int) -> list[bytes]:
    text = b"\n".join(b"x" * length for length in lengths)
    return [text[at : at + (1 << 18)] for at in range(0, len(text), 1 << 18)]


def test_a_line_over_the_limit_is_counted_and_dropped() -> None:
    """Its neighbours come through, and what stands for it is empty."""
    lines = list(LineSplitter(_pieces(5, LINE_LIMIT + 1, 7, 10_000_000, 9), _whole()))
    assert [len(line) for line in lines] == [5, 0, 7, 0, 9]
    assert [line.length for line in lines if isinstance(line, TooLong)] == [
        LINE_LIMIT + 1,
        10_000_000,
    ]


def test_the_limit_itself_is_allowed() -> None:
    """The limit is the longest line that is read, wherever pieces are cut."""
    lines = list(LineSplitter(_pieces(3, LINE_LIMIT, LINE_LIMIT + 1), _whole()))
    assert [type(line) for line in lines] == [bytes, bytes, TooLong]


def test_a_long_line_names_its_length_and_what_to_do() -> None:
    """The problem is the record's own."""
    problem = TooLong(10_000_000).problem("row")
    assert problem.field == "row"
    assert problem.wrong == "is 10000000 bytes long, over the limit of 4194304"
