from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from bad_inputs import BAD_INPUTS, BODY, BadInput, parse

from leadconnector_async.errors import SourceError

if TYPE_CHECKING:
    from leadconnector_async.sources import Parsed

FILES = [bad for bad in BAD_INPUTS if bad.line == 0]
RECORDS = [bad for bad in BAD_INPUTS if bad.line > 0]


def _named(bad: BadInput) -> str:
    return bad.name


def _complaint(parsed: Parsed) -> str:
    return "; ".join(str(problem) for problem in parsed.problems)


def test_there_are_fifty_and_each_has_its_name() -> None:
    """The list is what it promises: at least fifty different inputs."""
    assert len({bad.name for bad in BAD_INPUTS}) == len(BAD_INPUTS) >= 50


@pytest.mark.parametrize("bad", RECORDS, ids=_named)
def test_a_bad_record_is_named_and_the_good_ones_come_through(bad: BadInput) -> None:
    """One bad record costs one record: it is refused at its line, with field and fix."""
    records, _ = parse(bad.content, bad.suffix, bad.options)
    refused = [parsed for parsed in records if parsed.row is None]
    assert [parsed.line for parsed in refused] == [bad.line]
    for words in bad.says:
        assert words in _complaint(refused[0])
    good = [parsed.row for parsed in records if parsed.row is not None]
    assert len(good) == bad.good
    assert all(re.match(r"good (one|two)", row.message or "") for row in good)


@pytest.mark.parametrize("bad", FILES, ids=_named)
def test_a_file_that_holds_no_records_is_refused_as_a_whole(bad: BadInput) -> None:
    """What cannot be read at all stops the run before anything is staged, and names the file."""
    with pytest.raises(SourceError) as caught:
        parse(bad.content, bad.suffix, bad.options)
    for words in (f"history{bad.suffix}", *bad.says):
        assert words in str(caught.value)


@pytest.mark.parametrize("bad", RECORDS, ids=_named)
def test_no_problem_repeats_the_text_of_a_message(bad: BadInput) -> None:
    """Problems, and the repr of what holds them, go to logs: texts do not."""
    for parsed in parse(bad.content, bad.suffix, bad.options)[0]:
        assert BODY not in _complaint(parsed)
        assert BODY not in repr(parsed)
