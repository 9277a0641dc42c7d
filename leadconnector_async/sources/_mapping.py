"""Mappings of other systems' exports: data in TOML, checked when it is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from leadconnector_async._errors import SourceError
from leadconnector_async.sources._names import MAPPABLE, NESTED, folded, near_field

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ColumnNames = str | list[str]
"""One column, which has to be there, or several, of which the first one that is filled counts."""

_FOLDER: Final = Path(__file__).parent / "mappings"
NAMES: Final = ("generic", "sms-backup-restore", "twilio-calls", "twilio-messages")


class Rule(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How one field is made of columns. See ``docs/mappings.md``."""

    column: ColumnNames = field(default_factory=list)
    inbound: ColumnNames = field(default_factory=list)
    outbound: ColumnNames = field(default_factory=list)
    constant: str | None = None
    default: str | None = None
    present: dict[str, str] = field(default_factory=dict)
    join: list[str] = field(default_factory=list)
    maybe: list[str] = field(default_factory=list)
    flags: dict[str, str] = field(default_factory=dict)
    strip: list[str] = field(default_factory=list)
    words: dict[str, str] = field(default_factory=dict)
    prefixes: dict[str, str] = field(default_factory=dict)
    formats: list[str] = field(default_factory=list)
    zone: str | None = None
    separator: str | None = None
    phone: bool = False


class Inner(Struct, frozen=True, forbid_unknown_fields=True):
    """A column made of elements within a record of XML, one line for each."""

    element: str
    attribute: str
    where: dict[str, str] = {}


class Files(Struct, frozen=True, forbid_unknown_fields=True):
    """Files in base64 within a record of XML: their content, and where names and types stand."""

    element: str
    attribute: str
    name: list[str] = []
    type: str | None = None


class Kind(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How one kind of record is read: its fields, and the values of columns that leave it out."""

    fields: dict[str, Rule] = field(default_factory=dict)
    skip: dict[str, list[str]] = field(default_factory=dict)
    undelivered: dict[str, list[str]] = field(default_factory=dict)
    inner: dict[str, Inner] = field(default_factory=dict)
    files: Files | None = None


class Definition(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A mapping: of a table, or of the elements of an XML file."""

    about: str = ""
    requires: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    fields: dict[str, Rule] = field(default_factory=dict)
    skip: dict[str, list[str]] = field(default_factory=dict)
    undelivered: dict[str, list[str]] = field(default_factory=dict)
    elements: dict[str, Kind] = field(default_factory=dict)

    @property
    def table(self) -> Kind:
        """The one kind of record that a table has."""
        return Kind(fields=self.fields, skip=self.skip, undelivered=self.undelivered)

    def columns(self) -> set[str]:
        """Every column of a table that the mapping knows, in one spelling."""
        rules = self.fields.values()
        names = {name for rule in rules for name in columns_of(rule)}
        return {folded(name) for name in (*names, *self.requires, *self.skip, *self.undelivered)}


def columns_of(rule: Rule) -> list[str]:
    """Every column that a rule reads, once."""
    groups = (rule.join, rule.column, rule.inbound, rule.outbound, [*rule.flags], rule.maybe)
    names = (name for one in groups for name in ([one] if isinstance(one, str) else one))
    return list(dict.fromkeys(names))


def load_mapping(name: str) -> Definition:
    """Read a mapping that comes with the library, by its name, or a file of one.

    Raises:
        SourceError: there is none of that name, or it is not what a mapping has to be.
    """
    import tomllib  # noqa: PLC0415 - few sources have a mapping

    path = _FOLDER / f"{name}.toml" if name in NAMES else Path(name)
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise SourceError(
            f"--mapping {name}: there is no such file, and no such mapping: "
            f"the ones by name are {', '.join(NAMES)}"
        ) from error
    except OSError as error:
        raise SourceError(f"--mapping {name}: cannot be read ({error.strerror})") from error
    except ValueError as error:  # of TOML or of UTF-8
        raise SourceError(
            f"--mapping {name}: is no TOML ({error}): see docs/mappings.md"
        ) from error
    return read_mapping(name, data)


def with_date_format(definition: Definition, form: str) -> Definition:
    """Let the form of dates that a user gives go before those of a mapping of a table."""
    rule = definition.fields.get("date")
    if rule is None or not rule.formats:  # read by the source's own reader, which knows the form
        return definition
    rule = replace(rule, formats=[form, *rule.formats])
    return replace(definition, fields=definition.fields | {"date": rule})


def recognised(names: Iterable[str]) -> str | None:
    """Find the mapping that comes with the library whose columns are all there."""
    there = {folded(name) for name in names}
    for name in NAMES:
        required = load_mapping(name).requires
        if required and there.issuperset(folded(column) for column in required):
            return name
    return None


def read_mapping(name: str, data: dict[str, Any]) -> Definition:
    """Check a mapping.

    Raises:
        SourceError: a key is not known, a value of a wrong type, a field not the API's.
    """
    kinds = [data, *_tables(data.get("elements")).values()]
    for kind in kinds:
        if isinstance(kind, dict) and "fields" in kind:
            kind["fields"] = _flat(kind["fields"])
    try:
        definition = msgspec.convert(data, Definition)
    except msgspec.ValidationError as error:
        raise SourceError(f"--mapping {name}: {error}: see docs/mappings.md") from error
    if bool(definition.fields) == bool(definition.elements):
        raise SourceError(
            f"--mapping {name}: describes no record: "
            "write [fields] for tables, or [elements.NAME.fields] for XML"
        )
    for fields in (definition.fields, *(kind.fields for kind in definition.elements.values())):
        _check(name, fields)
    return definition


def _tables(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _flat(fields: object) -> object:
    """Name ``contact = {phone = …}`` as ``contact.phone``, and let a string be a whole rule."""
    if not isinstance(fields, dict):
        return fields
    named: dict[str, object] = {}
    for key, value in fields.items():
        inner = {f"{key}.{name}": rule for name, rule in value.items()} if key in NESTED else None
        named |= inner or {key: value}
    return {
        key: {"column": value} if isinstance(value, str | list) else value
        for key, value in named.items()
    }


def _check(name: str, fields: Mapping[str, Rule]) -> None:
    if not fields:
        return
    for key in fields:
        if key not in MAPPABLE:
            meant = near_field(key)
            fix = f"write {meant}" if meant else f"write one of {', '.join(sorted(MAPPABLE))}"
            raise SourceError(f"--mapping {name}: {key} is no field: {fix}")
    if "type" not in fields:
        raise SourceError(
            f'--mapping {name}: makes no type: add type = {{ constant = "SMS" }}, or a column'
        )
