"""Mail: mbox files, files of one mail each (``.eml``, ``.emlx``), and folders of them: Maildir."""

import json
import re
from collections.abc import Generator, Iterable, Iterator
from email.errors import CloseBoundaryNotFoundDefect
from email.message import Message
from email.parser import BytesFeedParser
from email.policy import compat32
from pathlib import PurePath
from typing import Final, Self

from msgspec.structs import replace

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Problem
from leadconnector_async.sources.base import MAIL_LIMIT, Identity, Parsed, SourceOptions
from leadconnector_async.sources.fields import WrongValueError, notice, problem_of, wrong_value
from leadconnector_async.sources.files.byte_stream import ByteStream, LineSplitter, SourceFile
from leadconnector_async.sources.files.encoding import Utf8Text
from leadconnector_async.sources.files.members import Members
from leadconnector_async.sources.formats import mail_headers, mbox
from leadconnector_async.sources.formats.mail_headers import MailPerson
from leadconnector_async.sources.formats.mbox import MailContent, MailPiece, split, whole
from leadconnector_async.sources.formats.phone_mail import of_phone
from leadconnector_async.sources.formats.stream_source import OpenSource, SourceFormat
from leadconnector_async.sources.mappings import coerce

Values = dict[str, object]

NO_MAIL: Final = 'holds no mail: an mbox file has lines "From …" with a header after them'

_CHUNK: Final = 1 << 16
"""Bytes fed to the parser at once: given a whole mail, it would hold four copies of it."""

_SENT: Final = re.compile(rb"(?im)^(?:date|to|b?cc):.*$")

OPEN_END: Final = "mails whose last part has no end: they may be cut short"

_PROGRAM: Final = re.compile(
    r"word-?press|(?:no|do-?not)[-_.]?reply\b.*|www(?:-data)?|apache|nobody|mailer|notifications?"
    r"|(?:web|contact)?-?forms?(?:-submission)?"
)
"""What stands before the @ of those whom nobody answers."""


class MailReader:
    """Makes records of mails.

    ``raw`` of a record is a line of JSON with the API's names, so that the list of those that
    failed is JSON Lines: a mail cannot be mended, and with its attachments it can be large.

    Raises:
        SourceError: the owner's addresses are not given, or a label is none.
    """

    def __init__(self, name: str, options: SourceOptions) -> None:
        self.name: str = name
        self._coercer = coerce.RowCoercer(options)
        self._mine = mail_headers.OwnAddresses(name, options.mine)
        self._left_out = mail_headers.left_out_states(options)
        self._options = options
        self.notices: list[str] = []
        """What is to be known of the mail at hand."""
        self.warnings: list[str] = []
        if options.mapping_file is not None:
            self.warnings.append("holds mails, which are read without --mapping")
        unmapped = replace(options, mapping={}, date_format=None)
        self.form: bytes = SourceFormat.of(unmapped, "jsonl").encoded()

    def _warn(self, notice: str) -> None:
        if notice not in self.notices:
            self.notices.append(notice)

    def mails(
        self,
        stream: ByteStream,
        chunks: Iterable[bytes],
        states: set[str],
        file: str | None = None,
        *,
        single: bool,
    ) -> Generator[Parsed, None, bool]:
        """Read the mails of a file, and return whether there are any.

        What it has beside them is told in ``warnings``. ``states`` is what its name says became of
        them, ``file`` its name in a folder, which is given back with a record that failed.
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
        return found

    def parsed(
        self, piece: MailPiece, *, file: str | None = None, cut: Problem | None = None
    ) -> Parsed:
        """Read a mail. Of one that was ``cut`` off the head alone is read."""
        self.notices = []
        if piece.size > MAIL_LIMIT:
            cut = problem_of("long_mail", size=piece.size, limit=MAIL_LIMIT)
        try:
            values, problem = self.values(piece, head_only=cut is not None)
        except mail_headers.LeftOutError as left_out:
            why, id_ = left_out.args
            raw = json.dumps({"file": file or self.name, "line": piece.line}).encode()
            return Parsed(piece.line, raw, None, (), Identity(id_, None, None), left_out=why)
        if piece.is_cut or (piece.postmark and not piece.ended and OPEN_END in self.notices):
            cut = cut or problem_of("cut_mail")
        given = coerce.as_given(values)
        # Options tell when it was, and whom it is with; an id is told by itself.
        told = (given.get(name) for name in ("subject", "message", "html", "emailFrom"))
        said = None if "id" in given else [_SENT.findall(piece.content), *told]
        raw = coerce.in_api_names({"file": file, **values}, said)
        parsed = self._coercer.parsed(piece.line, raw, values, self.notices)
        if broken := cut or problem:
            problems = (broken, *parsed.problems)
            return parsed._replace(row=None, problems=problems, identity=coerce.identity_of(given))
        return parsed

    def values(self, piece: MailPiece, *, head_only: bool) -> tuple[Values, Problem | None]:
        """Name the values of a mail. A problem is of the mail as a whole.

        Raises:
            LeftOutError: it is not to be imported.
            SourceError: an attachment cannot be kept.
        """
        values: Values = {"type": "Email"}
        raw = piece.content
        if head_only:
            raw = re.split(rb"\r?\n\r?\n", raw, maxsplit=1)[0]
        try:
            parser = BytesFeedParser(policy=compat32)
            for start in range(0, len(raw), _CHUNK):
                parser.feed(raw[start : start + _CHUNK])
            mail = parser.close()
            head = mail_headers.Head(mail)
            values |= self._head_values(head, piece)
            if not head_only:
                values |= self._content_values(mail)
            values = of_phone(head, values, self._coercer.contacts)
        except (LookupError, ValueError, TypeError, AttributeError, AssertionError, RecursionError):
            # The parser raises any of these on mails that were made to break it.
            return values, problem_of("broken_mail")
        return values, None

    def _head_values(self, head: mail_headers.Head, piece: MailPiece) -> Values:
        states = mail_headers.states_of(head) | piece.states
        for state, why in self._left_out.items():
            if state in states:
                raise mail_headers.LeftOutError(why, head.id)
        for told in mail_headers.notices_of(states, head):
            self._warn(told)
        postmark = mbox.postmark_of(piece.postmark)
        # What programs write that know no sender: the date with it is that of their writing.
        if postmark and postmark[0].upper() == "MAILER-DAEMON" and "bounces" not in states:
            postmark = None
        date = head.date(self._options.timezone, postmark, self._warn)
        at: object = date
        if not isinstance(date, WrongValueError):
            at = date.isoformat()
        elif self._options.undated == "now" and not head.first("date"):
            at = None
        return {
            "id": head.id,
            "altId": head.id,
            "date": at,
            "subject": mail_headers.header_text(head.first("subject")) or None,
            "inReplyTo": head.ancestors or None,
            **self._side_values(head, states),
        }

    def _side_values(self, head: mail_headers.Head, states: set[str]) -> Values:
        """Tell who wrote to whom, seen from the owner of the mailbox."""
        sender = next(iter(head.people("from") or head.people("sender")), None)
        to, cc, bcc = head.people("to"), head.people("cc"), head.people("bcc")
        mine = self._mine
        others = [person for person in (*to, *cc, *bcc) if person not in mine]
        asker = self._asker(head, sender, others)
        is_sent = asker is None and sender is not None and sender in mine
        other = next(iter(others), None) if is_sent else asker or sender
        values: Values = {
            "emailFrom": sender.address if sender else None,
            "emailBcc": [person.address for person in bcc] or None,
        }
        if other is None:
            why = "the mail names no sender"
            if is_sent:
                named = to or cc or bcc
                why = "all its recipients are yours" if named else "the mail names no recipient"
            values["contact.email"] = wrong_value("mail_with_nobody", why=why)
        else:
            if "sent" in states and not is_sent:
                self._warn(notice("sent_not_by_mine"))
            values |= {
                "direction": "outbound" if is_sent else "inbound",
                "contact.email": other.address,
                "contact.name": other.name or None,
            }
            # The API takes one recipient. The others stay readable beside those of cc.
            near = other.folded
            if is_sent and any(person.folded != near for person in others):
                self._warn(notice("several_recipients"))
            to = sorted(to, key=lambda one: one.folded != near if is_sent else one not in mine)
        values["emailTo"] = to[0].address if to else None
        values["emailCc"] = [person.address for person in (*to[1:], *cc)] or None
        return values

    def _asker(
        self, head: mail_headers.Head, sender: MailPerson | None, others: list[MailPerson]
    ) -> MailPerson | None:
        """Who is to be answered, of a mail that a program sent: one of the owner's, to himself.

        Or one that says in its address that nobody answers it, and is of another system than who is
        to be answered: many a system has an address for each mail.
        """
        is_own = sender is not None and sender in self._mine
        to_own = is_own and not others and bool(head.people("to"))
        answered = (one for one in head.people("reply-to") if one not in self._mine)
        asker = next((one for one in answered if not _is_program(one)), None)
        by_program = not is_own and _is_program(sender) and not _is_of(sender, asker)
        if asker is None or not (to_own or by_program):
            return None
        self._warn(notice("by_program"))
        return asker

    def _content_values(self, mail: Message) -> Values:
        content = MailContent(self._warn)
        content.add(mail)
        if any(isinstance(defect, CloseBoundaryNotFoundDefect) for defect in mail.defects):
            self._warn(OPEN_END)
        kept = self._coercer.files.keep(content.files, "Email", self._warn)
        texts = {"message": content.text("text/plain"), "html": content.text("text/html")}
        return {**texts, "attachments": kept or None}


def _is_of(sender: MailPerson | None, other: MailPerson | None) -> bool:
    """Tell addresses of one domain, or of one within the other's."""
    one, two = (f".{one.folded.rpartition('@')[2]}" if one else "" for one in (sender, other))
    return one.endswith(two) or two.endswith(one)


def _is_program(person: MailPerson | None) -> bool:
    return person is not None and bool(_PROGRAM.fullmatch(person.folded.partition("@")[0]))


class Mailbox(MailReader, OpenSource):
    """Reads an mbox file, or, for ``single``, a file that is one mail."""

    def __init__(self, text: Utf8Text, options: SourceOptions, *, single: bool) -> None:
        OpenSource.__init__(self, text.stream)
        MailReader.__init__(self, self.name, options)
        self._chunks = text.chunks()
        self._single = single

    def __iter__(self) -> Iterator[Parsed]:
        states = mail_headers.states_of_folders([PurePath(self.name).name])
        if not (yield from self.mails(self._stream, self._chunks, states, single=self._single)):
            raise SourceError(f"{self.name}: {self._stream.damage or NO_MAIL}")


_FLAGS: Final = {"D": "drafts", "T": "deleted"}
"""Flags in the names of a Maildir's files."""

_FLAGGED: Final = re.compile(r"[:;!_]2,([A-Za-z]*)(?:[.,]\S*)?\Z")
"""Where they stand. Drives of Windows, and what was copied there, have no colon."""


class MailFolder(MailReader):
    """Reads the mails in these files of a folder or an archive, in their order.

    Each comes with whether it is a single mail. The line of a record is that in its mbox file; of a
    mail that is a file, the number of the file, from 1.
    """

    def __init__(
        self, members: Members, files: list[tuple[SourceFile, bool]], options: SourceOptions
    ) -> None:
        super().__init__(members.name, options)
        self.size: int | None = None
        self.bytes_read: int = 0
        self._files = files

    def __iter__(self) -> Iterator[Parsed]:
        for number, (file, single) in enumerate(self._files, 1):
            for parsed in self._read(file, single=single):
                if single:
                    yield parsed._replace(line=number, within=file.member)
                else:
                    yield parsed._replace(within=f"{file.member}:{parsed.line}")

    def _read(self, file: SourceFile, *, single: bool) -> Iterator[Parsed]:
        name = file.member
        try:
            stream = file.stream()
        except SourceError:  # a mail program can move or delete it at any moment
            yield _refused(name, problem_of("unopened_mail"))
            return
        try:
            folders = [PurePath(self.name).name, *PurePath(name).parts]
            states = mail_headers.states_of_folders(folders)
            flagged = _FLAGGED.search(name)
            flags = flagged[1] if flagged else ""
            states |= {state for flag, state in _FLAGS.items() if flag in flags}
            found = yield from self.mails(stream, stream.chunks(), states, name, single=single)
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
