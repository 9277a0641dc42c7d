"""Mails of an mbox file, one at a time; which files of an export hold mails; parts of a mail."""

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator
from email.message import Message
from functools import cache
from itertools import chain
from pathlib import PurePath
from typing import Final, NamedTuple

from leadconnector_async.sources.base import MAIL_LIMIT
from leadconnector_async.sources.fields import expression, notice
from leadconnector_async.sources.files.attachments import Attached, named_for
from leadconnector_async.sources.files.byte_stream import SourceFile, TooLong
from leadconnector_async.sources.files.encoding import body, decode_text, payload_of
from leadconnector_async.sources.formats.mail_headers import header_text

FROM: Final = b"From "

_QUOTED: Final = re.compile(rb">+From ")

_HEADER: Final = re.compile(rb"[A-Za-z][\w.-]*[ \t]*:|>From ")
"""A field's name and its colon. RFC 5322, 2.2 allows it more signs: rows of
tables have those. Relays once put a ``>From`` line on top."""


@cache
def _of_bytes(name: str) -> re.Pattern[bytes]:
    return re.compile(expression(name).pattern.encode(), re.VERBOSE)


_FLAGS: Final = re.compile(rb"<key>flags</key>\s*<integer>(\d+)</integer>")

_BITS: Final = {1: "deleted", 6: "drafts", 24: "spam"}
"""Bits of the flags that Apple Mail keeps behind a mail."""

_DIGITS: Final = 12
"""Of a number that may be of any length in a file."""

_COUNT: Final = re.compile(rb"\s*(\d+)\s*?\r?\n")


class MailPiece(NamedTuple):
    """A mail: the line that it begins in, its bytes, and how many bytes it has in the file.

    Of a mail that is longer than any may be, the beginning is given. ``ended`` tells that another
    mail follows, so that this one is whole even if the file breaks off later. ``postmark`` is the
    ``From`` line before it, ``states`` what its container says became of it. One that ``is_cut`` is
    shorter than its file says.
    """

    line: int
    content: bytes
    size: int
    ended: bool = False
    postmark: bytes = b""
    states: frozenset[str] = frozenset()
    is_cut: bool = False

    def __repr__(self) -> str:
        return f"MailPiece(line={self.line}, {self.size} bytes)"


def split(
    lines: Iterable[bytes], lost: Callable[[int], None] = lambda _: None
) -> Iterator[MailPiece]:
    """Split at ``From`` lines, and unquote others (mboxrd).

    A ``From`` line begins a mail if `_begins` says so. ``Content-Length`` is not used: whatever
    edits a file leaves it as it was. ``lost`` is told each line with text before the first mail.
    """
    mail = _Mail()
    held = last = b""
    every = iter(lines)
    first = next(every, b"")
    # One that is too long is of a type of its own.
    first = first if isinstance(first, TooLong) else first.removeprefix(BOM_UTF8)
    for number, line in enumerate(chain([first], every), 1):
        if held:
            if _begins(held, line, after_blank=_is_blank(last), is_first=not mail.begin):
                yield from mail.pieces(ended=True)
                mail = _Mail(number - 1, held)
            elif not mail.add(held):
                lost(number - 1)
            held, last = b"", held
        if line[: len(FROM)] == FROM:
            held = line
            continue
        last = line
        if mail.add(line):
            continue
        if number == 1 and _of_bytes("mail_field").match(line):  # its From line is not there
            mail = _Mail(1)
            mail.add(line)
        elif not _is_blank(line):
            lost(number)
    if held and not mail.add(held):
        lost(number)
    yield from mail.pieces(ended=False)


def _is_blank(line: bytes) -> bool:
    return not line.strip() and not isinstance(line, TooLong)


class _Mail:
    """The mail that is being read; 0 for ``begin`` stands for what comes before the first."""

    def __init__(self, begin: int = 0, postmark: bytes = b"") -> None:
        self.begin = begin
        self._postmark = postmark
        self._taken = bytearray()
        self._size = 0

    def add(self, line: bytes) -> bool:
        """Add a line; False where there is no mail to add it to."""
        if not self.begin:
            return False
        self._size += len(line) + 1
        if not line and isinstance(line, TooLong):
            self._size += line.length
        if self._size <= MAIL_LIMIT:
            self._taken += line[1:] if line[:1] == b">" and _QUOTED.match(line) else line
            self._taken += b"\n"
        return True

    def pieces(self, *, ended: bool) -> Iterator[MailPiece]:
        """Take the bytes out, so that they are not kept while the mail is worked on."""
        if not self.begin:
            return
        del self._taken[-1:]
        content = bytes(self._taken)
        self._taken.clear()
        yield MailPiece(self.begin, content, self._size, ended, self._postmark)


def _begins(line: bytes, following: bytes, *, after_blank: bool, is_first: bool) -> bool:
    """Tell a ``From`` line that begins a mail from one of a text.

    A header has to follow. With a sender and a date any will do. Lines without a date are those of
    few programs: after them it has to be a header that mails begin with, since texts hold "From the
    team:", and "Note: ..." in the next line.
    """
    if not _HEADER.match(following):
        return False
    sender = line[len(FROM) :].strip()
    if is_first or sender == b"-" or _of_bytes("postmark").match(line):
        return True
    is_top = _of_bytes("mail_field").match(following) is not None
    if not sender:
        return after_blank or is_top
    if is_top and after_blank and _of_bytes("address_and_day").match(sender):
        return True
    return is_top and b" " not in sender and (after_blank or b"@" in sender)


def whole(chunks: Iterable[bytes]) -> MailPiece:
    """Take a file for one mail, less the ``From`` line that it may begin with.

    Apple Mail (``.emlx``) writes the bytes of the mail before it, and what became of it behind it.
    """
    content = bytearray()
    size = 0
    for chunk in chunks:
        size += len(chunk)
        content += chunk[: max(0, MAIL_LIMIT - len(content))]
    postmark, states, is_cut = b"", frozenset[str](), False
    if content.startswith(BOM_UTF8):
        del content[: len(BOM_UTF8)]
    if content.startswith((b"\r", b"\n")):  # an empty line would be the end of its headers
        content = content.lstrip(b"\r\n")
    if content.startswith((FROM, b">From ")):
        end = content.find(b"\n") + 1
        postmark = bytes(content[:end])
        del content[:end]
    elif count := _COUNT.match(content):
        end = count.end() + int(count[1][:_DIGITS])
        is_cut = size < end
        found = _FLAGS.search(content, end)
        flags = int(found[1][:_DIGITS]) if found else 0
        states = frozenset(state for bit, state in _BITS.items() if flags >> bit & 1)
        del content[end:], content[: count.end()]
    return MailPiece(1, bytes(content), size, postmark=postmark, states=states, is_cut=is_cut)


def postmark_of(line: bytes) -> tuple[str, str] | None:
    """The sender and the date of a ``From`` line."""
    found = _of_bytes("postmark").match(line)
    if found is None:
        return None
    return found["sender"].decode("ascii", "replace"), found["date"].decode("ascii", "replace")


def begins_with_mail(beginning: bytes, *, named: bool) -> bool | None:
    """Tell whether a file of any name begins with a mail: True for one alone, False for an mbox.

    A file with an ending in its name, ``named``, is a single mail only if two fields begin it.
    """
    lines = beginning.split(b"\n", 2)
    if len(lines) > 1 and lines[0].startswith(FROM) and _HEADER.match(lines[1]):
        return False
    fields = _of_bytes("two_mail_fields" if named else "mail_field")
    return True if fields.match(beginning) else None


_INDEX: Final = (".msf", "table_of_contents", "maildirfolder", "maildirsize", "subscriptions")
"""Ends of the names of files that mail programs keep beside mails."""


def holds_mail(file: SourceFile) -> bool | None:
    """Tell a file of one mail from one of many; None for one of none."""
    assert file.members is not None  # noqa: S101 - of an export
    folder, _, name = file.member.rpartition("/")
    lower = name.lower()
    if lower.endswith((".eml", ".eml.gz", ".emlx")):
        return True
    if is_passed_over(file.member):
        return None
    if PurePath(folder).name in {"cur", "new"}:  # of a Maildir, whatever its files are called
        return True
    if lower.endswith((".mbox", ".mbx", ".mbox.gz", ".mbx.gz")):
        return False
    if not file.members.size(file.member):
        return None
    found = begins_with_mail(file.peek()[0], named="." in name)
    return None if found and "." in name else found


def is_passed_over(name: str) -> bool:
    """Tell what systems, mail programs and Office keep beside what is their owner's."""
    name = name.rpartition("/")[2].lower()
    return name.startswith((".", "~$")) or name.endswith(_INDEX)


_DEEPEST: Final = 40
"""Multiparts within each other. Real mails have five."""


class MailContent:
    """What a mail holds. A mail can have several texts, such as a footer added by a list.

    ``warn`` is told of what was replaced or left out.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self.texts: dict[str, list[str]] = {"text/plain": [], "text/html": []}
        self.files: list[Attached] = []
        self._warn = warn

    def text(self, kind: str) -> str | None:
        """The text of a media type, if there is any."""
        return "\n".join(text for text in self.texts[kind] if text.strip()) or None

    def add(self, part: Message, depth: int = 0) -> None:
        """Take a mail, or a part of one, apart."""
        if depth > _DEEPEST:
            self._warn("parts within parts, too deep to be read: they are left out")
        elif part.get_content_type() == "multipart/alternative":
            self._add_best(part, depth)
        elif part.get_content_maintype() == "multipart":
            for child in _children(part):
                self.add(child, depth + 1)
        elif part.is_multipart():
            self._add_mail(part)
        else:
            self.add_leaf(part)

    def _add_best(self, part: Message, depth: int) -> None:
        """Of several forms of a text take the last of each kind: writers put the best one last."""
        choices = [MailContent(self._warn) for _ in _children(part)]
        for child, choice in zip(_children(part), choices, strict=True):
            if child.is_multipart() or child.get_content_type() in self.texts:
                choice.add(child, depth + 1)
            elif child.get_content_maintype() != "text":  # others are the same text once more
                choice.add_leaf(child)
        for kind, texts in self.texts.items():
            texts.extend(next((one.texts[kind] for one in choices[::-1] if one.text(kind)), ()))
        self.files += (file for choice in choices for file in choice.files)

    def _add_mail(self, part: Message) -> None:
        """Keep a mail within a mail as a text file: the API takes no other form of it."""
        try:
            inner = b"\n\n".join(child.as_bytes() for child in _children(part))
        except (LookupError, ValueError, TypeError):  # the generator cannot write all it parsed
            self._warn("forwarded mails that cannot be written again: they are left out")
            return
        self._keep(_filename(part) or "forwarded mail", "text/plain", inner)

    def add_leaf(self, part: Message) -> None:
        """Take a part that has no others in it."""
        data = payload_of(part, self._warn)
        kind, filename = part.get_content_type(), _filename(part)
        is_text = kind in self.texts and part.get_content_disposition() != "attachment"
        if is_text and not filename:
            self.texts[kind].append(body(decode_text(data, part.get_content_charset(), self._warn)))
        elif data or "X-Apple-Content-Length" not in part:
            self._keep(filename or "attachment", kind, data)
        else:
            self._warn(notice("kept_apart"))

    def _keep(self, filename: str, kind: str, data: bytes) -> None:
        file = named_for(filename, kind, data, self._warn)
        self.files += () if file is None else (file,)


def _children(part: Message) -> Iterator[Message]:
    payload = part.get_payload()
    if isinstance(payload, list):
        yield from (child for child in payload if not isinstance(child, str))
    elif isinstance(payload, str):  # its boundary is missing: it is all text
        part.set_type("text/plain")
        yield part


def _filename(part: Message) -> str | None:
    """Read a file's name, which many programs write as words of RFC 2047, or in UTF-8 as it is."""
    name = part.get_filename()
    return name and header_text(name)
