from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from bad_inputs import parse

from leadconnector_async.sources import Parsed, SourceOptions

NEW_YORK = "America/New_York"
OURS = "type,contactId,direction,message"


def _read(
    columns: str, *cells: str, zone: str | None = None, mapping: dict[str, str] | None = None
) -> list[Parsed]:
    options = SourceOptions(
        mapping_file="generic",
        region="US",
        timezone=None if zone is None else ZoneInfo(zone),
        mapping=mapping or {},
    )
    rows = "".join(f"(212) 555-0111,in,hi,{one}\n" for one in cells)
    return parse(f"Phone,Direction,Text,{columns}\n{rows}".encode(), ".csv", options)[0]


def _utc(parsed: list[Parsed]) -> list[str | None]:
    dates = [one.row.date if one.row else None for one in parsed]
    return [None if date is None else f"{date:%Y-%m-%d %H:%M}" for date in dates]


@pytest.mark.parametrize(
    ("columns", "cells", "utc"),
    [
        ("Date,Time (GMT-7)", "2024-07-01,10:00", "2024-07-01 17:00"),
        ("Date,Time [GMT-7]", "2024-07-01,10:00", "2024-07-01 17:00"),
        ("Date,Time (america/denver)", "2024-07-01,10:00", "2024-07-01 16:00"),
        ("Date,Time (Etc/GMT+7)", "2024-07-01,10:00", "2024-07-01 17:00"),
        ("Date,Time (UTC\N{MINUS SIGN}07:00)", "2024-07-01,10:00", "2024-07-01 17:00"),
        ("Date,Time (-07:00)", "2024-07-01,10:00", "2024-07-01 17:00"),
        ("Date,Time_America/Denver", "2024-07-01,10:00", "2024-07-01 16:00"),
        ("Date,Time (JST)", "2024-07-01,10:00", "2024-07-01 01:00"),
        ("Date (JST),Time", "2024-07-01,10:00", "2024-07-01 01:00"),
        ("Date,Time UTC", "2024-07-01,10:00", "2024-07-01 10:00"),
        ("Datum,Uhrzeit (UTC)", "2024-07-01,10:00", "2024-07-01 10:00"),
        ("Fecha,Hora (GMT-5)", "2024-07-01,10:00", "2024-07-01 15:00"),
        ("Date (Local),Date (UTC)", "2024-07-01 03:00,2024-07-01 10:00", "2024-07-01 10:00"),
        ("Date (PST),Date (UTC)", "2024-07-01 03:00,2024-07-01 10:00", "2024-07-01 10:00"),
        ("Date,Time (EST)", "2024-07-01,10:00Z", "2024-07-01 10:00"),
        ("Date (UTC),Notes ()", "2024-07-01 10:00,x", "2024-07-01 10:00"),
    ],
)
def test_a_time_is_in_the_zone_that_its_column_names(columns: str, cells: str, utc: str) -> None:
    """Beside a date of its own, too; but an offset in the text goes before it."""
    assert _utc(_read(columns, cells)) == [utc]


@pytest.mark.parametrize("zone", ["EST", "Eastern"])
@pytest.mark.parametrize(
    ("columns", "cells"),
    [
        ("Date ({})", "2024-07-01 10:00"),
        ("Date,Time ({})", "2024-07-01,10:00"),
        ("Date,Time_{}", "2024-07-01,10:00"),
        ("Date ({}),Time", "2024-07-01,10:00"),
        ("Datum,Uhrzeit ({})", "2024-07-01,10:00"),
    ],
)
def test_a_name_that_may_mean_two_offsets_is_asked(columns: str, cells: str, zone: str) -> None:
    """Whether clocks change where EST is above a column nobody knows; --timezone tells it."""
    named = columns.format(zone)
    (asked,) = _read(named, cells)
    (problem,) = asked.problems
    assert problem.field == "date"
    assert f'({zone})"' in problem.wrong or f'_{zone}"' in problem.wrong
    assert "give --timezone America/New_York if clocks change there" in problem.fix
    assert _utc(_read(named, cells, zone=NEW_YORK)) == ["2024-07-01 14:00"]
    assert _utc(_read(named, cells, zone="America/Los_Angeles")) == [None]


def test_a_name_in_a_column_is_read_as_the_user_says_who_has_no_summer_time() -> None:
    """Where clocks never change, the name stands for one offset."""
    assert _utc(_read("Date (EST)", "2024-07-01 10:00", zone="Etc/GMT+5")) == ["2024-07-01 15:00"]
    assert _utc(_read("Date (MST)", "2024-07-01 10:00", zone="America/Phoenix")) == [
        "2024-07-01 17:00"
    ]
    assert _utc(_read("Date (24h),Time (local time)", "2024-07-01,10:00", zone=NEW_YORK)) == [
        "2024-07-01 14:00"
    ]


@pytest.mark.parametrize(
    ("columns", "cell"),
    [
        *(("Date,Clock", cell) for cell in ("10:00", "3:05 PM", "10h05", "10:00:01 EST", "9am")),
        ("Date,Received", "10:00"),
        ("Date,Time", "0.42"),
        ("Date,Received", "2024-07-01 10:00"),
    ],
)
def test_a_date_is_no_midnight_where_a_column_may_hold_its_time(columns: str, cell: str) -> None:
    """Be it a column that is not known, or another date: which one counts the user says."""
    (parsed,) = _read(columns, f"2024-07-01,{cell}", zone=NEW_YORK)
    (problem,) = parsed.problems
    assert (problem.field, parsed.row) == ("date", None)
    assert f'which column "{columns[5:]}" may hold' in problem.wrong
    assert "Time, as in 3:05 PM, or give --map date=COLUMN" in problem.fix
    told = _read(columns, f"2024-07-01,{cell}", zone=NEW_YORK, mapping={"date": "Date"})
    assert _utc(told) == ["2024-07-01 04:00"]


def test_a_date_alone_is_midnight_and_told() -> None:
    """Where no column holds a time of day, but at most a span of time."""
    (parsed,) = _read("Date,Talk time,Room", "2024-07-01,0:34,12", zone=NEW_YORK)
    assert parsed.row
    assert parsed.notices == ("date has no time of day: midnight is taken",)


def test_half_of_the_day_in_a_column_of_its_own_is_not_passed_over() -> None:
    """Else ten in the evening would be ten in the morning."""
    (parsed,) = _read("Date,Time,AM/PM", "2024-07-01,10:00,PM", zone=NEW_YORK)
    assert 'half of the day in a column of its own, "AM/PM"' in parsed.problems[0].wrong


@pytest.mark.parametrize(
    ("column", "cell", "utc"),
    [
        ("Time Zone", "America/Denver", "2024-01-31 16:30"),
        ("Timezone", "America/Denver", "2024-01-31 16:30"),
        ("TZ", "america/denver", "2024-01-31 16:30"),
        ("UTC offset", "-07:00", "2024-01-31 16:30"),
        ("UTC offset", "-7", "2024-01-31 16:30"),
        ("GMT Offset", "+5.5", "2024-01-31 04:00"),
        ("time_zone", "GMT-7", "2024-01-31 16:30"),
        ("Time Zone", "(GMT-07:00) Mountain Time (US & Canada)", "2024-01-31 16:30"),
        ("Zeitzone", "UTC", "2024-01-31 09:30"),
        ("TZ", "MST", "2024-01-31 16:30"),
        ("TZ", "Mountain Standard Time", "2024-01-31 16:30"),
        ("TZ", "JST", "2024-01-31 00:30"),
        ("Time Zone", "", None),
    ],
)
@pytest.mark.parametrize("date", ["Date", "Date (EST)"])
def test_a_row_may_name_the_zone_of_its_date(
    date: str, column: str, cell: str, utc: str | None
) -> None:
    """In a column of its own, which goes before a name above the dates that tells no offset."""
    rows = _read(f"{date},{column}", f"2024-01-31 09:30,{cell}")
    assert _utc(rows) == [utc]
    assert not rows[0].notices


def test_a_zone_that_nobody_knows_is_a_problem_of_its_row() -> None:
    """With --timezone it is read in that, with a notice, as rows that name none are."""
    cells = ["2024-01-31 09:30,Mountain", "2024-07-31 09:30,EST", "2024-01-31 09:30,-420"]
    wrong = [str(one.problems[0]) for one in _read("Date,TZ", *cells, "2024-01-31 09:30,Mars")]
    assert 'its time zone "Mountain" does not tell it' in wrong[0]
    assert 'its time zone "EST" does not tell it' in wrong[1]
    (of_windows,) = _read("Date,TZ", "2024-07-31 09:30,Central Standard Time", zone=NEW_YORK)
    assert "does not tell it" in of_windows.problems[0].wrong
    assert 'its time zone is "-420", which is none: write one such as America/Denver' in wrong[2]
    assert 'its time zone is "Mars", which is none' in wrong[3]
    assert "or give --timezone for such rows" in wrong[3]
    known = _read("Date,TZ", "2024-07-31 09:30,EST", "2024-01-31 09:30,Mars", zone=NEW_YORK)
    assert _utc(known) == ["2024-07-31 13:30", "2024-01-31 14:30"]
    assert [one.notices for one in known] == [
        (),
        ("time zone of the row is none that is known: --timezone is taken",),
    ]


def test_the_zone_of_a_row_stands_behind_what_its_date_says() -> None:
    """And before --timezone; what contradicts is told. --map timezone= passes the column over."""
    cells = ["2024-01-31T09:30:00Z,America/Denver", "2024-01-31 09:30,America/Denver"]
    cells += ["2024-01-31T09:30:00-07:00,America/Denver", "2024-01-31T09:30:00Z,Mars"]
    rows = _read("Date,Time Zone", *cells, zone=NEW_YORK)
    times = ["2024-01-31 09:30", "2024-01-31 16:30", "2024-01-31 16:30", "2024-01-31 09:30"]
    assert _utc(rows) == times
    assert [one.notices for one in rows] == [
        ("date has an offset, which is not that of the row's time zone: it is taken",),
        ("date is in the row's own time zone, which is not that of --timezone",),
        (),
        (),
    ]
    passed = _read("Date,Time Zone", cells[1], zone=NEW_YORK, mapping={"timezone": ""})
    assert _utc(passed) == ["2024-01-31 14:30"]
    mapped = _read("Date,Where", cells[1], mapping={"timezone": "Where"})
    assert _utc(mapped) == ["2024-01-31 16:30"]
    (utc,) = _read("Date (UTC),Time Zone", cells[1])
    assert _utc([utc]) == ["2024-01-31 09:30"]


def test_a_zone_counts_beside_the_apis_names_and_in_json_too() -> None:
    """In a table that needs no mapping, and in objects; it is no field that is sent."""
    row = "SMS,GKBhT6BfwY9mjzXAU3sq,inbound,hi,2024-01-31 09:30,America/Denver"
    table = f"{OURS},date,Time Zone\n{row}\n".encode()
    parsed, warnings = parse(table, ".csv", SourceOptions())
    assert (_utc(parsed), warnings) == (["2024-01-31 16:30"], [])
    json = (
        b'{"type":"SMS","contactId":"GKBhT6BfwY9mjzXAU3sq","direction":"inbound","message":"hi",'
        b'"date":"2024-01-31 09:30","timezone":"-07:00"}\n'
    )
    parsed, warnings = parse(json, ".jsonl", SourceOptions())
    assert (_utc(parsed), warnings) == (["2024-01-31 16:30"], [])
    clock = f"{OURS},date,time\nSMS,GKBhT6BfwY9mjzXAU3sq,inbound,hi,2024-01-31,09:30\n".encode()
    (refused,), _ = parse(clock, ".csv", SourceOptions(timezone=ZoneInfo(NEW_YORK)))
    assert 'which column "time" may hold' in refused.problems[0].wrong
