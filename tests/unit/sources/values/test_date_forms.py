from __future__ import annotations

import io
import json
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from bad_inputs import parse

from leadconnector_async.sources import Parsed, SourceOptions, open_source

NEW_YORK = ZoneInfo("America/New_York")
OPTIONS = SourceOptions(timezone=NEW_YORK)
HEADER = "type,contactId,direction,date,message\n"


def _table(*dates: str) -> bytes:
    return (HEADER + "".join(f'SMS,c1,inbound,"{date}",hi\n' for date in dates)).encode()


def _dates(parsed: list[Parsed]) -> list[str | None]:
    return [None if one.row is None else str(one.row.date)[:19] for one in parsed]


@pytest.mark.parametrize(
    ("dates", "utc", "first"),
    [
        (("3/4/2024 3:06 PM", "03/29/2024 03:06 PM"), ("03-04 20:06", "03-29 19:06"), "month"),
        (("3.4.2024 15:06", "29.03.2024 15:06"), ("04-03 19:06", "03-29 19:06"), "day"),
        (("3/4/24 15:06", "3/29/24 15:06:00"), ("03-04 20:06", "03-29 19:06"), "month"),
        (("24-03-04 15:06", "24-03-29 15:06"), None, None),
        (("24/03/05 15:06", "24/03/29 15:06"), ("03-05 20:06", "03-29 19:06"), "year"),
        (("24/03/05 15:06", "24/04/06 15:06"), None, None),
        (("24/03/15 15:06", "24/03/16 15:06"), None, None),
        (("24/03/15 15:06", "24/03/29 15:06"), ("03-15 19:06", "03-29 19:06"), "year"),
        (("14/03/24 15:06", "15/03/24 15:06"), ("03-14 19:06", "03-15 19:06"), "day"),
        (("14/03/24 15:06 -04:00",), ("03-14 19:06",), "day"),
        (("24/03/29 15:06",), ("03-29 19:06",), "year"),
        (("Fri 03/01/2024 9:05 AM", "4/3/2024 9:05 AM"), ("03-01 14:05", "04-03 13:05"), "month"),
    ],
)
def test_the_one_order_that_reads_all_dates_is_taken(
    dates: tuple[str, ...], utc: tuple[str, ...] | None, first: str | None
) -> None:
    """Wherever in the file it shows; and a notice tells it."""
    parsed, _ = parse(_table(*dates), ".csv", OPTIONS)
    if utc is None:
        assert [one.row for one in parsed] == [None] * len(dates)
        return
    assert _dates(parsed) == [f"2024-{date}:00" for date in utc]
    said = f"date is read with its {first} first: no other order reads every date of the file"
    assert {one.notices for one in parsed} == {(said,)}


def test_dates_of_either_order_are_refused_with_both_readings() -> None:
    """And with the options that decide, which are obeyed."""
    content = _table("2024-01-31T09:30:00Z", "03/04/2024 9:05 AM", "03/03/2024")
    parsed, _ = parse(content, ".csv", OPTIONS)
    assert _dates(parsed) == ["2024-01-31 09:30:00", None, "2024-03-03 05:00:00"]
    (problem,) = parsed[1].problems
    assert str(problem) == (
        "date can be 3 April 2024 or March 4, and no date of the file tells which "
        '("03/04/2024 9:05 AM"): give --date-format %d/%m/%Y or %m/%d/%Y'
    )
    for form, utc in (("%d/%m/%Y", "2024-04-03 13:05:00"), ("%m/%d/%Y", "2024-03-04 14:05:00")):
        parsed, _ = parse(content, ".csv", SourceOptions(timezone=NEW_YORK, date_format=form))
        assert _dates(parsed)[1] == utc


def test_a_column_of_both_orders_is_not_guessed_row_by_row() -> None:
    """Not even where one date alone would tell."""
    parsed, _ = parse(_table("29/03/2024", "03/30/2024", "03/04/2024"), ".csv", OPTIONS)
    assert _dates(parsed) == [None, None, None]
    said = 'date has no one order of day and month in this file, which holds "29/03/2024" and'
    assert {str(one.problems[0]).startswith(said) for one in parsed} == {True}
    assert {one.problems[0].fix for one in parsed} == {"give --date-format %d/%m/%Y or %m/%d/%Y"}


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_list_of_failed_records_has_the_order_of_each_file(suffix: str) -> None:
    """One that was never decided there took that of the others: 5 March became May 3."""
    given = [
        ("uk.csv:2: contact.phone is missing", "05/03/2024 9:05"),
        ("us.csv:2: contact.phone is missing", "03/29/2024 9:05"),
        ("us.csv:7: contact.phone is missing", "03/04/2024 9:05"),
    ]
    values = {"type": "SMS", "contactId": "c1", "direction": "inbound", "message": "hi"}
    rows = [
        {"error": error, "outboxKey": f"k{number}", **values, "date": date}
        for number, (error, date) in enumerate(given)
    ]
    lines = [*map(json.dumps, rows)]
    if suffix == ".csv":
        lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    parsed, _ = parse("\n".join(lines).encode(), suffix, OPTIONS)
    assert _dates(parsed) == [None, "2024-03-29 13:05:00", "2024-03-04 14:05:00"]
    assert "no date of the file tells which" in str(parsed[0].problems[0])


def test_json_lines_and_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON is read as tables are; what is read once cannot be looked through first."""
    line = '{"type":"SMS","contactId":"c1","direction":"inbound","date":"%s","message":"hi"}\n'
    content = (line % "3/4/2024 15:06" + line % "3/29/2024 15:06").encode()
    parsed, _ = parse(content, ".jsonl", OPTIONS)
    assert _dates(parsed) == ["2024-03-04 20:06:00", "2024-03-29 19:06:00"]
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    with open_source("-", OPTIONS) as source:
        found = list(source)
    assert [str(one.problems[0]) for one in found] == [
        "date has day and month in an order that only the whole file can tell, and this one is "
        f"read once: give --date-format {orders}"
        for orders in ("%d/%m/%Y or %m/%d/%Y", "%m/%d/%Y")
    ]


@pytest.mark.parametrize("line", ['"date":null,', '"date":"",', '"date":0,', ""])
def test_a_record_of_json_without_a_date_is_refused(line: str) -> None:
    """As in tables; or it takes the time of the import, if its owner says so."""
    content = (
        f'{{"type":"SMS",{line}"contactId":"c1","direction":"inbound","message":"hi"}}\n'.encode()
    )
    (one,), _ = parse(content, ".jsonl", SourceOptions())
    assert [str(problem) for problem in one.problems] == [
        'date is missing: write one, such as "2024-01-31T09:30:00Z", or give --undated now'
    ]
    (one,), _ = parse(content, ".jsonl", SourceOptions(undated="now"))
    assert one.row is not None
    assert one.row.date is None
    assert one.notices == ("date is missing: the message takes the time of the import",)


def test_what_is_odd_about_a_date_is_told_of_plain_json_too() -> None:
    """Which goes from its bytes straight into a row."""
    line = '{"type":"SMS","contactId":"c1","date":"%s","message":"hi"}\n'
    dates = ("2024-03-10T02:30:00", "2024-03-11T02:30:00", "1970-01-01T00:00:00Z")
    parsed, _ = parse("".join(line % date for date in dates).encode(), ".jsonl", OPTIONS)
    assert [len(one.notices) for one in parsed] == [1, 0, 1]


def test_figures_beside_a_whole_date_are_no_time_of_it() -> None:
    """Such as those of an hour or an id: every row was refused."""
    table = (
        "type,contactId,direction,Date,Hour,message\nSMS,c1,inbound,2024-03-29T15:06:00Z,17,hi\n"
    )
    options = SourceOptions(mapping_file="generic", mapping={"contactId": "contactId"})
    parsed, _ = parse(table.encode(), ".csv", options)
    assert _dates(parsed) == ["2024-03-29 15:06:00"]
