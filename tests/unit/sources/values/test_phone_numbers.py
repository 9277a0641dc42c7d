from __future__ import annotations

import pytest
from bad_inputs import jsonl, parse, record

from leadconnector_async.leave_out import LEAVE_OUT
from leadconnector_async.models import Contact
from leadconnector_async.sources import SourceOptions
from leadconnector_async.sources.base import SettledContact
from leadconnector_async.sources.fields import WrongValueError, notice
from leadconnector_async.sources.values.contact_values import (
    _MAX_NAMED,
    MANY_NAMES,
    Contacts,
    read_number,
)
from leadconnector_async.sources.values.phone_numbers import people_in
from leadconnector_async.sources.values.phone_parsing import BY_CODE, EXTENSION, NAMED

US = SourceOptions(region="US")
HEADER = "type,direction,message,date,contact.phone,contact.email,contact.name\n"


def _refused(text: str, region: str | None, *, possible: bool = False) -> WrongValueError:
    with pytest.raises(WrongValueError) as caught:
        read_number(text, region, possible=possible)
    return caught.value


def _row(phone: str = "", email: str = "", name: str = "") -> str:
    return f'SMS,inbound,hi,2024-01-31T15:04:05Z,"{phone}","{email}","{name}"\n'


@pytest.mark.parametrize(
    "text",
    [
        "12125550142.0",
        "+12125550142.00",
        "1.2125550142E10",
        "12125550142@c.us",
        "12125550142@s.whatsapp.net",
        "12125550142:17@s.whatsapp.net",
        "tel:+1-212-555-0142",
        "whatsapp:+12125550142",
        "'+12125550142",
        '="2125550142"',
        "\u202a+1 (212) 555\u20110142\u202c",
        "+1\u00a0212\u200b555\u20600142",
        "٢١٢٥٥٥٠١٤٢",
        "２１２５５５０１４２",  # noqa: RUF001 - such digits are what is tested
        "1-212-555-0142",
        "011 1 212 555 0142",
        "001 212 555 0142",
        "Mobile: 212-555-0142",
        "212-555-0142 (mobile)",
        "(212) 555-0142 (Kim's cell)",
        "Kim <+12125550142>",
        "*67 212 555 0142",
        "sip:+12125550142@host.example;transport=udp",
        "<sips:12125550142@10.0.0.1>",
        "#31#+12125550142",
        "212 555 0142; (212) 555-0142",
    ],
)
def test_what_programs_put_around_a_number_is_taken_away(text: str) -> None:
    """What is left is one number, with no digit lost."""
    assert read_number(text, "US").e164 == "+12125550142"


@pytest.mark.parametrize(
    ("text", "region", "number", "notice"),
    [
        ("491701234567", "DE", "+491701234567", BY_CODE),
        ("436641234567", "AT", "+436641234567", None),
        ("0170 1234567", "DE", "+491701234567", None),
        ("0170/1234567", "DE", "+491701234567", None),
        ("1701234567", "DE", "+491701234567", None),
        ("00491701234567", "DE", "+491701234567", None),
        ("00442071234567", "US", "+442071234567", None),
        ("00442071234567", None, "+442071234567", None),
        ("011442071234567", "US", "+442071234567", None),
        ("+52 1 55 1234 5678", None, "+525512345678", None),
        ("5215512345678", "MX", "+525512345678", None),
        ("+52 55 1234 5678", None, "+525512345678", None),
        ("+54 9 11 2345-6789", None, "+5491123456789", None),
        ("321234", "GL", "+299321234", None),
        ("1-800-FLOWERS", "US", "+18003569377", None),
        ("+1 212 555 0142 ext. 7", None, "+12125550142", EXTENSION),
        ("+12125550142;ext=5", None, "+12125550142", EXTENSION),
        ("12125550142@c.us", None, "+12125550142", None),
    ],
)
def test_a_number_is_read_as_the_one_that_exists(
    text: str, region: str | None, number: str, notice: str | None
) -> None:
    """With or without its country code; what is not sure, or not kept, is told."""
    assert read_number(text, region) == (number, notice)


@pytest.mark.parametrize("possible", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        "0000000000",
        "000-000-0000",
        "1234567890",
        "(123) 456-7890",
        "9876543210",
        "2345678901",
        "1111111111",
        "9999999999",
        "8888888888",
        "+10000000000",
        "+1 999 999 9999",
        "+11234567890",
        "+441234567890",
        "12345678901@c.us",
        "0000000",
    ],
)
def test_a_placeholder_is_never_taken(text: str, possible: bool) -> None:  # noqa: FBT001 - a case
    """Strangers would read each other's messages, whatever is said to be a number."""
    error = _refused(text, "US", possible=possible)
    assert "is a placeholder" in error.wrong
    assert error.kind is None


@pytest.mark.parametrize(
    ("text", "region", "said", "possible"),
    [
        ("5551234567", "US", "is no valid telephone number", "+15551234567"),
        ("+441632960001", None, "is no valid telephone number", "+441632960001"),
        ("1212555011", "US", "lacks a digit, or the + before its country code", None),
        ("447700900123", "US", "is no possible telephone number", None),
        ("555-0142", "US", "lacks its area code", None),
        ("390612345", "IT", "is a number with its country code, and another one", None),
        ("1.3E+10", "US", "has lost digits in a spreadsheet", None),
        ("1,30356E+10", "US", "has lost digits in a spreadsheet", None),
        ("?", "US", "is no telephone number", None),
    ],
)
def test_a_number_that_nobody_has_is_refused(
    text: str, region: str | None, said: str, possible: str | None
) -> None:
    """``possible`` takes those of a right length, and is offered for no others."""
    error = _refused(text, region)
    assert said in error.wrong
    assert text not in f"{error.wrong} {error.fix}"
    assert ("--numbers possible" in error.fix) == (possible is not None)
    if possible is None:
        assert _refused(text, region, possible=True).wrong == error.wrong
    else:
        assert read_number(text, region, possible=True).e164 == possible


@pytest.mark.parametrize(
    "text",
    [
        "2125550142;2125550143",
        "+12125550142~+12125550143",
        "2125550142, 2125550143",
        "(212) 555-0142 / (212) 555-0143",
        "2125550142 & 2125550143",
        "2125550142|2125550143",
        "2125550142\n2125550143",
        "2125550142 or 2125550143",
        "+12125550142 +12125550143",
        "2125550142/43",
        "12125550142@c.us;12125550143@c.us",
    ],
)
def test_several_numbers_are_several_people(text: str) -> None:
    """Never the first of them."""
    error = _refused(text, "US")
    assert error.wrong == "names several people"
    assert error.kind == "groups"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("22000", "short-codes"),
        ("729-755", "short-codes"),
        ("3457", "short-codes"),
        ("227", "short-codes"),
        ("+72975", "short-codes"),
        ("AMAZON", "names"),
        ("DM-HDFCBK", "names"),
        ("VM-620016", "names"),
        ("JD-9212345678", "names"),
        ("#CMAS#Alert", "names"),
        ("Susie Glow", "names"),
        ("kim@example.com", "names"),
        ("fnug63lf@rcs.google.com", "names"),
        ("", "withheld"),
        ("-1", "withheld"),
        ("-2", "withheld"),
        ("-3", "withheld"),
        ("Unknown", "withheld"),
        ("(Private)", "withheld"),
        ("ANONYMOUS", "withheld"),
        ("Restricted", "withheld"),
        ("No Caller ID", "withheld"),
        ("+266696687", "withheld"),
        ("+7378742833", "withheld"),
        ("911", "service-numbers"),
        ("112", "service-numbers"),
        ("611", "service-numbers"),
        ("*86", "service-numbers"),
        ("#31#", "service-numbers"),
        ("12036304@g.us", "groups"),
    ],
)
def test_what_is_no_number_says_what_it_is(text: str, kind: str) -> None:
    """So that all of its kind can be left out, as the reason says."""
    error = _refused(text, "US")
    assert error.kind == kind
    assert f"--leave-out {kind}" in error.fix


def test_a_kind_is_left_out_where_its_owner_says_so() -> None:
    """The others stay refused."""
    rows = HEADER + _row("22000") + _row("AMAZON") + _row("2125550142; 2125550143")
    options = SourceOptions(region="US", leave_out=frozenset(["short-codes", "groups"]))
    parsed, _ = parse(rows.encode(), ".csv", options)
    assert [one.left_out for one in parsed] == [
        LEAVE_OUT["short-codes"],
        None,
        LEAVE_OUT["groups"],
    ]
    assert [len(one.problems) for one in parsed] == [0, 1, 0]


def test_a_text_in_the_wrong_column_is_no_name() -> None:
    """It would be left out with the senders that are; so would a person who was not found."""
    assert _refused("#N/A", "US").kind is _refused("#REF!", "US").kind is None
    assert _refused("hello there, are you open on Sunday at all? Yours, Kim", "US").kind is None


def test_numbers_of_several_people_are_taken_apart() -> None:
    """One number stays one, whatever is in it."""
    assert people_in("+12125550142~12125550143;555") == ["+12125550142", "12125550143", "555"]
    assert people_in("~") == ["~"]
    assert people_in("212/555-0142") == ["212/555-0142"]
    assert people_in("tel:555-0142;phone-context=+1-212") == ["tel:555-0142;phone-context=+1-212"]


def test_possible_numbers_are_an_option_of_the_source() -> None:
    """It is the whole file's."""
    rows = (HEADER + _row("5551234567")).encode()
    options = SourceOptions(region="US", numbers="possible")
    (taken,), _ = parse(rows, ".csv", options)
    assert taken.row is not None
    assert taken.row.contact == Contact(phone="+15551234567")
    (refused,), _ = parse(rows, ".csv", US)
    assert refused.problems[0].field == "contact.phone"


def test_what_is_not_kept_of_a_number_is_told_of_its_record() -> None:
    """In tables and in JSON, also where the number was read before."""
    number = "+1 212 555 0142 ext. 7"
    parsed, _ = parse((HEADER + _row(number) * 2 + _row("+12125550142")).encode(), ".csv", US)
    assert [one.notices for one in parsed] == [(EXTENSION,), (EXTENSION,), ()]
    line = jsonl(record(contactId=None, contact={"phone": number}))
    parsed, _ = parse(line * 2, ".jsonl", US)
    assert [one.notices for one in parsed] == [(EXTENSION,), (EXTENSION,)]
    (named,), _ = parse((HEADER + _row("Kim: 212 555 0142")).encode(), ".csv", US)
    assert named.notices == (NAMED,)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_number_of_many_names_is_told(suffix: str) -> None:
    """From the third name on; another order or case of a name makes no other name."""
    names = ["Ann Lee", "LEE, ANN", "Bob Ray", "ann lee", "Cy Day", "Ann Lee"]
    if suffix == ".csv":
        rows = (_row("2125550142", name=name) for name in names)
        content = (HEADER + "".join(rows)).encode()
    else:
        contacts = [{"phone": "2125550142", "name": name} for name in names]
        content = jsonl(*(record(contactId=None, contact=contact) for contact in contacts))
    parsed, _ = parse(content, suffix, US)
    assert all(one.row for one in parsed)
    assert [MANY_NAMES in one.notices for one in parsed] == [False] * 4 + [True] * 2


def test_an_address_of_many_numbers_is_told() -> None:
    """From the third number on: it may be that of whoever wrote to all."""
    numbers = ["2125550142", "(212) 555-0142", "2125550143", "2125550144"]
    people = [{"phone": number, "email": "a@example.com"} for number in numbers]
    content = jsonl(*(record(contactId=None, contact=one) for one in people))
    parsed, _ = parse(content, ".jsonl", US)
    assert [notice("many_numbers") in one.notices for one in parsed] == [False] * 3 + [True]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_mails_of_one_office_are_with_their_addresses(suffix: str) -> None:
    """Its number made all who wrote from there one contact. What tells records apart stays so."""
    addresses = ["a@example.com", "b@example.com", "a@example.com"]
    people = [{"phone": "+12125550142", "email": address} for address in addresses]
    mails = {"type": "Email", "contactId": None, "subject": "hi"}
    content = jsonl(*(record(contact=one, **mails) for one in people))
    if suffix == ".csv":
        rows = "".join(
            f"Email,inbound,2024-01-31T09:30:00Z,hi,+12125550142,{address}\n"
            for address in addresses
        )
        content = f"type,direction,date,message,contact.phone,contact.email\n{rows}".encode()
    parsed, _ = parse(content, suffix, US)
    found = [one.row.contact for one in parsed if one.row]
    assert [one and (one.phone, one.email) for one in found] == [
        ("+12125550142", "a@example.com"),
        (None, "b@example.com"),
        ("+12125550142", "a@example.com"),
    ]
    assert isinstance(found[1], SettledContact)
    assert found[1].said == "+12125550142"
    assert [notice("many_mails") in one.notices for one in parsed] == [False, True, False]


@pytest.mark.slow
def test_names_of_numbers_take_a_bounded_memory() -> None:
    """Of a file of any length; the latest are remembered."""
    contacts = Contacts("US", notice=print)
    for number in range(20_000):
        contacts.noted(Contact(phone=f"+1{number}", name=f"Name {number}"), "SMS")
    assert len(contacts._names) == _MAX_NAMED
    assert "+119999" in contacts._names


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Kim Lee <Kim@example.com>", "kim@example.com"),
        ('"Lee, Kim" <kim@example.com>', "kim@example.com"),
        ("<kim@example.com>", "kim@example.com"),
        ("mailto:kim@example.com", "kim@example.com"),
        ("kim@example.com <kim@example.com>", "kim@example.com"),
    ],
)
def test_an_address_is_taken_out_of_what_stands_around_it(text: str, address: str) -> None:
    """As mail programs write it."""
    assert Contacts(None).email(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "a@example.com; b@example.com",
        "a@example.com,b@example.com",
        "a@example.com b@example.com",
        "Ann <a@example.com>, Bob <b@example.com>",
    ],
)
def test_several_addresses_are_several_people(text: str) -> None:
    """Never the first of them."""
    with pytest.raises(WrongValueError) as caught:
        Contacts(None).email(text)
    assert caught.value.wrong == "names several people"
    assert caught.value.kind == "groups"
