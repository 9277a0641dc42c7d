"""How a file of JSON is laid out, and where its records are: its beginning tells."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, NamedTuple

from leadconnector_async.errors import SourceError
from leadconnector_async.sources.base import SourceOptions
from leadconnector_async.sources.fields import FIELDS, OUTBOX_KEY, is_plainly_ours, listed, notice
from leadconnector_async.sources.files.json_values import is_document, loaded_value, opening_value
from leadconnector_async.sources.formats.failed_list import is_unreadable
from leadconnector_async.sources.formats.json_cells import cells_of, key_of
from leadconnector_async.sources.formats.json_objects import empty_list
from leadconnector_async.sources.mappings import mapping_files
from leadconnector_async.sources.mappings.mapping import as_list, columns_of
from leadconnector_async.sources.mappings.mapping_files import Choice, load_mapping, recognised

SINGER_NOTES: Final = frozenset({"SCHEMA", "STATE", "ACTIVATE_VERSION"})
"""Messages of a Singer tap that are no records, and name none."""

_LINES_TRIED: Final = 20

_MAX_DEPTH: Final = 6

_TELLING: Final = 2
"""Names that are read in common by objects of two lists, of which neither can be passed over."""

_RECOGNISED: Final = 1000
"""More than any count of names."""


class JsonLayout(NamedTuple):
    """Where the records are, and how they are read: by default a line each, by the API's names."""

    records: tuple[str, ...] | None = None
    """Paths as `JsonValues` has them. None: each line is a record."""
    choice: Choice = Choice(None)
    names: tuple[str, ...] = ()
    """Those of the first record."""


def layout_of_json(source: str, head: bytes, options: SourceOptions) -> JsonLayout:
    """Look at the beginning of a file.

    A value that holds lists of objects is no record, unless it has more of the names that are read
    than they have.

    Raises:
        SourceError: it holds several lists, of which nobody said which to read; or the mapping
            that is given does not fit.
    """
    lines = [line for line in head.lstrip().split(b"\n") if line.strip()]
    in_lines = not is_document(lines)
    value = _first_whole(lines) if in_lines else opening_value(head)
    if in_lines and isinstance(value, list):
        in_lines = bool(value) and not any(type(item) is dict for item in value)
        if in_lines:  # a line that is no record
            return JsonLayout(None, _unseen(options))
    if isinstance(value, dict) and (layout := _by_keys(source, value, lines, options)):
        return layout
    default = "[*]" if head.lstrip().startswith(b"[") and not in_lines else ""
    samples = dict(_samples(value, lines if in_lines else [])) or {default: []}
    named = _records_of(options.mapping_file)
    if named:
        around = (one for one in samples if one and any(name.startswith(one) for name in named))
        path = next((name for name in named if name in samples), next(around, ""))
    else:
        path = _chosen(source, samples, options) if len(samples) > 1 else next(iter(samples))
    names = tuple(samples.get(path, ()))
    choice = mapping_files.choice_of(source, names, options) if names else _unseen(options)
    if choice.recognised is not None:
        # The record by which it is known may be around those of the mapping.
        within = _records_of(choice.recognised)
        named = within if any(one.startswith(path) and one != path for one in within) else []
    if named and choice.definition is not None:
        return JsonLayout(tuple(named), choice, names)
    return JsonLayout(None if in_lines and path == "" else (path,), choice, names)


def _by_keys(
    source: str, value: dict[str, Any], lines: list[bytes], options: SourceOptions
) -> JsonLayout | None:
    """Tell a file by what its first object is, if that is no record, or one that failed."""
    if OUTBOX_KEY in value:
        names = (*value, *_names(map(loaded_value, lines)))
        return JsonLayout(None, mapping_files.choice_of(source, names, options), names)
    if options.mapping_file is None and not is_plainly_ours(value):
        held = mapping_files.choice_of_holder(source, value, options.mappings)
        if held is not None and held.definition is not None:
            return JsonLayout(tuple(as_list(held.definition.records)), held)
    name = empty_list(value) if len(lines) == 1 else None
    return None if name is None else JsonLayout((f"{name}[*]",), _unseen(options))


def _first_whole(lines: list[bytes]) -> object:
    whole = [value for value in map(loaded_value, lines[:_LINES_TRIED]) if value is not None]
    for one in whole:
        if not (isinstance(one, dict) and (is_unreadable(one) or empty_list(one))):
            return one
    return whole[0] if whole else None


def _samples(
    value: object, lines: list[bytes], path: str = "", depth: int = 0
) -> Iterator[tuple[str, list[str]]]:
    """Give the names of each object that may be a record, by its path: the first ones of each list.

    Lists within records are part of them; but the outermost list may be one of pages, or of chats.
    """
    if isinstance(value, list):
        path += "[*]"
        if names := _names(value):
            yield path, names
        first = next((item for item in value if isinstance(item, dict)), None)
        value = first if path.count("[*]") == 1 else None
    elif not depth and isinstance(value, dict):
        yield path, _names(map(loaded_value, lines) if lines else [value])
    if isinstance(value, dict) and depth < _MAX_DEPTH:
        for key, inner in value.items():
            yield from _samples(inner, [], f"{path}.{key}" if path else key, depth + 1)


def _names(records: Iterable[object]) -> list[str]:
    """Name what the first records have: some systems leave out, or null, what is empty."""
    objects = [one for one in islice(records, _LINES_TRIED) if isinstance(one, dict)]
    return [*dict.fromkeys(name for one in objects for name, _ in cells_of(one, empty=True))]


def _chosen(source: str, samples: Mapping[str, list[str]], options: SourceOptions) -> str:
    """Choose the path whose objects are the records."""
    # What messages hold in lists is a part of them; else they may be in lists of what is around.
    messages = {path for path, of in samples.items() if _is_message(of, options)}
    lists = {path: of for path, of in samples.items() if path.rfind("[*].") < 1}
    samples = samples if messages.isdisjoint(lists) else lists
    outer = min(samples, key=len)
    if len(samples) == 1:
        return outer
    scores = {path: _score(names, options) for path, names in samples.items()}
    best = max(scores.values())
    if scores[outer] == best and (best or outer) and (outer in messages or not messages):
        return outer
    enough = min(best, _RECOGNISED if best > _RECOGNISED else _TELLING)
    ranks = {
        path: (score > _RECOGNISED, path in messages, score, -len(path))
        for path, score in scores.items()
        if path.endswith("]")
    }
    # What is around records, such as a chat, and what is within one, such as its files, is none.
    good = [
        path
        for path, rank in ranks.items()
        if scores[path] >= enough
        and not any(
            rank < ranks[other] and (path.startswith(other) or other.startswith(path))
            for other in ranks
        )
    ]
    own = [one for one in good if one in _records_of(recognised(samples[one], options.mappings))]
    if len(own) == 1:
        return own[0]
    if len(good) > 1:
        best_path = max(good, key=scores.__getitem__)
        fix = f'name the one that holds the records in a mapping: records = "{best_path}"'
        raise SourceError(f"{source}: holds several lists of objects: {', '.join(good)}: {fix}")
    return good[0]


def _is_message(names: list[str], options: SourceOptions) -> bool:
    """Whether they are those of a message or a call, and not of what is around some."""
    has = {*map(key_of, names)}
    for field, rule in load_mapping(options.mapping_file or "generic").fields.items():
        columns = {*columns_of(rule), options.mapping.get(field, "")} - {*rule.maybe, *rule.sender}
        if not has.isdisjoint(map(key_of, columns)):
            has.add(field)
    return bool(has & {"direction", "duration"} or ("date" in has and has & {"message", "html"}))


def _records_of(mapping: str | None) -> list[str]:
    return [] if mapping is None else as_list(load_mapping(mapping).records)


def _score(names: list[str], options: SourceOptions) -> int:
    """Count the names that are read."""
    mapping = options.mapping_file or recognised(names, options.mappings) or "generic"
    definition = load_mapping(mapping)
    known = {name for rule in definition.fields.values() for name in columns_of(rule)}
    known.update(FIELDS, options.mapping.values())
    score = len({key_of(name) for name in names} & {key_of(name) for name in known})
    return score + _RECOGNISED * definition.fits(names)


def _unseen(options: SourceOptions) -> Choice:
    """Choose for a file of which no record could be read yet."""
    given = options.mapping_file
    return Choice(None if given is None else load_mapping(given).fitted(()))


def begins_as_singer(head: bytes) -> bool:
    """Tell the output of a tap by its first line."""
    first = loaded_value(head.lstrip().partition(b"\n")[0])
    if not isinstance(first, dict) or first.get("type") not in {*SINGER_NOTES, "RECORD"}:
        return False
    return "value" in first if first["type"] == "STATE" else "stream" in first


def names_of(record: dict[str, Any]) -> list[str]:
    """Name the columns of a record, empty ones too."""
    return [*record, *(path for path, _ in cells_of(record))]


def layout_of_singer(source: str, head: bytes, options: SourceOptions) -> JsonLayout:
    """Choose what reads the output of a tap: the given mapping, or that of its first records.

    Raises:
        SourceError: none is given, and nothing at the beginning is read by any.
    """
    if (given := options.mapping_file) is not None:
        definition = mapping_files.chosen(given, options, ())
        if definition.fields:
            return JsonLayout(None, Choice(definition))
        raise SourceError(f"{source}: --mapping {given} is for XML: choose another")
    met: dict[str, None] = {}
    for line in head.split(b"\n"):
        message: Any = loaded_value(line)
        record = message.get("record") if isinstance(message, dict) else None
        if isinstance(record, dict):
            choice = mapping_files.choice_of(source, names_of(record), options)
            if choice.definition is not None or is_plainly_ours(record):
                return JsonLayout(None, choice)
            met[str(message.get("stream"))] = None
    names = listed(list(met)) or "none at its beginning"
    raise SourceError(f"{source}: {notice('unread_streams', names=names)}")
