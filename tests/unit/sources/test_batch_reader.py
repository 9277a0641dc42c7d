from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest
from cli_harness import sms, wait_until, write_jsonl

from leadconnector_async import SourceError
from leadconnector_async.sources import SourceOptions
from leadconnector_async.sources.batch_reader import BATCH, ReadingInterruptedError, SourceReader

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

OPTIONS = SourceOptions()


def numbers(paths: Sequence[Path]) -> list[list[int]]:
    """The lines of each batch."""
    reader = SourceReader([str(path) for path in paths], OPTIONS)
    batches = []
    for _ in reader.sources():
        while batch := reader.batch():
            batches.append([parsed.line for parsed in batch])
    assert reader.bytes_read == reader.size
    return batches


def test_sources_are_read_one_after_the_other_in_batches(tmp_path: Path) -> None:
    """No batch spans two sources, or is larger than one commit."""
    one = write_jsonl(tmp_path / "1.jsonl", [sms(n) for n in range(BATCH + 1)])
    two = write_jsonl(tmp_path / "2.jsonl", [sms(1)])
    batches = numbers([one, two])
    assert [len(batch) for batch in batches] == [BATCH, 1, 1]
    assert batches[1:] == [[BATCH + 1], [1]]


@pytest.mark.slow
def test_a_batch_of_long_records_ends_early(tmp_path: Path) -> None:
    """So that memory does not depend on the length of records."""
    long = [sms(n, message="x" * 1_500_000) for n in range(7)]
    assert [len(batch) for batch in numbers([write_jsonl(tmp_path / "1.jsonl", long)])] == [3, 3, 1]


def test_every_file_is_tried_before_the_first_is_read(tmp_path: Path) -> None:
    """A pipe gives its content once, so it is not tried."""
    good = write_jsonl(tmp_path / "1.jsonl", [sms(1)])
    with pytest.raises(SourceError, match=r"gone\.csv"):
        SourceReader([str(good), str(tmp_path / "gone.csv")], OPTIONS).check()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = SourceReader([str(good), "-", str(pipe)], OPTIONS)
    reader.check()
    assert reader.size is None


@pytest.mark.parametrize("grows", [False, True])
def test_a_file_that_is_still_written_is_told(tmp_path: Path, *, grows: bool) -> None:
    """What came later is not read, and its last line may be half of one."""
    path = write_jsonl(tmp_path / "1.jsonl", [sms(1)])
    reader = SourceReader([str(path)], OPTIONS)
    for _ in reader.sources():
        assert len(reader.batch()) == 1
        write_jsonl(path, [sms(n) for n in range(1 + grows)])
    said = "a source has changed while it was read: import it again once it is whole"
    assert reader.warnings == [said] * grows


def test_a_reader_that_is_stopped_gives_no_more(tmp_path: Path) -> None:
    """Neither of this source nor of a next one."""
    path = str(write_jsonl(tmp_path / "1.jsonl", [sms(n) for n in range(BATCH * 2)]))
    reader = SourceReader([path, path], OPTIONS)
    for _ in reader.sources():
        assert len(reader.batch()) == BATCH
        reader.stop()
        assert reader.batch() == []
    assert reader.interrupted


def test_an_interruption_ends_the_reading(tmp_path: Path) -> None:
    """What a signal handler raises into it goes no further."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = SourceReader([str(pipe)], OPTIONS)

    class Broken:
        def __iter__(self) -> Broken:
            return self

        def __next__(self) -> object:
            assert reader.reading
            raise ReadingInterruptedError

    def feed() -> None:
        with pipe.open("w") as end:
            end.write('{"type": "SMS"}\n')

    feeder = threading.Thread(target=feed)
    feeder.start()
    for _ in reader.sources():
        reader._records = Broken()  # type: ignore[assignment]  # stands for a blocked read
        assert reader.batch() == []
        assert reader.interrupted
    assert not reader.reading
    wait_until(lambda: not feeder.is_alive())


def test_warnings_name_their_source(tmp_path: Path) -> None:
    """What was passed over is told when the source has been read."""
    path = write_jsonl(tmp_path / "1.jsonl", [sms(1, colour="red")])
    reader = SourceReader([str(path)], OPTIONS)
    for _ in reader.sources():
        while reader.batch():
            pass
    assert len(reader.warnings) == 1
    assert reader.warnings[0].startswith(f"{path}: ")
    assert "colour" in reader.warnings[0]


def test_one_warning_of_many_sources_is_counted(tmp_path: Path) -> None:
    """The first are named: an export may hold thousands of pages."""
    names = [str(write_jsonl(tmp_path / f"{n}.jsonl", [sms(n, odd=1)])) for n in range(9)]
    reader = SourceReader(names, OPTIONS)
    for _ in reader.sources():
        while reader.batch():
            pass
    *named, rest = reader.warnings
    assert [warning.partition(": ")[0] for warning in named] == names[:5]
    assert rest.startswith("4 more sources: ")


def test_a_source_without_records_is_named(tmp_path: Path) -> None:
    """A header alone, or an empty list, may be an export that went wrong."""
    table, chat = tmp_path / "a.csv", tmp_path / "b.json"
    table.write_text("type,contactId,direction,date,message\n")
    chat.write_text("[]")
    reader = SourceReader([str(table), str(chat)], SourceOptions())
    assert [reader.batch() for _ in reader.sources()] == [[], []]
    assert reader.warnings == [f"{table}: holds no records", f"{chat}: holds no records"]
