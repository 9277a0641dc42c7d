from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Contact, Problem
from leadconnector_async.sources import SourceOptions, open_source, read_people
from leadconnector_async.sources.base import SettledContact

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.sources.people import People

CARDS = b"""BEGIN:VCARD
VERSION:2.1
N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;J=C3=B6rg;;;
FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:J=C3=B6rg =
M=C3=BCller
TEL;CELL:+49 1512 3456789
TEL;HOME;PREF:+49 30 901820
PHOTO;ENCODING=BASE64;JPEG:/9j/4AAQSkZJRgABAQAAAQABAAD
 /2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsK

END:VCARD
BEGIN:VCARD\r
VERSION:3.0\r
N:Lee;Ann;;;\r
item1.TEL;type=CELL;type=pref:(212) 555-0100\r
item2.EMAIL;type=INTERNET:Ann@Example.org\r
END:VCARD\r
BEGIN:VCARD
VERSION:4.0
FN:Kim
TEL;VALUE=uri;PREF=1;TYPE="voice,home":tel:+1-212-555-0101
END:VCARD
BEGIN:VCARD
TEL
END:VCARD
BEGIN:VCARD
FN:Nobody
END:VCARD
"""
GOOGLE = b"""First Name,Middle Name,Last Name,Organization Name,E-mail 1 - Label,E-mail 1 - Value,\
Phone 1 - Label,Phone 1 - Value,Phone 2 - Label,Phone 2 - Value
Ann,M.,Lee,,* Home,ann@example.org,Mobile,(212) 555-0100 ::: +1 212 555 0103,Work,+16465550101
,,,Spoke Shop,,,Work,+1 646 555 0109,,
"""
OLD_GOOGLE = b"""Name,Given Name,Family Name,E-mail 1 - Type,E-mail 1 - Value,Phone 1 - Type,\
Phone 1 - Value
Ann Lee,Ann,Lee,*,ann@example.org,Mobile,+12125550100
"""
HIGHLEVEL = b"""Contact Id,First Name,Last Name,Business Name,Phone,Email,Created,Tags,\
Additional Emails,Additional Phones
x1,Ann,Lee,,+12125550100,ann@example.org,2024-01-01,vip,"a@example.org, b@example.org",+12125550103
"""


def people(path: Path, content: bytes) -> People:
    """Read a file of people."""
    path.write_bytes(content)
    return read_people([str(path)], SourceOptions(region="US"))


def told(found: People) -> dict[str, tuple[str, ...]]:
    """Numbers and addresses by name."""
    return {person.name: person.handles for person in found.everybody}


def test_cards_of_every_version_are_read(tmp_path: Path) -> None:
    """Quoted-printable, Apple's groups and URIs; what is damaged is named by its line."""
    found = people(tmp_path / "a.vcf", CARDS)
    assert told(found) == {
        "Jörg Müller": ("+4915123456789", "+4930901820"),
        "Ann Lee": ("+12125550100", "ann@example.org"),
        "Kim": ("+12125550101",),
    }
    damaged, empty = (warning.rpartition("a.vcf: ")[2] for warning in found.warnings)
    assert damaged == "1 cards that are damaged: not read: line 23"
    assert empty.endswith("without a number and an address: not read: line 26")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            GOOGLE,
            {
                "Ann M. Lee": (
                    *("+12125550100", "+12125550103", "+16465550101"),
                    "ann@example.org",
                ),
                "Spoke Shop": ("+16465550109",),
            },
        ),
        (OLD_GOOGLE, {"Ann Lee": ("+12125550100", "ann@example.org")}),
        (
            HIGHLEVEL,
            {
                "Ann Lee": (
                    *("+12125550100", "+12125550103"),
                    *("ann@example.org", "a@example.org", "b@example.org"),
                )
            },
        ),
        (
            b"Ann Lee;(212) 555-0100\nAnn Lee;ann@example.org\n\nKim;x\n",
            {"Ann Lee": ("+12125550100", "ann@example.org")},
        ),
        (
            b"(212) 555-0100,Ann Lee\nann@example.org,Ann Lee\n",
            {"Ann Lee": ("+12125550100", "ann@example.org")},
        ),
        (
            "\ufeffWho,Where\nAnn Lee,+12125550100\n".encode("utf-16"),
            {"Ann Lee": ("+12125550100",)},
        ),
    ],
    ids=["google", "google-2023", "highlevel", "two", "two-turned", "utf-16"],
)
def test_tables_of_people_are_read(
    content: bytes, expected: dict[str, tuple[str, ...]], tmp_path: Path
) -> None:
    """By their headers; two columns need none, and add up what one name has."""
    assert told(people(tmp_path / "a.csv", content)) == expected


@pytest.mark.parametrize("between", [" / ", "/", " & ", " or ", "; "])
def test_several_numbers_in_one_cell_are_those_of_one_person(tmp_path: Path, between: str) -> None:
    """However they are joined."""
    found = people(
        tmp_path / "a.csv", f"Name,Phone\nKim,(212) 555-0100{between}212-555-0103\n".encode()
    )
    assert told(found) == {"Kim": ("+12125550100", "+12125550103")}


def test_what_is_no_file_of_people_says_what_it_has_to_be(tmp_path: Path) -> None:
    """And one that is not there is no empty one."""
    with pytest.raises(SourceError, match="is no vCard, and no table of people"):
        people(tmp_path / "a.csv", b"type,message,date\n")
    with pytest.raises(SourceError, match="no such file"):
        read_people([str(tmp_path / "gone")])


def test_who_cannot_be_told_apart_is_never_guessed(tmp_path: Path) -> None:
    """Of one name with a number in common somebody is one person, else two."""
    found = people(
        tmp_path / "a.csv",
        b"Name,Phone,Phone 2\nAnn,+12125550100,+12125550101\nann ,+12125550101,+12125550102\n"
        b"Bob,+12125550103,\nBob,+12125550104,\nMum,+12125550105,+12125550106\n"
        b"Eve,+12125550105,\n",
    )
    ann = SettledContact(phone="+12125550100", name="Ann", said="+12125550102")
    assert found.settle(Contact(phone="+12125550102")) == ann
    assert found.settle(Contact(name="  ANN")) == SettledContact(
        phone="+12125550100", name="  ANN", said="ann"
    )
    shared = Contact(phone="+12125550105", name="X")
    assert found.settle(shared) is shared
    for name, wrong in {"Bob": "names several people", "Zed": "is not there"}.items():
        problem = found.settle(Contact(name=name))
        assert isinstance(problem, Problem)
        assert problem.wrong == f'"{name}" {wrong} in --people'
    assert [some[0].name for some in found.by_name.values() if len(some) > 1] == ["Bob"]
    assert [key for key, some in found.by_handle.items() if len(some) > 1] == ["+12125550105"]


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_records_that_know_a_name_alone_find_its_number(ending: str, tmp_path: Path) -> None:
    """All numbers of a person are one contact; ids go before; who is missing is a problem."""
    book = people(tmp_path / "p.csv", b"Ann Lee,+12125550100\nAnn Lee,+12125550101\n")
    rows = {
        "csv": b"type,contact.name,contact.phone,contactId,direction,date,message\n"
        b"SMS,Ann Lee,,,inbound,2024-03-01T10:00:00Z,1\n"
        b"SMS,,+12125550101,,inbound,2024-03-01T10:00:00Z,2\n"
        b"SMS,Zed,,,inbound,2024-03-01T10:00:00Z,3\n"
        b"SMS,Zed,,c1,inbound,2024-03-01T10:00:00Z,4\n",
        "jsonl": b'{"type":"SMS","direction":"inbound","date":"2024-03-01T10:00:00Z","message":"1",'
        b'"contact":{"name":"Ann Lee"}}\n'
        b'{"type":"SMS","direction":"inbound","date":"2024-03-01T10:00:00Z","message":"2",'
        b'"contact":{"phone":"+12125550101"}}\n'
        b'{"type":"SMS","direction":"inbound","date":"2024-03-01T10:00:00Z","message":"3",'
        b'"contact":{"name":"Zed"}}\n'
        b'{"type":"SMS","direction":"inbound","date":"2024-03-01T10:00:00Z","message":"4",'
        b'"contact":{"name":"Zed"},"contactId":"c1"}\n',
    }
    path = tmp_path / f"a.{ending}"
    path.write_bytes(rows[ending])
    with open_source(str(path), SourceOptions(region="US", people=book)) as source:
        one, two, three, four = (parsed.row and parsed.row.contact for parsed in source)
    assert isinstance(one, SettledContact)
    assert isinstance(two, SettledContact)
    assert (one.key, two.key) == ("+12125550100", "+12125550100")
    assert (one.said, two.said) == ("ann lee", "+12125550101")
    assert three is None
    assert four == Contact(name="Zed")


def test_a_name_in_the_place_of_a_number_is_looked_up(tmp_path: Path) -> None:
    """Of tables whose From and To are names; the senders that nobody knows stay such."""
    book = people(
        tmp_path / "p.csv", b"Name,Phone\nAnn Lee,+12125550100\n+12125550101,+12125550102\n"
    )
    path = tmp_path / "a.csv"
    path.write_bytes(
        b"Type,From,To,Direction,Date,Message\n"
        b"SMS,Ann Lee,+13035550100,inbound,2024-03-01T10:00:00Z,1\n"
        b"SMS,+13035550100,Ann Lee,outbound,2024-03-01T10:00:00Z,2\n"
        b"SMS,ACME,+13035550100,inbound,2024-03-01T10:00:00Z,3\n"
        b"SMS,+12125550101,+13035550100,inbound,2024-03-01T10:00:00Z,4\n"
    )
    given = SourceOptions(people=book, mapping_file="generic", mine=("+13035550100",))
    with open_source(path, given) as source:
        one, two, three, four = source
    assert four.row is not None
    assert four.row.contact == Contact(phone="+12125550101")  # is one, though a name of another
    for parsed in (one, two):
        assert parsed.row is not None
        assert isinstance(parsed.row.contact, SettledContact)
        assert parsed.row.contact.phone == "+12125550100"
    assert "is a name, and no telephone number" in str(three.problems[0])
    with open_source(path, replace(given, leave_out=frozenset({"names"}))) as source:
        assert [parsed.row is not None for parsed in source] == [True, True, False, True]
    with open_source(path, replace(given, people=None)) as source:
        assert "give --people FILE" in str(next(iter(source)).problems[0])


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_another_systems_id_beside_a_name_stands_in_nobodys_way(
    ending: str, tmp_path: Path
) -> None:
    """The name says who it is, as without the id: all such records were refused for the id."""
    book = people(tmp_path / "p.csv", b"Ann Lee,+12125550100\n")
    path = tmp_path / f"a.{ending}"
    path.write_bytes(
        b"type,contact.name,contactId,direction,date,message,ticket\n"
        b"SMS,Ann Lee,7,inbound,2024-03-01T10:00:00Z,1,5\n"
        if ending == "csv"
        else b'{"type":"SMS","contact":{"name":"Ann Lee"},"contactId":"7","text":"1",'
        b'"direction":"inbound","date":"2024-03-01T10:00:00Z","message":"1","ticket":5,"agent":6}\n'
    )
    given = "generic" if ending == "csv" else None
    with open_source(path, SourceOptions(people=book, mapping_file=given)) as source:
        (parsed,) = source
    assert parsed.row is not None
    assert isinstance(parsed.row.contact, SettledContact)
