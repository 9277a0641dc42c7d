"""The examples that mappings hold, and the vendors' JSON that is read by them."""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING

import pytest
from cli_harness import leadconnector

from leadconnector_async.cli.commands.inspect import guess
from leadconnector_async.cli.commands.mapping import differences
from leadconnector_async.errors import SourceError
from leadconnector_async.sources import SourceOptions, open_source
from leadconnector_async.sources.mappings.mapping_files import NAMES, load_examples, load_mapping

if TYPE_CHECKING:
    from pathlib import Path

JSON = [
    (name, number)
    for name in NAMES
    if name != "generic"
    for number, example in enumerate(load_examples(name))
    if example.given.lstrip().startswith("{")
]


@pytest.mark.parametrize("name", NAMES)
def test_every_mapping_that_ships_agrees_with_its_examples(name: str) -> None:
    """And has some; between them they show a record of either direction, with its person."""
    if load_mapping(name).is_html:
        pytest.importorskip("selectolax")
    count, told = differences(name)
    assert count
    assert told == []
    made = [record for example in load_examples(name) for record in example.makes]
    directions = {record.get("direction") for record in made}
    assert {"inbound", "outbound"} <= directions
    assert all("date" in record for record in made if "type" in record)


@pytest.mark.parametrize(("name", "number"), JSON)
@pytest.mark.parametrize("packed", [False, True])
def test_a_vendors_json_is_recognised_by_its_content(
    tmp_path: Path, name: str, number: int, *, packed: bool
) -> None:
    """Without a mapping, packed or not, in UTF-16 too, and under any name."""
    example = load_examples(name)[number]
    data = example.given.lstrip().encode("utf-16" if packed else "utf-8")
    path = tmp_path / name / "export"  # of two systems the path alone tells which it is
    path.parent.mkdir()
    path.write_bytes(gzip.compress(data) if packed else data)
    options = SourceOptions(mine=tuple(example.mine))
    with open_source(str(path), options) as source:
        found = list(source)
    assert [one.left_out for one in found] == [record.get("left_out") for record in example.makes]
    dates = [one.row and one.row.date for one in found]
    assert dates == [record.get("date") for record in example.makes]
    assert guess(str(path), options).mapping_file == name
    assert f"those of --mapping {name}: read by it" in source.warnings[0]


def _mapping(
    path: Path, makes: str, given: str = '{"No": "1", "Kind": "IN", "When": "1700000000"}'
) -> str:
    path.write_text(
        f"""
[fields]
id = "No"
type = {{ constant = "SMS" }}
direction = {{ column = "Kind", words = {{ IN = "inbound" }} }}
date = {{ column = "When", formats = ["epoch"] }}

[[examples]]
given = '''{given}'''
makes = {makes}
""",
        "utf-8",
    )
    return str(path)


GOOD = '{ id = "1", type = "SMS", direction = "inbound", date = 2023-11-14T22:13:20Z }'


def test_a_mapping_of_ones_own_is_tested(tmp_path: Path) -> None:
    """If all agree, the exit status is 0."""
    run = leadconnector("mapping", "test", _mapping(tmp_path / "till.toml", f"[{GOOD}]"))
    assert (run.exit_code, run.stderr) == (0, "")
    assert run.stdout.rstrip().endswith("till.toml: 1 example agrees")


@pytest.mark.parametrize(
    ("makes", "told"),
    [
        ("[{ id = '2', type = 'SMS', direction = 'inbound', date = 2023-11-14T22:13:20Z }]",
         'example 1: record 1: id is "1", and should be "2"'),
        (f"[{GOOD[:-1]}, contact.phone = '+1' }}]",
         'record 1: contact.phone is nothing, and should be "+1"'),
        ("[]", "example 1: makes 1 records, not 0"),
        ("[{ left_out = 'drafts' }]", 'record 1: left_out is nothing, and should be "drafts"'),
    ],
)  # fmt: skip
def test_each_difference_is_named_by_its_field(tmp_path: Path, makes: str, told: str) -> None:
    """With its example and its record; the exit status is 1."""
    run = leadconnector("mapping", "test", _mapping(tmp_path / "till.toml", makes))
    assert run.exit_code == 1
    assert told in re.sub(r"\s+", " ", run.stderr)


def test_a_mapping_without_examples_shows_nothing(tmp_path: Path) -> None:
    """Nor does one whose examples are wrong themselves."""
    path = tmp_path / "till.toml"
    path.write_text('[fields]\ntype = { constant = "SMS" }\n', "utf-8")
    run = leadconnector("mapping", "test", path)
    assert run.exit_code == 1
    assert "holds no example: add [[examples]]" in run.stderr
    path.write_text(path.read_text("utf-8") + '[[examples]]\ngiven = "x"\n', "utf-8")
    run = leadconnector("mapping", "test", path)
    assert run.exit_code == 1
    assert "missing required field `makes`" in run.stderr
    run = leadconnector("mapping", "test", _mapping(path, f"[{GOOD}]", given=""))
    assert run.exit_code == 1
    assert "example 1: it: is empty" in run.stderr


PAGE = load_examples("quo-messages")[0].given


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("quo-messages", "", "is empty: name a file with records"),
        ("ringcentral-messages", PAGE, "which the mapping requires"),
        ("quo-messages", '{"data": [{"who": 1, "what": 2}]}', "which the mapping requires"),
        ("sms-backup-restore", '{"data": [{"who": 1, "what": 2}]}', "--mapping is for XML"),
    ],
)
def test_what_is_no_file_of_the_mapping_says_so(
    tmp_path: Path, name: str, given: str, says: str
) -> None:
    """An empty file, or another vendor's: it is refused, or read by what it is, and told."""
    path = tmp_path / "page.json"
    path.write_text(given, "utf-8")
    try:
        with open_source(str(path), SourceOptions(mapping_file=name)) as source:
            list(source)
        told = source.warnings[0]
    except SourceError as error:
        told = str(error)
        assert told.startswith(f"{path}: ")
    assert says in told


def test_a_page_that_is_cut_short_is_told_with_its_line(tmp_path: Path) -> None:
    """What came before the cut is read."""
    path = tmp_path / "page.json"
    path.write_text(PAGE[: PAGE.index('"id": "AC3"')], "utf-8")
    with open_source(str(path)) as source:
        *good, last = source
    assert [one.row and one.row.id for one in good] == ["AC1", "AC2"]
    assert [(one.field, one.wrong) for one in last.problems] == [
        ("file", "ends in the middle of its JSON (line 9)")
    ]


def test_a_list_that_the_mapping_names_has_to_be_there(tmp_path: Path) -> None:
    """Else nothing would be read, and nothing said. An empty one is no fault."""
    path, own = tmp_path / "page.json", tmp_path / "own.toml"
    own.write_text('records = "data[*]"\n[fields]\ntype = { constant = "SMS" }\n', "utf-8")
    options = SourceOptions(mapping_file=str(own), undated="now")
    path.write_text('{"id": "1"}\n{"id": "2"}\n', "utf-8")
    with open_source(str(path), options) as source:
        (parsed,) = source
    assert parsed.problems[0].wrong.startswith("has no list data[*], which the mapping names")
    for given, count in (('{"data": []}', 0), ('{"data": [{"id": "1"}]}', 1)):
        path.write_text(given, "utf-8")
        with open_source(str(path), options) as source:
            assert [one.row is None for one in source] == [False] * count


def test_a_group_is_refused_or_left_out_and_never_sent_to_one_of_it(tmp_path: Path) -> None:
    """Which of the numbers is the owner's, --mine says; nobody else is dropped."""
    path = tmp_path / "page.json"
    path.write_text(PAGE, "utf-8")
    seen = {}
    for name, options in {
        "none": SourceOptions(),
        "mine": SourceOptions(mine=("+1 303 555 0143",)),
        "left out": SourceOptions(leave_out=frozenset(["groups"])),
    }.items():
        with open_source(str(path), options) as source:
            seen[name] = list(source)[2]
    (problem,) = seen["none"].problems
    assert (problem.field, problem.wrong) == ("contact.phone", "names several people")
    assert "give --mine with your own number" in problem.fix
    row = seen["mine"].row
    assert row is not None
    assert row.contact is not None
    assert row.contact.phone == "+13035550142"
    assert seen["left out"].left_out is not None
