from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from bad_inputs import jsonl, parse, record

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Contact
from leadconnector_async.sources import SourceOptions
from leadconnector_async.sources.fields import WrongValueError
from leadconnector_async.sources.values.contact_values import Contacts

US = SourceOptions(undated="now", region="US")
HEADER = "type,direction,message,contact.phone,contact.email,contact.name"


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("+12125550100", None),
        (" +1 (212) 555-0100 ", None),
        ("(212) 555-0100", "US"),
        ("212.555.0100", " us "),
        ("001 212 555 0100", "GB"),
        ("+1 212 555 0100 ext. 7", None),
        ("tel:+1-212-555-0100", None),
    ],
)
def test_spellings_of_one_number_are_one(text: str, region: str | None) -> None:
    """National forms need the region, international ones do not."""
    assert Contacts(region).phone(text) == "+12125550100"


@pytest.mark.parametrize(
    ("value", "region", "said"),
    [
        ("2125550100", None, "has no country code"),
        ("21255501", "US", "is no possible telephone number for the country code +1"),
        ("555-0100", "US", "lacks its area code"),
        ("+999123456789", "US", "begins with no country code that exists"),
        ("ACME", "US", "is a name, and no telephone number"),
        (2125550100, "US", "is a number"),
    ],
)
def test_a_number_that_cannot_be_is_said_to_be_so(
    value: object, region: str | None, said: str
) -> None:
    """With a fix, and without the value: shifted columns can put a text there."""
    with pytest.raises(WrongValueError) as caught:
        Contacts(region).phone(value)
    assert str(caught.value) == said
    assert caught.value.fix
    assert str(value) not in caught.value.wrong


def test_a_number_without_country_code_names_the_option() -> None:
    """That is the fix for a whole file of them."""
    with pytest.raises(WrongValueError) as caught:
        Contacts(None).phone("212 555 0100")
    assert "--region US" in caught.value.fix


def test_a_region_that_is_none_stops_the_reading() -> None:
    """It would be wrong with every record."""
    with pytest.raises(SourceError, match="--region UK is no region"):
        Contacts("UK").phone("020 7946 0000")


def test_spellings_of_one_address_are_one() -> None:
    """Case and the forms of international domains do not matter."""
    contacts = Contacts(None)
    assert contacts.email(" Me@Example.COM ") == "me@example.com"
    assert contacts.email("Kim@xn--mller-kva.de") == contacts.email("kim@MÜLLER.de")


@pytest.mark.parametrize("value", ["me", "me@", "a b@example.com", "me@localhost", "x@a.invalid"])
def test_an_address_that_cannot_be_is_said_to_be_so(value: str) -> None:
    """By its form alone: nothing is looked up."""
    with pytest.raises(WrongValueError, match="is no usable e-mail address"):
        Contacts(None).email(value)


def test_columns_name_a_contact() -> None:
    """In CSV they are dotted, and an empty cell is an absent field."""
    rows = [
        f"{HEADER},date",
        "SMS,inbound,hi,212 555 0100,,Kim,",
        "SMS,inbound,hi,,ME@example.com,,",
        "SMS,inbound,hi,,,,",
    ]
    parsed, warnings = parse("\n".join(rows).encode(), ".csv", US)
    assert [one.row.contact for one in parsed if one.row] == [
        Contact(phone="+12125550100", name="Kim"),
        Contact(email="me@example.com"),
        None,
    ]
    assert warnings == []


def test_an_object_names_a_contact() -> None:
    """In JSON, also with dotted keys, and with keys of its own that are not known."""
    contact = {"phone": "212 555 0100", "name": "Kim"}
    lines = jsonl(
        record(contactId=None, contact=contact),
        record(contactId=None, contact=contact | {"city": "Rome"}),
        record(contactId=None, **{f"contact.{key}": value for key, value in contact.items()}),
        record(contactId=None, contact={}),
    )
    parsed, warnings = parse(lines, ".jsonl", US)
    kim = Contact(phone="+12125550100", name="Kim")
    assert [one.row.contact for one in parsed if one.row] == [kim, kim, kim, None]
    assert warnings == ['field "contact.city" is not sent']


def test_what_is_wrong_with_a_contact_is_told_by_field() -> None:
    """The same in JSON and in CSV."""
    lines = jsonl(
        record(contact={"phone": "12345", "email": "me"}),
        record(contact="+12125550100"),
        record(contact={"phone": 2125550100}),
    )
    parsed, _ = parse(lines, ".jsonl", US)
    assert [[problem.field for problem in one.problems] for one in parsed] == [
        ["contact.phone", "contact.email"],
        ["contact"],
        ["contact.phone"],
    ]
    parsed, _ = parse(f"{HEADER}\nSMS,inbound,hi,12345,me,\n".encode(), ".csv", US)
    assert [problem.field for problem in parsed[0].problems] == ["contact.phone", "contact.email"]


def test_a_name_alone_finds_no_contact() -> None:
    """Unless an id says who it is."""
    kim = {"name": "Kim"}
    lines = jsonl(record(contactId=None, contact=kim), record(contact=kim))
    parsed, _ = parse(lines, ".jsonl")
    assert "; ".join(map(str, parsed[0].problems)) == (
        "contact.name stands alone: give contact.phone or contact.email, or --people FILE: names "
        "find no contact"
    )
    assert parsed[1].row is not None
    assert parsed[1].row.contact == Contact(name="Kim")


@pytest.mark.slow
def test_a_misspelt_column_of_a_contact_is_refused_only_where_it_is_needed() -> None:
    """A contact that is known by its id needs no name."""
    lines = jsonl(record(contactId=None, contact_phone="+12125550100"), record(contact_name="Kim"))
    parsed, warnings = parse(lines, ".jsonl")
    assert [problem.field for problem in parsed[0].problems] == ["contact.phone"]
    assert parsed[1].problems == ()
    assert warnings == ['field "contact_name" is not sent']
    _, warnings = parse(b"type,contactId,Contact Name,date\nSMS,c1,Kim,\n", ".csv")
    assert warnings == ['column "Contact Name" is not sent']
    with pytest.raises(SourceError, match=r'the field "contact.name"'):
        parse(b"type,contact.phone,Contact Name\nSMS,+12125550100,Kim\n", ".csv")


@pytest.mark.parametrize("mine", ["a@b.example", "The Shop <a@b.example>", "@b.example"])
@pytest.mark.parametrize("text", ["a@b.example", "Shop <A@b.example>"])
def test_an_address_of_the_owner_is_known_with_any_name_before_it(mine: str, text: str) -> None:
    """In a row as in ``--mine``; what is no address is a name as a whole."""
    contacts = Contacts("US", mine=[mine, "Kim <work>"])
    assert [contacts.is_own(name) for name in ("Kim <work>", "Lee <work>")] == [True, False]
    assert contacts.is_own(text)
    assert not contacts.is_own("mailto:kim@a.example>")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("contact", "package"),
    [
        ({"phone": "+12125550100"}, "phonenumbers"),
        ({"email": "me@example.com"}, "email-validator"),
    ],
)
def test_without_the_extra_the_error_says_which(
    contact: dict[str, str], package: str, tmp_path: Path
) -> None:
    """And a source that names no contact does without."""
    path = tmp_path / "history.jsonl"
    path.write_bytes(jsonl(record(), record(contactId=None, contact=contact)))
    code = (
        "import sys\n"
        "sys.modules['phonenumbers'] = sys.modules['email_validator'] = None\n"
        "from leadconnector_async.sources import open_source\n"
        "records = iter(open_source(sys.argv[1]))\n"
        "print(next(records).row.contact_id)\n"
        "try:\n    next(records)\n"
        "except Exception as error:\n    print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        cwd=Path(__file__).parents[4],
        capture_output=True,
        text=True,
        check=True,
    )
    first, error = run.stdout.splitlines()
    assert first == "c1"
    assert package in error
    assert "leadconnector-async[contacts]" in error
