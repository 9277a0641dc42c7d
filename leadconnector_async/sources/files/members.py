"""The files of an export, in a folder or a zip archive, and those that lie beside a source."""

import os
import re
import unicodedata
import weakref
import zlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final, NamedTuple, cast
from zipfile import BadZipFile, ZipFile

from leadconnector_async.errors import SourceError
from leadconnector_async.sources.fields import notice

ZIP_MAGIC: Final = (b"PK\x03\x04", b"PK\x05\x06")
"""What an archive begins with; with the second, one that holds nothing."""

MAX_RATIO: Final = 500
"""How many times its size an archive, or a file in it, may have when unpacked. Histories come to
3 to 100 times, zeros to some 1,000."""

_FREE: Final = 1 << 20
"""Unpacked bytes up to which the ratio does not matter."""

MAX_MEMBERS: Final = 200_000

MAX_WHOLE: Final = 256 << 20
"""Bytes of the largest file of an archive that is read in one piece."""

DAMAGED: Final = (BadZipFile, zlib.error, EOFError)
"""What reading a file of an archive raises that is not as it should be."""


class Members(ABC):
    """The files of an export by their paths in it, those of a folder before the folders in it.

    ``taken`` are those that a record names, or that a reader has read beside its source.
    """

    links: Sequence[str] = ()
    """Folders that lie elsewhere, and are not read."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.taken: set[str] = set()

    @cached_property
    def names(self) -> dict[str, None]:
        """Every file, but for what a Mac adds, and what a Maildir is still being given."""
        names = [name for name in self._names() if not name.startswith("__MACOSX/")]
        folders = {PurePosixPath(name).parent for name in names}
        unready = {
            folder
            for folder in folders
            if folder.name == "tmp" and {folder.with_name("cur"), folder.with_name("new")} & folders
        }
        kept = (name for name in names if PurePosixPath(name).parent not in unready)
        return dict.fromkeys(sorted(kept, key=_place))

    @abstractmethod
    def _names(self) -> Iterable[str]:
        """Every file."""

    @abstractmethod
    def open(self, name: str, shown: str) -> BinaryIO:
        """Open a file, which problems name so. What its damage raises is one of `DAMAGED`.

        Raises:
            SourceError: it cannot be opened.
        """

    @abstractmethod
    def size(self, name: str) -> int:
        """Bytes of a file, unpacked; 0 for one that is gone, or is none."""

    def share(self, _name: str) -> float:
        """How many bytes of the export stand for one byte of a file."""
        return 1.0

    def read(self, name: str) -> bytes:
        """Read a whole file.

        Raises:
            SourceError: it cannot be read, or is damaged.
        """
        try:
            with self.open(name, f"{self.name}/{name}") as file:
                return file.read()
        except (*DAMAGED, OSError) as error:
            raise SourceError(f"{self.name}/{name}: cannot be read ({error})") from error


def _place(name: str) -> list[tuple[bool, str]]:
    *folders, file = name.split("/")
    return [*((True, folder) for folder in folders), (False, file)]


_UNOPENED: Final[dict[type[OSError], str]] = {
    FileNotFoundError: "there is no such file: check the path",
    IsADirectoryError: "is a folder: name the files in it",
    PermissionError: "may not be read by you: change its permissions",
}


def _unopened(shown: str, error: OSError) -> SourceError:
    other = f"cannot be opened ({error.strerror}): check the path"
    return SourceError(f"{shown}: {_UNOPENED.get(type(error), other)}")


class FolderMembers(Members):
    """The files of a folder, and, unless it is not ``deep``, of those in it. Links lead nowhere."""

    def __init__(self, path: str, *, deep: bool = True) -> None:
        super().__init__(path.rstrip("/\\") or path)
        self.folder: Path = Path(path).absolute()
        self._deep = deep
        self.links: list[str] = []

    def _names(self) -> Iterable[str]:
        for folder, folders, files in os.walk(self.folder, onerror=self._refuse):
            inner = Path(folder).relative_to(self.folder)
            yield from ((inner / name).as_posix() for name in files)
            links = (inner / name for name in folders if Path(folder, name).is_symlink())
            self.links += map(Path.as_posix, links)
            if not self._deep:
                return

    def _refuse(self, error: OSError) -> None:
        """Refuse a folder that cannot be listed: it may hold records. A system's own are let be."""
        path, is_no = Path(error.filename), isinstance(error, FileNotFoundError) or not self._deep
        if not (is_no or re.match(r"[.$]|(lost\+found|System Volume Information)\Z", path.name)):
            raise _unopened(f"{self.name}/{path.relative_to(self.folder)}", error) from error

    def open(self, name: str, shown: str) -> BinaryIO:
        """Open a file."""
        try:
            return (self.folder / name).open("rb", buffering=0)
        except OSError as error:
            raise _unopened(shown, error) from error

    def size(self, name: str) -> int:
        """Bytes of a file; 0 for one that is gone, or is none."""
        path = self.folder / name
        return path.stat().st_size if path.is_file() else 0


class ZipMembers(Members):
    """The files of a zip archive. Nothing is unpacked before it is asked for.

    Their names are never those of files on the disk, whatever they look like.

    Raises:
        SourceError: it is damaged, encrypted, or unpacks to more than an archive should.
    """

    def __init__(self, name: str, file: str | BytesIO) -> None:
        super().__init__(name)
        self._archive = _archive(name, file)
        weakref.finalize(self, self._archive.close)  # the collector may end its file before it
        files = [info for info in self._archive.infolist() if not info.is_dir()]
        self._files = {_spelled(info.filename): info for info in files}
        if len(files) > MAX_MEMBERS or len(self._files) < len(files):
            is_many = len(files) > MAX_MEMBERS
            many = f"more than {MAX_MEMBERS:,} files" if is_many else "two files of one name"
            raise SourceError(f"{name}: holds {many}: unpack it, and name its folder")
        packed = Path(file).stat().st_size if isinstance(file, str) else len(file.getbuffer())
        _refuse_bomb(name, sum(info.file_size for info in files), packed)
        for member, info in self._files.items():
            _refuse_bomb(f"{name}/{member}", info.file_size, info.compress_size)
            if info.flag_bits & 1:
                raise SourceError(f"{name}/{member}: {notice('encrypted')}")

    def _names(self) -> Iterable[str]:
        return self._files

    def open(self, name: str, shown: str) -> BinaryIO:
        """Open a file."""
        try:
            return cast("BinaryIO", self._archive.open(self._files[name]))
        except (*DAMAGED, OSError) as error:  # also of places before the archive's beginning
            raise SourceError(f"{shown}: is damaged ({error}): copy it again") from error
        except NotImplementedError as error:
            raise SourceError(f"{shown}: {notice('not_unpacked', error=error)}") from error

    def size(self, name: str) -> int:
        """Bytes of a file, unpacked."""
        return self._files[name].file_size

    def share(self, name: str) -> float:
        """How many bytes of the archive stand for one byte of a file."""
        return self._files[name].compress_size / max(self.size(name), 1)

    def is_workbook(self) -> bool:
        """Tell a workbook, which is an archive too, by the files in it."""
        return any(name.startswith("xl/workbook.") for name in self.names) or (
            "mimetype" in self.names and self.read("mimetype").endswith(b".spreadsheet")
        )


def _archive(name: str, file: str | BytesIO) -> ZipFile:
    try:
        try:
            return ZipFile(file, metadata_encoding="utf-8")  # of a Mac, that does not say so
        except UnicodeDecodeError:
            return ZipFile(file)
    except (*DAMAGED, NotImplementedError, ValueError) as error:
        raise SourceError(f"{name}: {notice('damaged_archive')}") from error
    except OSError as error:
        raise _unopened(name, error) from error


def _spelled(name: str) -> str:
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def _refuse_bomb(shown: str, unpacked: int, packed: int) -> None:
    ratio = unpacked // max(packed, 1)
    if unpacked > _FREE and ratio > MAX_RATIO:
        told = notice("perhaps_a_bomb", unpacked=unpacked, ratio=ratio, limit=MAX_RATIO)
        raise SourceError(f"{shown}: {told}")


def member_at(path: Path) -> tuple[ZipMembers, str] | None:
    """Find the file of an archive that a path leads into, as ``export.zip/chats/door.jpg``."""
    archive = next((one for one in path.parents if one.is_file()), None)
    if archive is None:
        return None
    members = _opened_once(str(archive), archive.stat().st_mtime_ns)
    name = _spelled(path.relative_to(archive).as_posix())
    return (members, name) if members is not None and name in members.names else None


@lru_cache(maxsize=4)
def _opened_once(path: str, _changed: int) -> ZipMembers | None:
    try:
        return ZipMembers(path, path)
    except SourceError:
        return None


def below(path: str, folder: str) -> str:
    """Give what follows a folder of that name, if a path leads through it.

    Some exports name files from above what is at hand of them.
    """
    return f"/{path}".partition(f"/{folder}/")[2] if folder else ""


class Beside(NamedTuple):
    """What lies with a source: its reader's way to the other files of an export.

    ``inner`` is the source's folder in the export. Standard input has no ``members``; those of a
    source that was named alone are the files in its folder.
    """

    members: Members | None = None
    inner: str = ""

    @property
    def folders(self) -> list[Path]:
        """The source's own folder on the disk, and that of the whole export; none in archives."""
        if not isinstance(self.members, FolderMembers):
            return []
        own = self.members.folder / self.inner
        return [own, self.members.folder] if self.inner else [own]

    def names(self) -> list[str]:
        """Name the files in the source's own folder."""
        start = f"{self.inner}/" if self.inner else ""
        every = () if self.members is None else self.members.names
        within = (name.removeprefix(start) for name in every if name.startswith(start))
        return [name for name in within if "/" not in name]

    def find(self, item: str) -> str | None:
        """Find a file by its path from the source's folder, or from that of the whole export.

        Its name in the export is given, and noted as taken.
        """
        path = _spelled(item.strip())
        rest = below(path, PurePosixPath(self.inner).name)
        for start, end in ((self.inner, path), ("", path), (self.inner, rest)):
            name = os.path.normpath(f"{start or '.'}/{end}")
            if self.members is not None and name in self.members.names:
                self.members.taken.add(name)
                return name
        return None

    def archived(self, item: str) -> tuple[Members, str] | None:
        """Find a file of an archive, as `find` does."""
        members = self.members if isinstance(self.members, ZipMembers) else None
        return (members, name) if members and (name := self.find(item)) else None

    def take(self, path: Path) -> None:
        """Note that a record names a file of the disk, which may be one of the export."""
        if isinstance(self.members, FolderMembers):
            root = Path(os.path.realpath(self.members.folder))
            if path.is_relative_to(root):
                self.members.taken.add(path.relative_to(root).as_posix())

    def read(self, item: str, most: int) -> bytes | None:
        """Read a file; None for one that is not there, or has more than ``most`` bytes.

        Raises:
            SourceError: it cannot be read.
        """
        name = self.find(item)
        if name is None or self.members is None or self.members.size(name) > most:
            return None
        return self.members.read(name)


_REPLACED: Final = re.compile(r"""[%?<>"'|*/\\:]""")

_CUT: Final = 47
"""Characters, after which Takeout cuts the names of files off."""


class NumberedFiles:
    """Names the files of records as Takeout lays them beside these, in their order.

    Several have one name, such as all pictures that were pasted: that of the second, if there is
    one, is ``image(1).png``. ``path`` is that of the names: ``attached_files[*].export_name``.
    """

    def __init__(self, path: str, beside: Beside) -> None:
        self._list, _, self._key = path.partition("[*].")
        self._find = beside.find
        self._seen = Counter[tuple[str, str]]()

    def settle(self, record: dict[str, Any]) -> None:
        """Put the names that the files have into a record."""
        items = record.get(self._list)
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict) and isinstance(given := item.get(self._key), str):
                item[self._key] = self._name(given)

    def _name(self, given: str) -> str:
        stem, dot, ending = given.rpartition(".") if "." in given else (given, "", "")
        plain = _REPLACED.sub("_", stem)
        stems = stem, plain, stem[:_CUT], plain[:_CUT]
        number = self._seen[plain[:_CUT], ending]
        self._seen[plain[:_CUT], ending] += 1
        is_numbered = number and any(self._find(f"{one}(1){dot}{ending}") for one in stems)
        end = f"({number}){dot}{ending}" if is_numbered else dot + ending
        return next(filter(self._find, (one + end for one in stems)), stem + end)
