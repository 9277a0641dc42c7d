"""How much memory does reading a large export take, for each kind that is read?"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import count, cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple
from zipfile import ZIP_DEFLATED, ZipFile

import orjson

from benchmarks.contest import report

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB: Final = 1 << 20

TEXT: Final = "Are you open on Friday? We would come by at about noon, all four of us. " * 128
"""Of each message: 9,200 characters, so that a gigabyte has some 115,000."""

OPTIONS: Final = ("--region", "US", "--timezone", "UTC", "--mine", "me@shop.example")

PEOPLE: Final = 5_000

_RUN: Final = """
import atexit, sys
from pathlib import Path
@atexit.register
def tell():
    said = Path("/proc/self/status").read_text()
    sys.stderr.write(said.partition("VmHWM:")[2].split()[0])
from leadconnector_async.cli import main
main()
"""
"""What a process does, and says at its end: its peak in KiB. That of getrusage may be its parent's,
which a new process has before it becomes another program."""

PAGE_MESSAGES: Final = 5


class Message(NamedTuple):
    """What every kind of record says in its own way."""

    number: int
    phone: str
    is_in: bool
    at: datetime

    @property
    def way(self) -> str:
        """The direction."""
        return "inbound" if self.is_in else "outbound"


def _messages() -> Iterator[Message]:
    first = datetime(2020, 1, 1, tzinfo=UTC)
    for number, person in zip(count(), cycle(range(PEOPLE)), strict=False):
        at = first + number * timedelta(minutes=1)
        yield Message(number, f"+1303555{person:04d}", number % 2 == 0, at)


def _whatsapp(one: Message) -> str:
    who = "+1 303 555 0142" if one.is_in else "me@shop.example"
    return f"[{one.at:%Y-%m-%d}, {one.at:%H:%M:%S}] {who}: {one.number} {TEXT}\n"


def _imazing(one: Message) -> str:
    kind, sender = ("Incoming", one.phone) if one.is_in else ("Outgoing", "")
    # A sent one is the answer to the last received one.
    chat = one.phone if one.is_in else f"+1303555{(one.number - 1) % PEOPLE:04d}"
    about = f"{chat},{one.at:%Y-%m-%d %H:%M:%S},SMS,{kind},{sender}"
    return f'{about},,Read,,"{one.number} {TEXT}",\n'


def _imessage_txt(one: Message) -> str:
    who = "+13035550142" if one.is_in else "Me"
    return f"{one.at:%b %d, %Y %I:%M:%S %p}\n{who}\n{one.number} {TEXT}\n\n"


def _imessage_html(one: Message) -> str:
    box, who = ("received", "+13035550142") if one.is_in else ("sent iMessage", "Me")
    link = f'<a href="sms://open?message-guid={one.number}">{one.at:%b %d, %Y %I:%M:%S %p}</a>'
    return (
        f'<div class="message"><div class="{box}"><p><span class="timestamp">{link}</span> '
        f'<span class="sender">{who}</span></p><hr><div class="message_part">'
        f'<span class="bubble">{TEXT}</span></div></div></div>\n'
    )


def _google_voice(one: Message) -> str:
    return (
        f'<div class="message"><abbr class="dt" title="{one.at:%Y-%m-%dT%H:%M:%S}.000-07:00">then'
        f'</abbr>:<cite class="sender vcard"><a class="tel" href="tel:{one.phone}">'
        f'<span class="fn">Kim</span></a></cite>: <q>{one.number} {TEXT}</q> </div>\n'
    )


def _ours(one: Message) -> str:
    record = {"id": str(one.number), "type": "SMS", "direction": one.way, "message": TEXT}
    about = {"date": f"{one.at:%Y-%m-%dT%H:%M:%SZ}", "contact": {"phone": one.phone}}
    return orjson.dumps(record | about).decode() + "\n"


def _listed(one: Message) -> str:
    return ("," if one.number else "") + _ours(one)


def _telegram(one: Message) -> str:
    who = {"from": "Kim", "from_id": "user71"} if one.is_in else {"from": "Me", "from_id": "user5"}
    record = {"id": one.number, "type": "message", "date_unixtime": str(int(one.at.timestamp()))}
    return ("," if one.number else "") + orjson.dumps(record | who | {"text": TEXT}).decode() + "\n"


def _backup(one: Message) -> str:
    about = f'date="{one.at.timestamp() * 1000:.0f}" type="{1 if one.is_in else 2}"'
    return f'<sms address="{one.phone}" {about} body="{TEXT}" />\n'


def _mail(one: Message) -> str:
    pair = [f"kim{one.phone[1:]}@spoke.example", "me@shop.example"]
    sender, to = pair if one.is_in else pair[::-1]
    return (
        f"From {sender} {one.at:%a %b %d %H:%M:%S %Y}\nMessage-ID: <{one.number}@x.example>\n"
        f"Date: {one.at:%a, %d %b %Y %H:%M:%S +0000}\nFrom: {sender}\nTo: {to}\nSubject: Hours\n"
        f"\n{TEXT}\n\n"
    )


def _csv(one: Message) -> str:
    return f'{one.number},SMS,{one.way},{one.at:%Y-%m-%dT%H:%M:%SZ},{one.phone},"{TEXT}"\n'


_HEADER: Final = "id,type,direction,date,contact.phone,message\n"

_IMAZING: Final = (
    "Chat Session,Message Date,Service,Type,Sender ID,Sender Name,Status,Subject,Text,Attachment\n"
)

_CHAT: Final = '{"name": "+1 303 555 0142", "type": "personal_chat", "id": 71, "messages": [\n'

_KINDS: Final = {
    "whatsapp": ("WhatsApp Chat with +1 303 555 0142.txt", "", _whatsapp, ""),
    "imazing": ("imazing.csv", _IMAZING, _imazing, ""),
    "imessage-txt": ("+13035550142.txt", "", _imessage_txt, ""),
    "imessage-html": ("+13035550142.html", "<html><body>\n", _imessage_html, "</body></html>\n"),
    "google-voice": ("Kim - Text - {}.html", "<html><body>\n", _google_voice, "</body></html>\n"),
    "json-list": ("a.json", "[", _listed, "]\n"),
    "json-lines": ("a.jsonl", "", _ours, ""),
    "telegram": ("result.json", _CHAT, _telegram, "]}\n"),
    "xml": ("sms.xml", "<smses>\n", _backup, "</smses>\n"),
    "mbox": ("a.mbox", "", _mail, ""),
    "csv": ("a.csv", _HEADER, _csv, ""),
    "zip": ("a.csv", _HEADER, _csv, ""),
}
"""Of each kind: the name of its file, what it begins with, its records, and what it ends with."""


def write(kind: str, folder: Path, size: int) -> Path:
    """Write an export of that many bytes."""
    name, begin, record, end = _KINDS[kind]
    messages = _messages()
    written, number = 0, 0
    while written < size:
        path = folder / name.format(number)
        with path.open("w", encoding="utf-8", newline="") as file:
            file.write(begin)
            # Pages of Google Voice are small, and many.
            whole = min(size - written, PAGE_MESSAGES * 9_500) if "{}" in name else size
            while file.tell() < whole:
                file.writelines(record(next(messages)) for _ in range(PAGE_MESSAGES))
            file.write(end)
            written += file.tell()
        number += 1
    if kind == "zip":
        with ZipFile(folder / "a.zip", "w", ZIP_DEFLATED, compresslevel=1) as archive:
            archive.write(path, name)
        path.unlink()
        return folder / "a.zip"
    return folder if "{}" in name else path


def _cpu_s() -> float:
    """Seconds that all processes took which this one has waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def peak_of(path: Path) -> dict[str, object]:
    """Validate an export in a process of its own. Memory is its peak, all of its threads'."""
    command = [sys.executable, "-c", _RUN, "validate", str(path), "--json", *OPTIONS]
    before = _cpu_s()
    run = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - our own command
    said = orjson.loads(run.stdout or b"{}")
    return {
        "peak_mib": round(int(run.stderr.split()[-1]) / 1024, 1),
        "cpu_s": round(_cpu_s() - before, 1),
        "records": said.get("records"),
        "wrong": said.get("wrong"),
        "exit": run.returncode,
    }


def main() -> None:
    """Measure each kind at each size, and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.readers")
    parser.add_argument("--mib", type=int, nargs="+", default=(16, 64))
    parser.add_argument("--kinds", nargs="+", default=tuple(_KINDS), choices=tuple(_KINDS))
    given = parser.parse_args()
    found: dict[str, dict[str, object]] = {}
    for kind in given.kinds:
        for mib in given.mib:
            with TemporaryDirectory() as name:
                folder = Path(name, kind)
                folder.mkdir()
                found.setdefault(kind, {})[str(mib)] = peak_of(write(kind, folder, mib * MIB))
            sys.stderr.write(f"{kind} {mib} MiB: {found[kind][str(mib)]}\n")
    report("readers", kinds=found)


if __name__ == "__main__":
    main()
