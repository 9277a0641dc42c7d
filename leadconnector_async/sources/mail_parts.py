"""The parts of a mail: its text, its HTML, and what is attached."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from leadconnector_async.sources.attachments import SUFFIXES, Attached
from leadconnector_async.sources.encoding import body, decode_text
from leadconnector_async.sources.spool import safe_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from email.message import Message

if TYPE_CHECKING:
    Warn = Callable[[str], None]

_DEEPEST: Final = 40
"""Multiparts within each other. Real mails have five."""

_SUFFIX_OF: Final = {
    "image/jpeg": ".jpg",
    "image/jpg": ".jpg",
    "image/png": ".png",
    "video/mp4": ".mp4",
    "video/mpeg": ".mpeg",
    "audio/mpeg": ".mp3",
    "audio/mp3": ".mp3",
    "audio/wav": ".wav",
    "audio/x-wav": ".wav",
    "application/zip": ".zip",
    "application/x-zip-compressed": ".zip",
    "application/vnd.rar": ".rar",
    "application/x-rar-compressed": ".rar",
    "application/pdf": ".pdf",
    "application/msword": ".doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "text/plain": ".txt",
}

_BODIES: Final = {"text/plain": "texts", "text/html": "htmls"}

_SIGNATURES: Final = frozenset(
    [
        "application/pgp-signature",
        "application/pkcs7-signature",
        "application/x-pkcs7-signature",
    ]
)


class MailContent(Struct):
    """What a mail holds. A mail can have several texts, such as a footer added by a list."""

    texts: list[str] = []
    htmls: list[str] = []
    files: list[Attached] = []

    def __repr__(self) -> str:
        return f"Content({len(self.texts)} texts, {len(self.htmls)} html, {len(self.files)} files)"

    @property
    def message(self) -> str | None:
        """The text, if there is any."""
        return _joined(self.texts)

    @property
    def html(self) -> str | None:
        """The HTML, if there is any."""
        return _joined(self.htmls)


def mail_content(mail: Message, warn: Warn) -> MailContent:
    """Take a mail apart. ``warn`` is told of what was replaced or left out."""
    content = MailContent()
    _collect(mail, content, warn, 0)
    return content


def _joined(texts: list[str]) -> str | None:
    return "\n".join(text for text in texts if text.strip()) or None


def _collect(part: Message, content: MailContent, warn: Warn, depth: int) -> None:
    if depth > _DEEPEST:
        warn("parts within parts, too deep to be read: they are left out")
    elif part.get_content_type() == "multipart/alternative":
        _collect_best(part, content, warn, depth)
    elif part.get_content_maintype() == "multipart":
        for child in _children(part):
            _collect(child, content, warn, depth + 1)
    elif part.is_multipart():
        _collect_mail(part, content, warn)
    else:
        _collect_leaf(part, content, warn)


def _children(part: Message) -> Iterator[Message]:
    payload = part.get_payload()
    if isinstance(payload, list):
        yield from (child for child in payload if not isinstance(child, str))
    elif isinstance(payload, str):  # its boundary is missing: it is all text
        part.set_type("text/plain")
        yield part


def _collect_best(part: Message, content: MailContent, warn: Warn, depth: int) -> None:
    """Of several forms of one text take the last of each kind: writers put the best one last."""
    choices = [MailContent() for _ in _children(part)]
    for child, choice in zip(_children(part), choices, strict=True):
        if child.is_multipart() or child.get_content_type() in _BODIES:
            _collect(child, choice, warn, depth + 1)
        elif child.get_content_maintype() != "text":  # others are the same text once more
            _collect_leaf(child, choice, warn)
    for kind in _BODIES.values():
        filled: list[list[str]] = [found for one in choices if (found := getattr(one, kind))]
        getattr(content, kind).extend(filled[-1] if filled else ())
    content.files += (file for choice in choices for file in choice.files)


def _collect_mail(part: Message, content: MailContent, warn: Warn) -> None:
    """Keep a mail within a mail as a text file: the API takes no other form of it."""
    try:
        inner = b"\n\n".join(child.as_bytes() for child in _children(part))
    except (LookupError, ValueError, TypeError):  # the generator cannot write all that was parsed
        warn("forwarded mails that cannot be written again: they are left out")
        return
    _keep(part.get_filename() or "forwarded mail", "text/plain", inner, content, warn)


def _collect_leaf(part: Message, content: MailContent, warn: Warn) -> None:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    kind = part.get_content_type()
    filename = part.get_filename()
    if kind in _BODIES and not filename and part.get_content_disposition() != "attachment":
        text = body(decode_text(data, part.get_content_charset(), warn))
        getattr(content, _BODIES[kind]).append(text)
        return
    _keep(filename or "attachment", kind, data, content, warn)


def _keep(filename: str, kind: str, data: bytes, content: MailContent, warn: Warn) -> None:
    file = named_for(filename, kind, data, warn)
    if file is not None:
        content.files.append(file)


def named_for(filename: str, kind: str, data: bytes, warn: Warn) -> Attached | None:
    """Give a file a safe name, with the ending of its media type ``kind`` where its own says less.

    Without content, or of no use without the mail, it is left out.
    """
    if kind in _SIGNATURES or not data:
        warn(f"{'empty attachments' if not data else 'signatures of mails'}: they are left out")
        return None
    name = safe_name(filename)
    known = PurePosixPath(name).suffix.lower() in SUFFIXES
    return Attached(name if known else safe_name(name, _SUFFIX_OF.get(kind, "")), data)
