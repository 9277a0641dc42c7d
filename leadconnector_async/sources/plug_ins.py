"""Sources that other packages bring: entry points of the group ``leadconnector_async.sources``.

An entry point is a function of a path and `SourceOptions`. It gives None for a file that is none of
its own; else a `Source`, or any iterable of records that are mappings with JSON's values. These are
read as lines of JSON are: by the API's names, or by the mapping that fits their keys.
"""

import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, Self, cast

import orjson

from leadconnector_async.errors import SourceError
from leadconnector_async.sources.base import FORMATS, Parsed, Source, SourceOptions
from leadconnector_async.sources.fields import listed
from leadconnector_async.sources.files.byte_stream import SourceFile, stream_of
from leadconnector_async.sources.files.encoding import Utf8Text
from leadconnector_async.sources.formats.json_layout import layout_of_json
from leadconnector_async.sources.formats.jsonl import JsonSource

GROUP: Final = "leadconnector_async.sources"


def plug_ins() -> tuple[EntryPoint, ...]:
    """Every plug-in that is installed, by its name."""
    return _found(tuple(sys.path))


@lru_cache(maxsize=1)
def _found(_path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    return tuple(sorted(entry_points(group=GROUP), key=lambda point: point.name))


def from_plug_ins(path: str, options: SourceOptions) -> tuple[Source | None, list[str]]:
    """Let the plug-ins open a file: all in turn, or the one that ``--format`` names.

    Beside the source, or None where it is of none of them, stands what is wrong with any of them.

    Raises:
        SourceError: the one that is named is not there, is broken, or does not read the file; or
            one says so of the file.
    """
    chosen, broken = options.format, list[str]()
    points = [point for point in plug_ins() if chosen in (None, point.name)]
    if chosen is not None and not points:
        raise SourceError(unknown_format(chosen))
    for point in points if chosen is not None or path != "-" else ():
        found = _opened(point, path, options)
        if isinstance(found, str) and chosen is not None:
            raise SourceError(f"{path}: {found}")
        if isinstance(found, str):
            broken.append(f"{found}: it was not asked")
        elif found is not None:
            return found, broken
    if chosen is not None:
        raise SourceError(f"{path}: is not read by the plug-in {chosen}")
    return None, broken


def unknown_format(name: str) -> str:
    """Say what else there is."""
    others = listed([point.name for point in plug_ins()]) or "none is installed"
    known = f"the formats are {', '.join(FORMATS)}; plug-ins: {others}"
    return f"--format {name}: there is no such format, and no such plug-in: {known}"


def _opened(point: EntryPoint, path: str, options: SourceOptions) -> Source | str | None:
    """What a plug-in makes of a file; a text says what is wrong with the plug-in."""
    if point.name in FORMATS:
        return f"{_called(point)} has the name of a format that comes with the library"
    try:
        found = point.load()(path, options)
        if found is None:
            return None
        if hasattr(found, "form"):
            return cast("Source", _GuardedSource(found, point))
        lines = _guarded((orjson.dumps(one, default=_as_text) + b"\n" for one in found), point)
    except SourceError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever another's code raises
        return f"{_called(point)} failed ({type(error).__name__})"
    stream = stream_of(lines, path)
    stream.beside = SourceFile.at(path).beside
    text = Utf8Text(stream, "utf-8")
    return JsonSource(text, options, layout_of_json(path, text.head, options))


def _as_text(value: object) -> str:
    """What JSON has no form for, such as a decimal; but not what would be code, such as bytes."""
    if isinstance(value, bytes | bytearray) or type(value).__str__ is object.__str__:
        raise TypeError
    return str(value)


def _called(point: EntryPoint) -> str:
    package = f" of {point.dist.name}" if point.dist is not None else ""
    return f"the plug-in {point.name}{package} ({point.value})"


def _guarded(items: Iterable[Any], point: EntryPoint) -> Iterator[Any]:
    """Give what a plug-in gives, and its name to what goes wrong in it."""
    number = 0
    try:
        for item in items:
            yield item
            number += 1
    except SourceError:
        raise
    except Exception as error:
        what = f"{_called(point)} failed after {number:,} records ({type(error).__name__})"
        raise SourceError(f"{what}: tell its author") from error


class _GuardedSource:
    """A plug-in's own source."""

    def __init__(self, source: Source, point: EntryPoint) -> None:
        self._source = source
        self._point = point

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as the source has it
        return getattr(self._source, name)

    def __iter__(self) -> Iterator[Parsed]:
        return _guarded(self._source, self._point)

    def __enter__(self) -> Self:
        self._source.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._source.__exit__(None, None, None)
