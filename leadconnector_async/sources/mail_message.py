"""The parts of a mail: its text, its HTML, and what is attached; and whose mailbox it is in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from leadconnector_async.errors import SourceError
from leadconnector_async.sources.attachments import Attached, named_for
from leadconnector_async.sources.encoding import body, decode_text
from leadconnector_async.sources.mail_headers import header_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from email.message import Message

    from leadconnector_async.sources.mail_headers import Person

    Warn = Callable[[str], None]

_DEEPEST: Final = 40
"""Multiparts within each other. Real mails have five."""


class MailContent:
    """What a mail holds. A mail can have several texts, such as a footer added by a list.

    ``warn`` is told of what was replaced or left out.
    """

    def __init__(self, warn: Warn) -> None:
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
            texts.extend(next((best for one in choices[::-1] if (best := one.texts[kind])), ()))
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
        payload = part.get_payload(decode=True)
        data = payload if isinstance(payload, bytes) else b""
        kind, filename = part.get_content_type(), _filename(part)
        is_text = kind in self.texts and part.get_content_disposition() != "attachment"
        if is_text and not filename:
            text = decode_text(data, part.get_content_charset(), self._warn)
            self.texts[kind].append(body(text))
        else:
            self._keep(filename or "attachment", kind, data)

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


_NUMBER: Final = re.compile(r"\+?[\d ().-]+")
"""The owner's own, which tells nothing about mails."""

_SLIP: Final = re.compile(r"[\w-]+(?:\.[\w-]+)+")
"""An address or a domain without its ``@``."""


class OwnAddresses:
    """The owner's addresses.

    Raises:
        SourceError: there are none, or one is no address.
    """

    def __init__(self, source: str, addresses: Sequence[str]) -> None:
        # Numbers, and names beside an address, are the owner's in chats: one command reads both.
        others = [given for given in addresses if not _NUMBER.fullmatch(given.strip())]
        addresses = [given for given in others if "@" in given or _SLIP.fullmatch(given.strip())]
        addresses = addresses or others
        if not addresses:
            raise SourceError(
                f"{source}: holds mails: give your own addresses, such as --mine me@example.com, "
                "so that sent ones can be told from received ones"
            )
        for address in addresses:
            if "@" not in address or address.strip().endswith("@"):
                raise SourceError(
                    f"{source}: --mine {address} is no address: "
                    "give one such as me@example.com, or @example.com for all of a domain"
                )
        folded = {address.strip().lower() for address in addresses}
        self._domains = {address for address in folded if address.startswith("@")}
        self._addresses = folded - self._domains

    def __contains__(self, person: Person) -> bool:
        address = person.folded
        return address in self._addresses or f"@{address.rpartition('@')[2]}" in self._domains
