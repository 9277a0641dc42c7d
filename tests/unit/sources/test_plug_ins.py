"""Sources that other packages bring, and folders of mappings."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from cli_harness import leadconnector, result_of

from leadconnector_async import SourceError
from leadconnector_async.sources import Parsed, SourceOptions, open_source
from leadconnector_async.sources.mappings.mapping_files import recognised

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PACKAGE = '''
"""Reads the notes of a till: a line each, NUMBER TEXT."""

from decimal import Decimal
from pathlib import Path

from leadconnector_async import SourceError
from leadconnector_async.sources import Parsed, SourceRow


def notes(path, options):
    lines = Path(path).read_text().splitlines()
    if lines[:1] != ["TILL"]:
        return None
    if lines[1:2] == ["LOCKED"]:
        raise SourceError(f"{path}: is locked: unlock it")
    return records(lines[1:])


def records(lines):
    for number, line in enumerate(lines):
        who, text = line.split(" ", 1)
        yield {
            "id": str(number),
            "type": "SMS",
            "direction": "inbound",
            "date": "2024-03-29T15:06:41Z",
            "contact": {"phone": who},
            "message": text,
        }


class Whole:
    """A source of its own."""

    form, bytes_read, size = b'{"format":"jsonl"}', 0, None

    def __init__(self, path):
        self.name, self.warnings = path, ["is a till of old"]

    def __iter__(self):
        yield Parsed(1, b"{}", SourceRow(id="w", type="SMS"), ())
        raise KeyError("secret")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def whole(path, options):
    return Whole(path) if Path(path).suffix == ".whole" else None


def raw(path, options):
    row = next(records(["+13035550142 Hi"])) | {"message": Decimal("5.10")}
    return [row] if path.endswith(".good") else [row, row | {"message": b"secret"}]


def broken(path, options):
    raise ZeroDivisionError("secret")
'''


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Install a package with these entry points, as pip leaves it behind."""

    def installed(**points: str) -> None:
        site = tmp_path / f"site{len(sys.path)}"
        info = site / "till_notes-1.0.dist-info"
        info.mkdir(parents=True)
        (site / "till_notes.py").write_text(PACKAGE)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: till-notes\nVersion: 1.0\n")
        lines = [f"{name} = {value}" for name, value in points.items()]
        text = "\n".join(["[leadconnector_async.sources]", *lines])
        (info / "entry_points.txt").write_text(text + "\n")
        monkeypatch.syspath_prepend(str(site))

    monkeypatch.delitem(sys.modules, "till_notes", raising=False)
    return installed


def read(path: Path, **options: Any) -> tuple[list[Parsed], list[str]]:  # noqa: ANN401 - as they are
    """All records, and what is told of the source."""
    with open_source(str(path), SourceOptions(**options)) as source:
        return list(source), source.warnings


@pytest.mark.slow
def test_a_package_brings_a_source(install: Callable[..., None], tmp_path: Path) -> None:
    """Its files are recognised by it, read with all options, and imported like any other."""
    install(till="till_notes:notes")
    notes = tmp_path / "notes.csv"
    notes.write_text("TILL\n(303) 555-0142 Are you open?\n+13035550163 Hi\n12 Bad\n")
    notes.write_text(notes.read_text().replace("(303) 555-0142", "303-555-0142"))
    for options in ({}, {"format": "till"}):
        found, warnings = read(notes, region="US", **options)
        assert [one.row and one.row.contact and one.row.contact.phone for one in found] == [
            *("+13035550142", "+13035550163", None)
        ]
        assert not warnings
    words = ["--sandbox", "--outbox", tmp_path / "o.db", "--location", "x", "--region", "US"]
    done = leadconnector("import", notes, *words, "--json", "--format", "till")
    result = result_of(done.stdout)
    assert (done.exit_code, result["sent"], result["failed"]) == (3, 2, 1)
    failed = tmp_path / "failed.jsonl"
    leadconnector("failed", "--outbox", tmp_path / "o.db", "-o", failed)
    failed.write_text(failed.read_text().replace('"12"', '"+13035550177"'))
    assert result_of(leadconnector("import", failed, *words, "--json").stdout)["sent"] == 1


def test_other_files_are_read_as_ever(install: Callable[..., None], tmp_path: Path) -> None:
    """A plug-in that knows nothing of a file gives None; asked for by name, that is an error."""
    install(till="till_notes:notes")
    table = tmp_path / "t.csv"
    table.write_text(
        "type,direction,date,message,contactId\nSMS,inbound,2024-01-01T00:00:00Z,hi,c\n"
    )
    found, warnings = read(table)
    assert (len(found), warnings) == (1, [])
    assert read(table, format="csv")[0] == found
    with pytest.raises(SourceError, match="is not read by the plug-in till"):
        read(table, format="till")


def test_a_source_of_its_own_is_taken_as_it_is(
    install: Callable[..., None], tmp_path: Path
) -> None:
    """What goes wrong while it reads is told with the plug-in's name, and shows no content."""
    install(whole="till_notes:whole")
    path = tmp_path / "a.whole"
    path.write_text("x")
    with open_source(str(path)) as source:
        records = iter(source)
        first = next(records)
        assert first.row is not None
        assert (first.row.id, source.warnings) == ("w", ["is a till of old"])
        with pytest.raises(
            SourceError, match=r"whole of till-notes .*after 1 records \(KeyError\)"
        ) as error:
            next(records)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("till_notes:broken", "ZeroDivisionError"),
        ("till_notes:nothing", "AttributeError"),
        ("no_such_module:notes", "ModuleNotFoundError"),
    ],
)
def test_a_broken_plug_in_is_told(
    install: Callable[..., None], tmp_path: Path, value: str, why: str
) -> None:
    """With each file that it was not asked about; asked for by name, nothing is read."""
    install(bad=value, csv="till_notes:notes", till="till_notes:notes")
    notes = tmp_path / "notes.txt"
    notes.write_text("TILL\n+13035550142 Hi\n")
    found, warnings = read(notes)
    assert len(found) == 1
    assert [one for one in warnings if "bad of till-notes" in one and why in one]
    assert [one for one in warnings if "csv of till-notes" in one and "comes with" in one]
    with pytest.raises(SourceError, match=f"plug-in bad .*{why}") as error:
        read(notes, format="bad")
    assert "secret" not in str(error.value)


def test_records_that_break_off_end_with_an_error(
    install: Callable[..., None], tmp_path: Path
) -> None:
    """Which names the plug-in, not the content. A plug-in's own words stay as they are."""
    install(till="till_notes:notes")
    notes = tmp_path / "notes.txt"
    notes.write_text("TILL\n+13035550142 Hi\nsecret\n")
    with pytest.raises(SourceError, match=r"till .*after 1 records \(ValueError\)") as error:
        read(notes)
    assert "secret" not in str(error.value)
    notes.write_text("TILL\nLOCKED\n")
    with pytest.raises(SourceError, match="is locked: unlock it"):
        read(notes)


def test_values_that_no_text_stands_for_are_not_made_one(
    install: Callable[..., None], tmp_path: Path
) -> None:
    """Such as bytes of a database: the contact would get them as Python writes them."""
    install(raw="till_notes:raw")
    (first,) = read(tmp_path / "any.good")[0]
    assert first.row is not None
    assert first.row.message == "5.10"
    with pytest.raises(SourceError, match=r"raw .*after 1 records"):
        read(tmp_path / "any.bad")


def test_a_format_that_is_none_is_refused(install: Callable[..., None], tmp_path: Path) -> None:
    """With the formats, and the plug-ins that are installed."""
    install(till="till_notes:notes")
    done = leadconnector("validate", tmp_path / "x", "--format", "tils")
    assert done.exit_code == 2
    assert "singer" in done.stderr
    assert '"till"' in done.stderr
    with pytest.raises(SourceError, match="no such format, and no such plug-in"):
        read(tmp_path / "x", format="tils")


TILL = """
requires = ["Kind", "Their number"]
[fields]
type = { constant = "SMS" }
direction = { column = "Kind", words = { IN = "inbound" } }
date = "When"
contact.phone = "Their number"
message = "Text"
"""


def test_mappings_in_a_folder_are_like_those_of_the_library(tmp_path: Path) -> None:
    """Recognised by their columns, or named without path and ending."""
    folder = tmp_path / "mappings"
    folder.mkdir()
    (folder / "till.toml").write_text(TILL)
    table = tmp_path / "t.csv"
    table.write_text("Kind;When;Their number;Text\nIN;2024-03-29T15:06:41Z;+13035550142;hi\n")
    for options in ({}, {"mapping_file": "till"}):
        (found,), _ = read(table, mappings=(folder,), **options)
        assert found.row is not None
        assert (found.row.message, found.row.direction) == ("hi", "inbound")
    shown = leadconnector("inspect", table, "--mappings", folder)
    assert f"Mapping: {folder / 'till.toml'}" in shown.stdout
    checked = leadconnector("validate", table, "--mappings", tmp_path / "mappings")
    assert checked.exit_code == 0, checked.output
    assert recognised(["Kind", "Their number"]) is None


def test_a_folder_of_mappings_that_is_wrong_is_told(tmp_path: Path) -> None:
    """One without any, and one with a mapping that cannot be one."""
    table = tmp_path / "t.csv"
    table.write_text("Kind;When\nIN;2024\n")
    with pytest.raises(SourceError, match="is no folder with mappings"):
        read(table, mappings=(tmp_path / "none",))
    (tmp_path / "bad.toml").write_text("fields = 3")
    with pytest.raises(SourceError, match=r"bad\.toml: "):
        read(table, mappings=(tmp_path,))
