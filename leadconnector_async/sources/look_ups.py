"""Objects that records name by an id, in lists of the same file or of one beside it."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Final

from leadconnector_async.sources.byte_stream import SourceFile
from leadconnector_async.sources.encoding import Utf8Text
from leadconnector_async.sources.fields import scalar_text
from leadconnector_async.sources.json_values import JsonValues, loaded_value, opening_value

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from leadconnector_async.sources.byte_stream import ByteStream

_MAX_KEPT: Final = 500_000
"""Objects of all lists: memory has to stay bounded. Who comes later is not known."""


class LookUps:
    """Gives what the objects hold that records name: ``users[*]``, or a file ``users.json``.

    ``rules`` are, by the keys with the ids, their own spelling and the lists; ``used`` the paths
    that are read. What is read of an object stands below its id's key: ``author_id.email``.
    """

    def __init__(
        self,
        rules: Mapping[str, tuple[str, str]],
        used: Collection[str],
        stream: ByteStream | None,
    ) -> None:
        self._rules = rules
        self._used = {
            name.removeprefix(f"{key}.") for key in rules for name in used if name.startswith(key)
        }
        self._stream = stream
        self._lists: dict[str, dict[str, dict[str, str]]] = {}
        self._missed: Counter[str] = Counter()

    def __contains__(self, key: str) -> bool:
        return key in self._rules

    def cells(self, key: str, id_: str) -> dict[str, str]:
        """Give what the object of an id holds, by paths."""
        _, path = self._rules[key]
        if path not in self._lists:
            self._lists[path] = dict(self._read(path))
        found = self._lists[path].get(id_)
        self._missed[key] += found is None
        return {f"{key}.{name}": cell for name, cell in (found or {}).items()}

    @property
    def warnings(self) -> list[str]:
        """Tell of ids that no object has."""
        return [
            f"{name} has ids that {path} does not hold ({count:,} times): put {_stem(path)}.json "
            "beside the file, or export it with them"
            for key, (name, path) in self._rules.items()
            if (count := self._missed[key])
        ]

    def _read(self, path: str) -> Iterator[tuple[str, dict[str, str]]]:
        kept = 0
        for stream, is_own in self._streams(_stem(path)):
            with closing(stream):
                text = Utf8Text(stream, None)
                records = (path,) if is_own else (_records(text.head, path),)
                for _, raw in JsonValues(text.chunks(), records):
                    value = loaded_value(raw)
                    if isinstance(value, dict) and "id" in value and kept < _MAX_KEPT:
                        kept += 1
                        cells = {name.replace("_", ""): cell for name, cell in value.items()}
                        yield (
                            scalar_text(value["id"]),
                            {k: scalar_text(v) for k, v in cells.items() if v and k in self._used},
                        )

    def _streams(self, stem: str) -> Iterator[tuple[ByteStream, bool]]:
        """Open the source once more, and the files of that name beside it."""
        stream = self._stream
        if stream is None or stream.again is None or stream.beside.members is None:
            return
        yield stream.again(), True
        members = stream.beside.members
        for name in stream.beside.names_of(stem):
            yield SourceFile(f"{members.name}/{name}", members, name).stream(), False


def _stem(path: str) -> str:
    return path.partition("[")[0].rpartition(".")[2]


def _records(head: bytes, path: str) -> str:
    """Find where the objects of a file are that holds nothing else."""
    value = opening_value(head)
    if isinstance(value, dict):
        return path if _stem(path) in value else ""
    return "[*]"
