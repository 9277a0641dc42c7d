"""Files of mappings, in TOML; and which reads a file: the given one, or whose marks it bears."""

import re
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from msgspec.structs import astuple, replace

from leadconnector_async.errors import SourceError
from leadconnector_async.sources import fields
from leadconnector_async.sources.base import SourceOptions
from leadconnector_async.sources.mappings.mapping import Definition, Example, FieldRule, RecordKind

_T = TypeVar("_T")

_FOLDER: Final = Path(__file__).parent

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
        return tomllib.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError as error:
        wrong = "there is no such file, and no such mapping: the ones by name are"
        raise SourceError(f"--mapping {name}: {wrong} {', '.join(NAMES)}") from error
    except OSError as error:
        raise SourceError(f"--mapping {name}: cannot be read ({error.strerror})") from error
    except ValueError as error:  # of TOML or of UTF-8
        raise SourceError(f"--mapping {name}: {fields.notice('no_toml', error=error)}") from error


def chosen(name: str, options: SourceOptions, names: Iterable[str] | None = None) -> Definition:
    """Read a mapping, as far as it is for a file of columns or keys of these names.

    The form of dates that a user gives goes before those of the mapping.

    Raises:
        SourceError: as of `load_mapping`.
    """
    definition, form = load_mapping(name), options.date_format
    definition = definition if names is None else definition.fitted(names)
    if form is None:
        return definition

    def known(rules: dict[str, FieldRule]) -> dict[str, FieldRule]:
        rule = rules.get("date")
        if rule is None or not rule.formats:  # then the reader of dates knows it
            return rules
        return rules | {"date": replace(rule, formats=[form, *rule.formats])}

    kinds = definition.elements.items()
    elements = {name: replace(kind, fields=known(kind.fields)) for name, kind in kinds}
    return replace(definition, fields=known(definition.fields), elements=elements)


def read_mapping(name: str, data: dict[str, Any]) -> Definition:
    """Check a mapping.

    Raises:
        SourceError: a key is not known, a value of a wrong type, a field not the API's.
    """
    elements = data.get("elements")
    for given in [data, *(elements.values() if isinstance(elements, dict) else ())]:
        if isinstance(given, dict) and "fields" in given:
            given["fields"] = _flat(given["fields"])
        if isinstance(given, dict) and isinstance(rules := given.get("leave_out"), list):
            given["leave_out"] = [one for rule in rules for one in _each(rule, data.get("but", {}))]
    shown = {key: value for key, value in data.items() if key not in ("examples", "but")}
    definition = _converted(name, shown, Definition)
    if bool(definition.fields) == bool(definition.elements):
        raise SourceError(f"--mapping {name}: {fields.notice('describes_nothing')}")
    for kind in (definition.table, *definition.elements.values()):
        _check(name, kind)
    _check_expressions(name, definition)
    return definition


def _converted(name: str, data: object, kind: type[_T]) -> _T:
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise SourceError(f"--mapping {name}: {error}: see docs/mappings.md") from error


def _flat(rules: object) -> object:
    """Name ``contact = {phone = …}`` as ``contact.phone``, and let a string be a whole rule."""
    if not isinstance(rules, dict):
        return rules
    named: dict[str, object] = {}
    for key, value in rules.items():
        if key in fields.NESTED and isinstance(value, dict) and value:
            named |= {f"{key}.{name}": rule for name, rule in value.items()}
        else:
            named[key] = value
    return {
        key: {"column": value} if isinstance(value, str | list) else value
        for key, value in named.items()
    }


def _each(rule: object, buts: object) -> list[object]:
    """Make of a rule on any of several columns one for each, with the exceptions that it names."""
    if isinstance(rule, dict) and isinstance(buts, dict):
        for key in {"but", "call"} & rule.keys():
            names = [rule[key]] if isinstance(rule[key], str) else rule[key]
            if isinstance(names, list) and all(isinstance(buts.get(str(x)), dict) for x in names):
                rule = rule | {key: dict(chain(*(buts[name].items() for name in names)))}
    match rule:
        case {"columns": list(columns), "words": words, **rest} if "where" not in rest:
            return [rest | {"where": {column: words}} for column in columns]
    return [rule]


def right_names(name: str) -> str:
    """Say what to write in place of a name that no field has."""
    meant = fields.near_field(name)
    return f"write {meant}" if meant else f"write one of {', '.join(sorted(fields.MAPPABLE))}"


def _check(name: str, kind: RecordKind) -> None:
    for key in kind.fields:
        if key not in fields.MAPPABLE:
            raise SourceError(f"--mapping {name}: {key} is no field: {right_names(key)}")
    has_type = "type" in kind.fields or (kind.chat is not None and kind.chat.types)
    if kind.fields and not has_type:
        raise SourceError(f"--mapping {name}: {fields.notice('makes_no_type')}")


def _check_expressions(name: str, definition: Definition) -> None:
    kinds = (definition.table, *definition.elements.values())
    titles = [one for kind in kinds if kind.chat is not None for one in kind.chat.titles]
    text = [] if definition.text is None else [*chain(*astuple(definition.text))]
    for one in (*titles, *text, *(kind.begins for kind in kinds)):
        try:
            if "other" not in re.compile(one).groupindex and one in titles:
                raise re.error("it has no group (?P<other>...)")  # noqa: TRY301 - as others are
        except re.error as error:
            raise SourceError(f"--mapping {name}: {one!r} is no expression: {error}") from error


_COMMENT: Final = re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)

_ROOT: Final = re.compile(rb"<(?:[\w.-]+:)?([A-Za-z_][\w.-]*)")


class Choice(NamedTuple):
    """How a file is read: by a mapping, or by the API's names."""

    definition: Definition | None
    recognised: str | None = None
    """The mapping's name, if it was not given."""
    notes: tuple[str, ...] = ()
    """What the user should know of the choice."""


def choice_of(source: str, names: Collection[str], options: SourceOptions) -> Choice:
    """Choose how a table or JSON is read whose columns or keys have these names.

    Raises:
        SourceError: the mapping that is given does not fit, and none is recognised.
    """
    given = options.mapping_file
    ours = fields.is_plainly_ours(names) or "type" in options.mapping
    found = None if ours else recognised(names, options.mappings)
    notes = (f"its columns are those of --mapping {found}: read by it",) if found else ()
    if given is not None:
        definition, misfit = chosen(given, options, names), _misfit(load_mapping(given), names)
        if fields.OUTBOX_KEY in names and definition.needs_its_file:
            misfit = misfit or "is a list of failed records, which --mapping is not for"
        if misfit is None:
            return Choice(definition)
        if not (ours or found or fields.OUTBOX_KEY in names):  # in a list of failed records
            fix = "choose another, or look at the file with inspect"
            raise SourceError(f"{source}: {misfit}: {fix}")
        by = f"--mapping {found}" if found else "the API's names"
        notes = (f"{misfit}: it is read by {by}",)
    return Choice(chosen(found, options) if found else None, found, notes)


def choice_of_holder(
    source: str, value: Mapping[str, object], folders: Iterable[Path] = ()
) -> Choice | None:
    """Choose how a file is read by the keys of its outermost object.

    Raises:
        SourceError: several systems write such, and the path of the file names none.
    """
    fits = [
        name
        for name in names_in(folders)
        if any(value.keys() >= {*keys} for keys in load_mapping(name).holders)
    ]
    path = str(Path(source).absolute()).casefold()
    if len(fits) > 1:
        why = f"does not tell of which system it is: give --mapping {' or '.join(fits)}"
        fits = [name for name in fits if any(word in path for word in load_mapping(name).within)]
        if len(fits) != 1:
            raise SourceError(f"{source}: {why}")
    note = "its keys are those of --mapping {0}: read by it"
    return next((Choice(load_mapping(name), name, (note.format(name),)) for name in fits), None)


def choice_of_markup(
    source: str, head: bytes, options: SourceOptions
) -> tuple[str, tuple[str, ...]]:
    """Choose the mapping of XML that begins so, by its name, and say what of it is to be known.

    Raises:
        SourceError: the mapping that is given reads no XML, or none is given and recognised.
    """
    given = options.mapping_file
    if given is not None and load_mapping(given).elements and not load_mapping(given).is_html:
        return given, ()
    root = root_of(head)
    known = names_in(options.mappings)
    found = next((name for name in known if root in load_mapping(name).root), None)
    if found is None:
        what = "is XML" if given is None else f"is XML, and --mapping {given} reads tables and JSON"
        known = [name for name in known if load_mapping(name).root]
        told = fields.notice("unknown_xml", root=described(root), known=", ".join(known))
        raise SourceError(f"{source}: {what}, {told}")
    if given is None:
        return found, (f"its root <{root}> is that of --mapping {found}: read by it",)
    return found, (f"--mapping {given} reads tables and JSON: it is read by --mapping {found}",)


def root_of(head: bytes) -> str:
    """Name the first element of XML, without its namespace."""
    found = _ROOT.search(_COMMENT.sub(b"", head))
    return "" if found is None else found[1].decode()


def described(root: str) -> str:
    """Show an element, and what XML it is that begins with it."""
    what = fields.table_of("file_kinds")["roots"].get(root)
    return f"<{root}>" + (f" ({what})" if what else "")


def recognised(names: Collection[str], folders: Iterable[Path] = ()) -> str | None:
    """Find the mapping whose columns are all there: in folders, or that comes with the library."""
    return next((name for name in names_in(folders) if load_mapping(name).fits(names)), None)


def _misfit(definition: Definition, names: Collection[str]) -> str | None:
    if definition.elements:
        return f"--mapping is for {'pages of HTML' if definition.is_html else 'XML'}"
    if definition.text is not None:
        return "--mapping is for text"
    if lacking := definition.lacking(names):
        return f"has no column {fields.listed(lacking)}, which the mapping requires"
    return None


def names_in(folders: Iterable[Path]) -> list[str]:
    """Name the mappings in folders, by their paths, and then those that come with the library.

    Raises:
        SourceError: there is no such folder, or no mapping in it.
    """
    own: list[str] = []
    for folder in folders:
        found = sorted(str(path) for path in folder.glob("*.toml"))
        if not found:
            raise SourceError(f"--mappings {folder}: {fields.notice('no_mappings')}")
        own += found
    return [*own, *NAMES]


def found_in(folders: Iterable[Path], name: str | None) -> str | None:
    """Find a mapping by its name in folders. What is in none of them stays as it is."""
    if name is None:
        return None
    paths = (folder / f"{name}.toml" for folder in folders)
    return next((str(path) for path in paths if path.is_file()), name)
