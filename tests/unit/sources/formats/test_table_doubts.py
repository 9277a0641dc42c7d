from __future__ import annotations

import pytest
from bad_inputs import parse

from leadconnector_async.errors import SourceError
from leadconnector_async.sources import SourceOptions

OPTIONS = SourceOptions(mapping_file="generic", region="US")
HEADER = "Phone,Direction,Date,Text"
GOOD = "(212) 555-0111,in,2024-01-31T09:30:00Z,"


def _table(*rows: str) -> bytes:
    return "\n".join([HEADER, *rows, ""]).encode()


def test_rows_of_a_second_table_are_none_of_the_first() -> None:
    """Of equal width they would be read by the columns of the first: a duration as a text."""
    second = "Number,Direction,Date,Duration"
    parsed, _ = parse(_table(f"{GOOD}hi", second, f"{GOOD}12"), ".csv", OPTIONS)
    said = "row is the header of another table, or below it: put that table into a file of its own"
    assert [[str(one) for one in row.problems] for row in parsed] == [[], [said], [said]]
    parsed, _ = parse(_table("Text,,,", f"{GOOD}hi"), ".csv", OPTIONS)  # is no header
    assert parsed[1].row is not None


@pytest.mark.parametrize("error", ["#NAME?", "#REF!", "#VALUE!", "#SPILL!", "#ERROR!"])
def test_an_error_of_a_spreadsheet_is_no_text(error: str) -> None:
    """It stands where a text such as "=)" or "-ok" was."""
    parsed, _ = parse(_table(GOOD + error, f"{GOOD}{error} it said"), ".csv", OPTIONS)
    assert [problem.field for problem in parsed[0].problems] == ["message"]
    assert parsed[1].row is not None


def test_a_text_that_may_be_cut_or_is_markup_is_told() -> None:
    """And sent: nobody else knows."""
    texts = ["x" * 32_767, "x" * 32_768, "<p>Hello<br>there</p>", "<person> wrote"]
    texts += [
        '"{""type"":""text"",""text"":""hi""}"',
        "{name}: hi",
        "Hi<BR />you",
        "a <brian@a.example>",
    ]
    parsed, _ = parse(_table(*(GOOD + text for text in texts)), ".csv", OPTIONS)
    assert [len(row.notices) for row in parsed] == [1, 0, 1, 0, 1, 0, 1, 0]


@pytest.mark.parametrize("repair", [True, False])
def test_ends_of_lines_that_are_written_out_are_told(
    repair: bool,  # noqa: FBT001 - an option
) -> None:
    """As databases and their tools write them; and read where texts are to be repaired."""
    options = SourceOptions(mapping_file="generic", region="US", repair_text=repair)
    paths = GOOD + r"C:\new", GOOD + r"\\nas\new"
    parsed, _ = parse(_table(GOOD + r"Hi\r\nthere\nyou", *paths), ".csv", options)
    assert [one.row and one.row.message for one in parsed] == [
        "Hi\nthere\nyou" if repair else r"Hi\r\nthere\nyou",
        r"C:\new",
        r"\\nas\new",
    ]
    assert [len(one.notices) for one in parsed] == [1, 0, 0]


@pytest.mark.parametrize(
    ("days", "months", "told"), [(12, 12, True), (13, 12, False), (5, 12, False), (12, 2, False)]
)
def test_days_that_may_be_months_are_told(
    days: int,
    months: int,
    told: bool,  # noqa: FBT001 - what is expected
) -> None:
    """Where none of many is after the 12th, and nearly all to that occur."""
    rows = [
        f"(212) 555-0111,in,20{year}-{month:02}-{day:02}T09:30:00Z,hi"
        for year in (22, 23)
        for month in range(1, months + 1)
        for day in range(1, days + 1)
    ]
    _, warnings = parse(_table(*rows), ".csv", OPTIONS)
    assert any("may have taken days for months" in one for one in warnings) == told


def test_a_column_of_mails_is_no_record() -> None:
    """A type of message may be the name of a column, beside others that are known."""
    with pytest.raises(SourceError, match="is spelled differently"):
        parse(b"Email,Direction,Date,Message\n", ".csv")


SIDES = "Phone,Direction,From,To,Date,Text\n"
OWN, KIM, LEE = "+12125550100", "+12125550111", "+12125550112"
AT = "2024-01-31T09:30:00Z,hi\n"


def test_a_number_that_is_not_that_of_the_other_side_is_refused() -> None:
    """It is the owner's then, and all would go to one contact."""
    rows = f"{OWN},out,{OWN},{KIM},{AT}{OWN},in,{LEE},{OWN},{AT}{KIM},in,{KIM},{OWN},{AT}"
    parsed, _ = parse((SIDES + rows).encode(), ".csv", OPTIONS)
    said = "contact.phone is another number than that in {}: give --mine with your own number, or "
    told = [[str(one).partition("--map")[0] for one in row.problems] for row in parsed]
    assert told == [[said.format("To")], [said.format("From")], []]
    options = SourceOptions(mapping_file="generic", region="US", mine=(OWN,))
    parsed, _ = parse((SIDES + rows).encode(), ".csv", options)
    contacts = [row.row and row.row.contact for row in parsed]
    assert [contact and contact.phone for contact in contacts] == [KIM, LEE, KIM]


@pytest.mark.parametrize(
    ("phone", "to"),
    [("Contact Phone", KIM), ("Phone", ""), ("Phone", "Kim"), ("Phone", f"{KIM}; {LEE}")],
)
def test_a_number_that_no_other_contradicts_is_the_contacts(phone: str, to: str) -> None:
    """As are those of columns that say so."""
    table = f"{phone},Direction,To,Date,Text\n{LEE},out,{to},{AT}"
    parsed, _ = parse(table.encode(), ".csv", OPTIONS)
    assert [row.row and row.row.contact and row.row.contact.phone for row in parsed] == [LEE]


@pytest.mark.parametrize(
    ("header", "row", "problems"),
    [
        ("Phone,Direction,From", f"n/a,in,{KIM}", ["contact.phone"]),  # and so may be left out
        ("Phone,Direction,From", f"{LEE} / {OWN},in,{KIM}", ["contact.phone"]),
        ("Phone,From,To", f"{KIM},{KIM},{OWN}", []),
        (",Phone,Direction,To", f"{OWN},{KIM},out,", []),  # the column without a name is no side
        ("Country Code,Phone,Direction,To", "44,2071838750,out,2071838750", []),
    ],
)
def test_what_is_wrong_otherwise_is_told_as_that(
    header: str, row: str, problems: list[str]
) -> None:
    """A number that is none is not the owner's, and without a direction nobody knows the side."""
    (parsed,), _ = parse(f"{header},Date,Text\n{row},{AT}".encode(), ".csv", OPTIONS)
    assert [problem.field for problem in parsed.problems] == problems
    assert not any("another number" in str(problem) for problem in parsed.problems)


@pytest.mark.parametrize(
    ("header", "options"),
    [(f"{HEADER},", OPTIONS), ("contact.phone,direction,date,message,type,", SourceOptions())],
)
def test_cells_in_a_column_without_a_name_are_told(header: str, options: SourceOptions) -> None:
    """As the rest of a text is behind a comma that no quotes enclose."""
    row = f"{KIM},inbound,2024-01-31T09:30:00Z,hi" + ",SMS" * ("type" in header)
    rows = "\n".join([header, f"{row}, there", f"{row},", ""])
    parsed, _ = parse(rows.encode(), ".csv", options)
    told = ("cells in a column without a name are not sent",)
    assert [row.notices for row in parsed] == [told, ()]


@pytest.mark.parametrize("sides", ["From,To", "From Email,To Email"])
@pytest.mark.parametrize(
    ("mail", "taken"),
    [
        ("shop@spoke.example", ["kim@a.example", "lee@a.example"]),
        ("Kim@a.example", ["kim@a.example", None]),
        ("ann@spoke.example", [None, None]),
        ("", ["kim@a.example", "lee@a.example"]),
    ],
)
def test_an_address_of_neither_side_is_held_against_those_of_the_other(
    sides: str, mail: str, taken: list[str | None]
) -> None:
    """That of the side itself is the owner's, and any other is somebody's whom nobody knows."""
    table = f"Type,Email,Direction,{sides},Date,Text\n"
    shop, kim, lee = "shop@spoke.example", "Kim <kim@a.example>", "lee@a.example"
    rows = f"Email,{mail},in,{kim},{shop},{AT}Email,{mail},out,{shop},{lee},{AT}"
    parsed, _ = parse((table + rows).encode(), ".csv", OPTIONS)
    found = [row.row and row.row.contact and row.row.contact.email for row in parsed]
    assert found == taken
    refused = [str(problem) for row in parsed for problem in row.problems]
    assert len(refused) == taken.count(None)
    assert all("contact.email is another address than that in" in one for one in refused)


def test_an_address_in_the_place_of_a_number_stays_beside_one_of_its_own() -> None:
    """It may be another person's: nothing of it is passed over."""
    rows = f"kim@a.example,lee@a.example,in,{AT}"
    (row, *_), _ = parse(f"Phone,Email,Direction,Date,Text\n{rows}".encode(), ".csv", OPTIONS)
    assert [problem.field for problem in row.problems] == ["contact.phone"]


@pytest.mark.parametrize(("column", "told"), [("Name", True), ("Contact Name", False)])
@pytest.mark.parametrize("phone", ["From,To", "Phone,Note"])
def test_a_name_of_many_numbers_may_be_an_agents(column: str, phone: str, *, told: bool) -> None:
    """From the third number on, whatever column that stands in."""
    rows = [f"Ann,in,+1212555011{n},{OWN},2024-01-31T09:3{n}:00Z,hi\n" for n in (1, 2, 2, 3)]
    table = f"{column},Direction,{phone},Date,Text\n{''.join(rows)}"
    parsed, _ = parse(table.encode(), ".csv", OPTIONS)
    assert [bool(row.notices) for row in parsed] == [False, False, False, told]
