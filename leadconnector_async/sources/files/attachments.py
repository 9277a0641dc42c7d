"""Files that records name, or that come within them: where they may lie, and which the API takes.

Source of the types: the OpenAPI file's ``POST /conversations/messages/upload``. Of the sizes: the
description of ``channel`` of its ``/conversations/messages/upload/signed-url``.
"""

import os
import re
import stat
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path, PurePath
from typing import Final
from unicodedata import normalize
from urllib.parse import urlsplit

from msgspec import Struct

from leadconnector_async.sources.base import SourceOptions
from leadconnector_async.sources.fields import WrongValueError, read_list, table_of, wrong_value
from leadconnector_async.sources.files.members import Beside, Members, below, member_at
from leadconnector_async.sources.files.spool import Spool, SpooledUrl, packed, safe_name

Warn = Callable[[str], None]

LARGEST: Final = 5 << 20
"""Bytes of the largest file that the API takes."""

MAX_OF_WHATSAPP: Final = 100 << 20

_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)

LOCAL: Final = "file://"

_LONGEST: Final = 16_384
"""Characters of the longest path of a system, each of which may be three of a URL."""


def largest(type_: object) -> int:
    """Bytes of the largest file that a message of a type may have."""
    return MAX_OF_WHATSAPP if type_ == "WhatsApp" else LARGEST


def are_remote(items: Sequence[str]) -> bool:
    """Tell whether there is nothing to check."""
    return all(item.startswith(("https://", "http://")) for item in items)


def is_path(item: str) -> bool:
    """Tell a file from a URL, and from nothing at all."""
    return item.lower().startswith(LOCAL) or not (_SCHEME.match(item) or not item.strip())


def _path(url: str) -> Path:
    """The path of a ``file://`` URL; of one of another machine, one that is nowhere here."""
    from urllib.request import url2pathname  # noqa: PLC0415 - imports an HTTP client

    # "#" and "?" of a path are encoded in its URL, so that this takes nothing apart.
    try:
        parts = urlsplit(url)
    except ValueError:  # of "file://[x", a host that is none
        raise wrong_value("file_not_there") from None
    local = parts.netloc in ("", "localhost")
    return Path(url2pathname(parts.path)) if local else Path("//", parts.netloc)


def _empty() -> WrongValueError:
    return WrongValueError("is an empty file", "export it again, or take it out of the list")


SUFFIXES: Final = frozenset({".doc", ".docx", ".pdf", ".rar", ".txt", ".zip"}).union(
    (".jpeg", ".jpg", ".mp3", ".mp4", ".mpeg", ".png", ".wav")
)
"""The types of files that the API takes."""

_SIGNATURES: Final = frozenset(f"application/{of}-signature" for of in ("pgp", "pkcs7", "x-pkcs7"))

_PLAIN_SUFFIX: Final = re.compile(r"\.[a-z0-9]{1,5}")

_PACKED: Final = 1 << 10
"""Bytes, at most, by which a file grows when it is packed."""

_LEFT_OUT: Final = "which the API does not take: they are left out"


class Attached(Struct):
    """A file within a record, under a name that is safe."""

    name: str
    content: bytes

    def __repr__(self) -> str:
        return f"Attached({len(self.content)} bytes)"


class Attachments:
    """Takes the files of one source's records in.

    URLs pass. Files are named by ``file://`` URLs once their type and size are right; one of a type
    that the API does not take is packed, left out, or refused, as its owner says.

    Records may name the files in some folders, with all that is in them. A client's table must not
    make anybody upload what else is on the machine, so links are followed before it is told where a
    file lies. Standard input has no folder of its own: such records can come from anywhere.
    """

    def __init__(self, options: SourceOptions, beside: Beside) -> None:
        starts = (*beside.folders, *options.files)
        homes = starts if options.spool is None else (*starts, options.spool)
        self._homes = [Path(os.path.realpath(home)) for home in homes]
        self._starts = self._homes[: len(starts)]
        self._beside = beside
        self._spool = Spool(options.spool)
        self._other = options.other_files

    def read(self, value: object, type_: object, warn: Warn) -> list[str] | None:
        """Take what a record of a type of message names.

        Raises:
            WrongValueError: it is no list, or an item cannot be sent.
        """
        if isinstance(value, list) and all(isinstance(item, SpooledUrl) for item in value):
            return value or None
        items = read_list(value)
        if items is None or are_remote(items):
            return items
        taken: list[str] = []
        for number, item in enumerate(items, 1):
            # The rules of the API say what is wrong with other schemes.
            url = self._named(number, item, largest(type_), warn) if is_path(item) else item
            taken += () if url is None else (url,)
        return taken or None

    def dated(self, date: str, item: str) -> str:
        """Find a file before whose name a date and whom it is with stand: ``… - Kim - a.jpg``.

        Where there is not one alone, it is called as it was.
        """
        of_date = self._by_date.get(_figures(date), ())
        found = [name for name in of_date if name.endswith(f" - {item}")]
        return found[0] if len(found) == 1 else item

    @cached_property
    def _by_date(self) -> dict[str, list[str]]:
        """The names of all files beside the source that begin with a date, by that."""
        found: dict[str, list[str]] = {}
        listed = {path.name for start in self._starts for path in start.glob("* - *")}
        for name in listed.union(self._beside.names()):
            found.setdefault(_figures(name.split(" - ")[0]), []).append(name)
        return found

    def keep(
        self, files: Iterable[Attached], type_: object, warn: Warn
    ) -> list[str] | WrongValueError:
        """Take what a record of a type of message holds, each content once.

        Of a file that cannot be sent its owner is given the place, to mend it there.

        Raises:
            SourceError: a file cannot be kept.
        """
        urls: dict[str, None] = {}
        problem: WrongValueError | None = None
        for file in files:
            wrong = None
            try:
                ending = self._ending(file.name, len(file.content), largest(type_), warn)
            except WrongValueError as error:
                wrong, ending = error, ""
            if ending is None:
                continue
            url = self._kept(file.name, file.content, ending)
            urls[url] = None
            if wrong is not None and problem is None:
                number = list(urls).index(url) + 1
                problem = WrongValueError(f"item {number} {wrong.wrong}", wrong.fix)
        if problem is not None:
            problem.given = [str(url) for url in urls]
            return problem
        return list(urls)

    def _named(self, number: int, item: str, most: int, warn: Warn) -> str | None:
        try:
            found = self._beside.archived(item) or self._found(item)
            if isinstance(found, tuple):
                members, name = found
                if not (size := members.size(name)):
                    raise _empty()
                ending = self._ending(name, size, most, warn)
                return None if ending is None else self._kept(name, members.read(name), ending)
            self._beside.take(found)
            ending = self._ending(found.name, found.stat().st_size, most, warn)
            if not ending:
                return found.as_uri() if ending == "" else None
            return self._kept(found.name, found.read_bytes(), ending)
        except WrongValueError as error:
            raise WrongValueError(f"item {number} {error.wrong}", error.fix) from None
        except OSError as error:
            raise wrong_value("unread_item", number=number, error=error.strerror) from None

    def _found(self, item: str) -> Path | tuple[Members, str]:
        """Find a file, by a URL or by a path that starts at one of the folders.

        A path may lead into an archive, as those of lists of failed records do.
        """
        path = self._first(item)
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            if (inside := member_at(path)) is not None:
                return inside
            raise wrong_value("file_not_there") from None
        if not stat.S_ISREG(status.st_mode):
            raise WrongValueError("is no regular file", "name a file")
        if status.st_size == 0:
            raise _empty()
        return path

    def _first(self, item: str) -> Path:
        """The file in the first folder that has it. If none has, its place in the first folder."""
        if len(item) > _LONGEST:  # looking for each of its folders took minutes
            raise WrongValueError("is longer than the path of any file", "name a file")
        given = _path(item) if item.lower().startswith(LOCAL) else Path(item.strip())
        starts = self._homes[:1] if given.is_absolute() else self._starts
        is_piped = self._beside.members is None
        if not (self._starts or is_piped):
            raise wrong_value("not_in_archive")
        try:
            # A Mac takes the letters in names of files apart: é is e and an accent.
            text = str(given)
            texts = dict.fromkeys([text, normalize("NFC", text), normalize("NFD", text)])
            named = [start / text for text in texts for start in starts]
            ends = ((start, below(given.as_posix(), start.name)) for start in self._starts)
            named += (start / end for start, end in ends if end)
            places = [Path(os.path.realpath(place)) for place in named]
        except ValueError:
            raise wrong_value("nul_in_name") from None
        allowed = [place for place in places if False in self._hidden(place)]
        for place in allowed:
            if os.path.lexists(place):
                return place
        if "\\" in item:  # as programs on Windows write paths
            return self._first(item.replace("\\", "/"))
        if allowed[:1] == places[:1] != []:
            return allowed[0]
        if any(True in self._hidden(place) for place in places):
            raise wrong_value("hidden_file")
        if is_piped:
            raise wrong_value("file_of_input")
        raise wrong_value("file_outside")

    def _hidden(self, place: Path) -> list[bool]:
        """For each folder that a file lies in, whether it is hidden there."""
        return [
            any(part.startswith(".") for part in place.relative_to(home).parts)
            for home in self._homes
            if place != home and place.is_relative_to(home)
        ]

    def _ending(self, name: str, size: int, most: int, warn: Warn) -> str | None:
        """Tell what a file's name gets when it is sent: "" or ".zip"; None where it is left out."""
        suffix = PurePath(name).suffix.lower()
        fits = suffix in SUFFIXES
        files = f"files of type {suffix if _PLAIN_SUFFIX.fullmatch(suffix) else 'unknown'}"
        if not fits and self._other == "fail":
            types = ", ".join(sorted(suffix[1:] for suffix in SUFFIXES))
            raise wrong_value("other_file", types=types)
        if not fits and self._other == "leave-out":
            warn(f"{files}, {_LEFT_OUT}")
            return None
        if size > (most if fits else most - _PACKED):
            raise wrong_value("large_file", most=most >> 20)
        if not fits:
            warn(f"{files}, which the API does not take: they are sent as .zip")
        return "" if fits else ".zip"

    def _kept(self, name: str, content: bytes, ending: str) -> SpooledUrl:
        if ending:
            content = packed(safe_name(name), content)
        return self._spool.keep(safe_name(name, ending), content)


def named_for(filename: str, kind: str, data: bytes, warn: Warn) -> Attached | None:
    """Give a file a safe name, with the ending of its media type ``kind`` where its own says less.

    Without content, or of no use without the mail, it is left out.
    """
    if kind in _SIGNATURES or not data:
        warn(f"{'empty attachments' if not data else 'signatures of mails'}: they are left out")
        return None
    name = safe_name(filename)
    if PurePath(name).suffix.lower() not in SUFFIXES:
        name = safe_name(name, table_of("file_kinds")["endings"].get(kind, ""))
    return Attached(name, data)


def _figures(text: str) -> str:
    return "".join(filter(str.isdecimal, text))


def lost_files(notices: Iterable[str]) -> bool:
    """Tell by a record's notices whether files of it were left out."""
    return any(notice.endswith(_LEFT_OUT) for notice in notices)
