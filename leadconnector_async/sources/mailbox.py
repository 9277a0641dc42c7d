"""Mail: mbox files, files of one mail each (``.eml``, ``.emlx``), and folders of them: Maildir."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import TYPE_CHECKING, Final, Self

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Problem
from leadconnector_async.sources.base import MAIL_LIMIT, Identity, Parsed
from leadconnector_async.sources.byte_stream import LineSplitter
from leadconnector_async.sources.coerce import RowCoercer, as_given, identity_of
from leadconnector_async.sources.mail_headers import LeftOutError, Selection, states_of_folders
from leadconnector_async.sources.mail_message import OPEN_END, MailOptions, OwnAddresses, read_mail
from leadconnector_async.sources.mbox import Piece, begins_with_mail, split, whole
from leadconnector_async.sources.stream_source import OpenSource, SourceFormat

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from leadconnector_async.sources.base import SourceOptions
    from leadconnector_async.sources.byte_stream import ByteStream, SourceFile
    from leadconnector_async.sources.members import Members

UNMAPPED: Final = "holds mails, which are read without --mapping"

NO_MAIL: Final = 'holds no mail: an mbox file has lines "From …" with a header after them'

_CUT: Final = Problem(
    "file",
    "ends within this mail: it may be cut short",
    "copy or export the file again, and import it once more; if it is whole, import the mail "
    "from the list of failed ones",
)


class MailReader:
    """Makes records of mails.

    ``raw`` of a record is a line of JSON with the API's names, so that the list of those that
    failed is JSON Lines: a mail cannot be mended, and with its attachments it can be large.

    Raises:
        SourceError: the owner's addresses are not given, or a label is none.
    """

    def __init__(self, name: str, options: SourceOptions) -> None:
        self._name = name
        self._coercer = RowCoercer(options)
        self._how = MailOptions(
            mine=OwnAddresses(name, options.mine),
            selection=Selection(options),
            files=self._coercer.files,
            zone=options.timezone,
            undated=options.undated == "now",
            warn=self._warn,
        )
        self._notices: list[str] = []
        self.warnings: list[str] = [] if options.mapping_file is None else [UNMAPPED]
        self.form: bytes = SourceFormat(
            format="jsonl",
            timezone=None if options.timezone is None else str(options.timezone),
            region=options.region,
        ).encoded()

    def _warn(self, notice: str) -> None:
        if notice not in self._notices:
            self._notices.append(notice)

    def mails(
        self,
        stream: ByteStream,
        chunks: Iterable[bytes],
        states: set[str],
        file: str | None = None,
        *,
        single: bool,
    ) -> Iterator[Parsed]:
        """Read the mails of a file. What it has beside them is told in ``warnings``.

        ``states`` is what its name says became of them, ``file`` its name in a folder, which is
        given back with a record that failed.
        """
        first = count = 0

        def lose(line: int) -> None:
            nonlocal first, count
            first, count = first or line, count + 1

        found = False
        for piece in [whole(chunks)] if single else split(LineSplitter(chunks, stream), lose):
            # Where the file breaks off, nobody can tell whether its last mail is whole.
            cut = None if piece.ended else stream.damage
            yield self.parsed(piece._replace(states=piece.states | states), file=file, cut=cut)
            found = True
        if count and (found or file):
            lines = f"{file}: " * bool(file) + ("1 line" if count == 1 else f"{count:,} lines")
            self.warnings.append(f"{lines} before its first mail, from line {first} on: not read")

    def parsed(
        self, piece: Piece, *, file: str | None = None, cut: Problem | None = None
    ) -> Parsed:
        """Read a mail. Of one that was ``cut`` off the head alone is read."""
        self._notices = []
        if piece.size > MAIL_LIMIT:
            wrong = f"is {piece.size} bytes long, over the limit of {MAIL_LIMIT}"
            cut = Problem("mail", wrong, "take its attachments out, or skip it")
        try:
            values, problem = read_mail(piece, self._how, head_only=cut is not None)
        except LeftOutError as left_out:
            raw = json.dumps({"file": file or f"{self._name}:{piece.line}"}).encode()
            identity = Identity(left_out.id, None, None)
            return Parsed(piece.line, raw, None, (), identity, left_out=left_out.why)
        is_last = bool(piece.postmark) and not piece.ended
        if piece.is_cut or (is_last and OPEN_END in self._notices):
            cut = cut or _CUT
        given = as_given(values)
        raw = json.dumps({"file": file, **given} if file else given, ensure_ascii=False).encode()
        parsed = self._coercer.parsed(piece.line, raw, values, self._notices)
        if broken := cut or problem:
            problems = (broken, *parsed.problems)
            return parsed._replace(row=None, problems=problems, identity=identity_of(given))
        return parsed


class Mailbox(OpenSource):
    """Reads an mbox file, or, for ``single``, a file that is one mail.

    Raises:
        SourceError: the owner's addresses are not given.
    """

    def __init__(
        self, stream: ByteStream, chunks: Iterable[bytes], options: SourceOptions, *, single: bool
    ) -> None:
        super().__init__(stream)
        self._chunks = chunks
        self._single = single
        self._reader = MailReader(stream.name, options)
        self.form: bytes = self._reader.form
        self.warnings = self._reader.warnings

    def __iter__(self) -> Iterator[Parsed]:
        found = False
        states = states_of_folders([PurePath(self.name).name])
        for parsed in self._reader.mails(self._stream, self._chunks, states, single=self._single):
            found = True
            yield parsed
        if not found:
            reason = self._stream.damage or NO_MAIL
            raise SourceError(f"{self.name}: {reason}")


_MAILS: Final = frozenset({"cur", "new"})
"""Folders of a Maildir whose files are mails, whatever they are called."""

_FLAGS: Final = {"D": "drafts", "T": "deleted"}
"""Flags in the names of a Maildir's files."""

_SINGLE: Final = (".eml", ".eml.gz", ".emlx")

_MBOX: Final = (".mbox", ".mbx", ".mbox.gz", ".mbx.gz")

_INDEX: Final = (".msf", "table_of_contents", "maildirfolder", "maildirsize", "subscriptions")
"""Ends of the names of files that mail programs keep beside mails."""


def holds_mail(file: SourceFile) -> bool | None:
    """Tell a file of one mail from one of many; None for one of none."""
    assert file.members is not None  # noqa: S101 - of an export
    folder, _, name = file.member.rpartition("/")
    lower = name.lower()
    if lower.endswith(_SINGLE):
        return True
    if is_passed_over(file.member):
        return None
    if PurePath(folder).name in _MAILS:
        return True
    if lower.endswith(_MBOX):
        return False
    if not file.members.size(file.member):
        return None
    found = begins_with_mail(file.peek()[0], named="." in name)
    return None if found and "." in name else found


def is_passed_over(name: str) -> bool:
    """Tell what systems and mail programs keep beside what is their owner's."""
    name = name.rpartition("/")[2].lower()
    return name[0] == "." or name.endswith(_INDEX)


class MailFolder:
    """Reads the mails in these files of a folder or an archive, in their order.

    Each comes with whether it is a single mail. The line of a record is that in its mbox file; of a
    mail that is a file, the number of the file, from 1.

    Raises:
        SourceError: the owner's addresses are not given.
    """

    def __init__(
        self, members: Members, files: list[tuple[SourceFile, bool]], options: SourceOptions
    ) -> None:
        self.name: str = members.name
        self.size: int | None = None
        self.bytes_read: int = 0
        self._files = files
        self._reader = MailReader(self.name, options)
        self.warnings: list[str] = self._reader.warnings
        self.form: bytes = self._reader.form

    def __iter__(self) -> Iterator[Parsed]:
        for number, (file, single) in enumerate(self._files, 1):
            name = file.member
            for parsed in self._read(file, name, single=single):
                if single:
                    yield parsed._replace(line=number, within=name)
                else:
                    yield parsed._replace(within=f"{name}:{parsed.line}")

    def _read(self, file: SourceFile, name: str, *, single: bool) -> Iterator[Parsed]:
        try:
            stream = file.stream()
        except SourceError:  # a mail program can move or delete it at any moment
            fix = "check that it is there, and its permissions"
            yield _refused(name, Problem("mail", "cannot be opened", fix))
            return
        found = False
        try:
            states = states_of_folders([PurePath(self.name).name, *PurePath(name).parts])
            states |= {state for flag, state in _FLAGS.items() if flag in name.partition(":2,")[2]}
            for parsed in self._reader.mails(stream, stream.chunks(), states, name, single=single):
                found = True
                yield parsed
        finally:
            self.bytes_read += stream.bytes_read
            stream.close()
        if not found and stream.damage is not None:
            yield _refused(name, stream.damage)
        elif not found and stream.bytes_read:
            self.warnings.append(f"{name}: {NO_MAIL}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: each file is closed when it is read."""


def _refused(name: str, problem: Problem) -> Parsed:
    return Parsed(1, json.dumps({"file": name}).encode(), None, (problem,))
