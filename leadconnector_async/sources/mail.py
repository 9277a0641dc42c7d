"""Mail: mbox files, and files of one mail each (``.eml``)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Self

from leadconnector_async._errors import SourceError
from leadconnector_async._messages import Problem
from leadconnector_async.sources._form import Form
from leadconnector_async.sources._lines import Lines
from leadconnector_async.sources._mail_record import Deleted, Mine, read_mail
from leadconnector_async.sources._mbox import Piece, split, whole
from leadconnector_async.sources._shape import Shaper, as_given, identity_of
from leadconnector_async.sources.row import MAIL_LIMIT, Parsed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from leadconnector_async.sources._stream import Stream
    from leadconnector_async.sources.row import SourceOptions


class MailReader:
    """Makes records of mails.

    ``raw`` of a record is a line of JSON with the API's names, so that the list of those that
    failed is JSON Lines: a mail cannot be mended, and with its attachments it can be large.
    """

    def __init__(self, name: str, options: SourceOptions) -> None:
        self._mine = Mine(name, options.mine)
        self._shaper = Shaper(options)
        self.form = Form(
            format="jsonl",
            timezone=None if options.timezone is None else str(options.timezone),
            region=options.region,
        ).encoded()

    def parsed(
        self, piece: Piece, *, file: str | None = None, cut: Problem | None = None
    ) -> Parsed:
        """Read a mail.

        ``file`` is given back with a record that failed. Of a mail that was ``cut`` off the head
        alone is read.
        """
        files, notices = self._shaper.files, list[str]()
        if piece.size > MAIL_LIMIT:
            wrong = f"is {piece.size} bytes long, over the limit of {MAIL_LIMIT}"
            cut = Problem("mail", wrong, "take its attachments out, or skip it")
        try:
            values, problem = read_mail(
                piece.content, self._mine, files, notices.append, head_only=cut is not None
            )
        except Deleted:
            return left_out(piece.line, "deleted mails", file)
        given = as_given(values)
        raw = json.dumps({"file": file, **given} if file else given, ensure_ascii=False).encode()
        parsed = self._shaper.parsed(piece.line, raw, values, notices)
        if broken := cut or problem:
            problems = (broken, *parsed.problems)
            return parsed._replace(row=None, problems=problems, identity=identity_of(given))
        return parsed


def left_out(line: int, why: str, file: str | None = None) -> Parsed:
    """Give a mail that is not to be sent, without what it holds."""
    return Parsed(line, json.dumps({"file": file or line}).encode(), None, (), left_out=why)


class Mailbox:
    """Reads an mbox file, or, for ``single``, a file that is one mail.

    Raises:
        SourceError: the owner's addresses are not given.
    """

    def __init__(
        self, stream: Stream, chunks: Iterable[bytes], options: SourceOptions, *, single: bool
    ) -> None:
        self.name = stream.name
        self.warnings: list[str] = []
        self._stream = stream
        self._chunks = chunks
        self._single = single
        self._reader = MailReader(stream.name, options)
        self.form = self._reader.form

    @property
    def bytes_read(self) -> int:
        """How far the file is read, in bytes as they are stored."""
        return self._stream.bytes_read

    @property
    def size(self) -> int | None:
        """Bytes of the file; None where it cannot be known."""
        return self._stream.size

    def __iter__(self) -> Iterator[Parsed]:
        found = False
        for piece in self._pieces():
            found = True
            # Where the file breaks off, nobody can tell whether its last mail is whole.
            cut = None if piece.ended else self._stream.damage
            yield self._reader.parsed(piece, cut=cut)
        if not found:
            reason = self._stream.damage or 'holds no mail: an mbox file has lines "From …"'
            raise SourceError(f"{self.name}: {reason}")

    def _pieces(self) -> Iterator[Piece]:
        if self._single:
            return iter([whole(self._chunks)])
        return split(Lines(self._chunks, self._stream))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.close()
