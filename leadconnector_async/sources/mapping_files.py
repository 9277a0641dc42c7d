"""Files of mappings: TOML, checked when it is read."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from msgspec.structs import replace

from leadconnector_async.errors import SourceError
from leadconnector_async.sources.fields import MAPPABLE, NESTED, near_field
from leadconnector_async.sources.mapping import Definition, Example, FieldRule

if TYPE_CHECKING:
    from collections.abc import Mapping

_T = TypeVar("_T")

_FOLDER: Final = Path(__file__).parent / "mappings"

NAMES: Final = tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))
"""The mappings that come with the library."""


def load_mapping(name: str) -> Definition:
    """Read a mapping that comes with the library, by its name, or a file of one.

    Raises:
        SourceError: there is none of that name, or it is not what a mapping has to be.
    """
    path = Path(name)
    return _kept(name, 0 if name in NAMES or not path.is_file() else path.stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _kept(name: str, _changed: int) -> Definition:
    return read_mapping(name, _toml(name))


def load_examples(name: str) -> list[Example]:
    """Read the examples that a mapping holds.

    Raises:
        SourceError: as of `load_mapping`, or an example is not what it has to be.
    """
    return _converted(name, _toml(name).get("examples", []), list[Example])


def _toml(name: str) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - few sources have a mapping

    path = _FOLDER / f"{name}.toml" if name in NAMES else Path(name)
    try:
        return tomllib.loads(path.read_text("utf-8"))
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


def with_date_format(definition: Definition, form: str | None) -> Definition:
    """Let the form of dates that a user gives go before those of a mapping."""
    rule = definition.fields.get("date")
    if form is None or rule is None or not rule.formats:  # else the reader of dates knows it
        return definition
    rule = replace(rule, formats=[form, *rule.formats])
    return replace(definition, fields=definition.fields | {"date": rule})


def read_mapping(name: str, data: dict[str, Any]) -> Definition:
    """Check a mapping.

    Raises:
        SourceError: a key is not known, a value of a wrong type, a field not the API's.
    """
    for given in [data, *_tables(data.get("elements")).values()]:
        if isinstance(given, dict) and "fields" in given:
            given["fields"] = _flat(given["fields"])
    shown = {key: value for key, value in data.items() if key != "examples"}
    definition = _converted(name, shown, Definition)
    if bool(definition.fields) == bool(definition.elements):
        raise SourceError(
            f"--mapping {name}: describes no record: "
            "write [fields] for tables and JSON, or [elements.NAME.fields] for XML"
        )
    for kind in (definition.table, *definition.elements.values()):
        _check(name, kind.fields, {} if kind.chat is None else kind.chat.types)
    return definition


def _converted(name: str, data: object, kind: type[_T]) -> _T:
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise SourceError(f"--mapping {name}: {error}: see docs/mappings.md") from error


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


def _check(name: str, fields: Mapping[str, FieldRule], types: Mapping[str, str]) -> None:
    if not fields:
        return
    for key in fields:
        if key not in MAPPABLE:
            meant = near_field(key)
            fix = f"write {meant}" if meant else f"write one of {', '.join(sorted(MAPPABLE))}"
            raise SourceError(f"--mapping {name}: {key} is no field: {fix}")
    if "type" not in fields and not types:
        raise SourceError(
            f'--mapping {name}: makes no type: add type = {{ constant = "SMS" }}, or a column'
        )
