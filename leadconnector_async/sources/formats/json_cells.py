"""The values of JSON objects by their paths, and those that nothing reads."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from msgspec.structs import replace

from leadconnector_async.models import Problem
from leadconnector_async.sources.fields import problem_of, scalar_text
from leadconnector_async.sources.mappings.mapping import Definition, columns_of
from leadconnector_async.sources.mappings.rules import Cell

_INDEX: Final = re.compile(r"\[\d+\]")

_MAX_UNUSED: Final = 100

_OF_ANY: Final = frozenset({"id", "type", "message", "timestamp", "date"})
"""What any object may have that is no message, such as an answer of an API."""

_OF_MESSAGE: Final = re.compile(
    r".*(?:edit|history|version|event|reaction|quote|forward|preview|suggestion).*"
)
"""What lists are called that are of the message itself, whatever their objects look like."""

_TOLD: Final[dict[str, frozenset[str]]] = {
    "date": frozenset(),
    "message": frozenset(),
    "direction": frozenset({"author", "authorid", "from", "sender", "senderid", "user", "userid"}),
}
"""Fields that each message has, and what else it may have in place of one: who wrote it."""

AROUND: Final = "^"
"""What paths into the object around a record begin with."""


@lru_cache(maxsize=4096)
def key_of(path: str) -> str:
    """Spell a path without case and separators, but those of its levels."""
    return re.sub(r"[^\w.\[\]*^]|_", "", path.casefold())


def cells_of(record: Mapping[str, object], *, empty: bool = False) -> Iterator[tuple[str, Cell]]:
    """Give every value of an object by its path, an ``empty`` one too if that is asked for.

    Lists come whole, by item, and by ``[*]``.
    """
    pending = [*record.items()][::-1]
    while pending:
        path, value = pending.pop()
        if isinstance(value, dict):
            pending += [(f"{path}.{key}", inner) for key, inner in reversed(value.items())]
        elif isinstance(value, list):
            yield path, value
            yield from _starred(path, value)
            pending += [(f"{path}[{n}]", item) for n, item in reversed([*enumerate(value)])]
        elif value is not None or empty:
            yield path, "" if value is None else scalar_text(value)


def _starred(path: str, items: list[object]) -> Iterator[tuple[str, Cell]]:
    found: dict[str, list[str]] = {}
    for item in items:
        for key, value in item.items() if isinstance(item, dict) else ((None, item),):
            if isinstance(value, str | int | float):
                name = f"{path}[*]" if key is None else f"{path}[*].{key}"
                found.setdefault(name, []).append(scalar_text(value))
    yield from ((name, tuple(texts)) for name, texts in found.items())


class Pick(NamedTuple):
    """A path into those items of a list that say something: ``files[type=picture].url``."""

    name: str
    list: str
    key: str
    value: str
    within: str

    def of(self, items: Sequence[object]) -> tuple[str, ...]:
        """Give what these items hold. ``null`` stands for nothing."""
        objects = (item for item in items if isinstance(item, dict))
        fit = (
            dict(cells_of(item))
            for item in objects
            if self.value == ("null" if (said := item.get(self.key)) is None else scalar_text(said))
        )
        found = (cells.get(self.within) for cells in fit)
        return tuple(cell for cell in found if isinstance(cell, str) and cell)


def repaired(cell: Cell) -> Cell:
    """Mend text of a system whose exports are always UTF-8 that was decoded as Latin-1."""
    if isinstance(cell, list):
        return cell
    if not isinstance(cell, str):
        return tuple(str(repaired(text)) for text in cell)
    try:
        return cell if cell.isascii() else cell.encode("latin-1").decode()
    except UnicodeError:  # one that was written otherwise
        return cell


class Unread:
    """What of objects no mapping reads, by the paths of it: all that are told.

    ``used`` are the keys that are. A mapping whose files are not recognised is told more: what the
    objects around records say, and messages in lists within records, which are lost.
    """

    def __init__(self, used: Collection[str] = (), definition: Definition | None = None) -> None:
        self.names: dict[str, None] = {}
        self._inner: dict[str, int] = {}
        """How many objects in lists of records look like messages of their own."""
        self._used = used
        rules = {} if definition is None else definition.fields
        pieces = [
            key_of(name) for of in rules.values() if of.glue is not None for name in of.column
        ]
        self._pieces = tuple(f"{name}[" for name in pieces)
        self._is_general = definition is not None and not definition.is_recognised
        told = {name: {*columns_of(of)} - {*of.maybe, *of.instead} for name, of in rules.items()}
        self._told = [{*map(key_of, told[name] | of)} for name, of in _TOLD.items() if name in told]

    @property
    def problem(self) -> Problem | None:
        """What is lost of records that hold others."""
        if not self._inner:
            return None
        held = ", ".join(f"{path} ({count:,})" for path, count in self._inner.items())
        problem = problem_of("inner")
        return replace(problem, wrong=f"{problem.wrong}: {held}")

    def note(self, path: str, cell: Cell) -> None:
        """Note a value that is not read."""
        plain = _INDEX.sub("[*]", path)
        items = [item for item in cell if isinstance(item, dict)] if isinstance(cell, list) else []
        if items and self._is_general and len(self._told) == len(_TOLD):
            self._count_inner(plain, items)
        if len(self.names) >= _MAX_UNUSED or path.endswith("]") or items:
            return
        if key_of(plain) not in self._used and not key_of(plain).startswith(self._pieces):
            self.names[plain] = None

    def note_around(self, holder: Mapping[str, object]) -> None:
        """Note texts of the objects around records that would be read if they were in a record."""
        if not self._is_general:
            return
        for path, cell in cells_of({AROUND: holder}):
            end = key_of(path.rpartition(".")[2])
            known = end in self._used and end not in _OF_ANY and key_of(path) not in self._used
            if known and isinstance(cell, str) and cell and not cell.isdigit():
                self.note(path, cell)

    def _count_inner(self, path: str, items: list[dict[str, object]]) -> None:
        key = key_of(path)
        is_read = any(name.startswith(f"{key}[*]") for name in self._used)
        if is_read or _OF_MESSAGE.fullmatch(key.rpartition(".")[2]):
            return
        names = [{*map(key_of, [*item, *dict(cells_of(item))])} for item in items]
        count = sum(not any(map(of.isdisjoint, self._told)) for of in names)
        if count and (path in self._inner or len(self._inner) < _MAX_UNUSED):
            self._inner[path] = self._inner.get(path, 0) + count
