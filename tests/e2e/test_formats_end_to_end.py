"""Every kind of source, through the command, to stored messages with their contacts."""

from __future__ import annotations

import base64
import json
import zipfile
from typing import TYPE_CHECKING

import pytest
from cli_harness import leadconnector
from late_harness import KIM, mail, run
from workbooks import workbook

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.sandbox import SandboxThread

HEADER = ["Phone", "Name", "Direction", "Date", "Text"]
ROWS: list[list[object]] = [
    ["(212) 555-0101", "Kim", "inbound", "2024-01-31T09:30:00Z", "hello"],
    ["212.555.0101", "Kim", "outbound", "2024-01-31T09:31:00Z", "hi Kim"],
]
PICTURE = base64.b64encode(b"\x89PNG picture").decode()
BACKUP = f"""<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>
<smses count="2">
  <sms address="(212) 555-0101" date="1706693400000" type="1" body="hello" contact_name="Kim" />
  <mms address="+12125550101" date="1706693460000" msg_box="2" contact_name="Kim">
    <parts>
      <part seq="0" ct="text/plain" text="hi Kim" />
      <part seq="1" ct="image/png" cl="cat.png" data="{PICTURE}" />
    </parts>
  </mms>
</smses>
"""


def assert_both_are_stored(sandbox: SandboxThread, kind: str = "SMS") -> None:
    """Two messages of one contact, told by one number in two spellings."""
    stored = [(m.type, m.direction, m.fields["message"]) for m in sandbox.messages]
    assert stored == [(kind, "inbound", "hello"), (kind, "outbound", "hi Kim")]
    assert [contact.get("phone") for contact in sandbox.contacts] == [KIM]
    assert len({m.contact_id for m in sandbox.messages}) == 1


def test_a_backup_of_a_phone_with_a_picture(sandbox: SandboxThread, tmp_path: Path) -> None:
    """Its texts and pictures, which are taken out, uploaded, and replaced by their URLs."""
    path = tmp_path / "sms.xml"
    path.write_text(BACKUP)
    run(sandbox, path, "--mapping", "sms-backup-restore", "--region", "US")
    assert_both_are_stored(sandbox)
    (upload,) = sandbox.uploads
    assert (upload.name, upload.content) == ("cat.png", base64.b64decode(PICTURE))
    assert sandbox.messages[1].fields["attachments"] == [upload.url]


def test_a_workbook(sandbox: SandboxThread, tmp_path: Path) -> None:
    """By the generic mapping, whose columns have the usual names."""
    pytest.importorskip("python_calamine")
    path = workbook(tmp_path / "texts.xlsx", list(HEADER), *ROWS)
    run(sandbox, path, "--mapping", "generic", "--region", "US")
    assert_both_are_stored(sandbox)


def test_a_parquet_file(sandbox: SandboxThread, tmp_path: Path) -> None:
    """As the same table in CSV."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = dict(zip(HEADER, map(list, zip(*ROWS, strict=True)), strict=True))
    path = tmp_path / "texts.parquet"
    parquet.write_table(pyarrow.table(columns), path)
    run(sandbox, path, "--mapping", "generic", "--region", "US")
    assert_both_are_stored(sandbox)


def test_a_maildir(sandbox: SandboxThread, tmp_path: Path) -> None:
    """Sent and received mails of one address, in one thread."""
    folder = tmp_path / "Mail"
    for name in ("cur", "new", "tmp"):
        (folder / name).mkdir(parents=True)
    (folder / "cur" / "1:2,S").write_text(mail("q", 0))
    (folder / "new" / "2").write_text(mail("a", 5, "q", sender="me@example.com", to="kim@x.org"))
    run(sandbox, folder, "--mine", "me@example.com")
    assert {m.type for m in sandbox.messages} == {"Email"}
    assert sorted(m.direction for m in sandbox.messages) == ["inbound", "outbound"]


@pytest.mark.parametrize("place", ["chats/", ""])
@pytest.mark.parametrize("kind", ["csv", "mapped", "json"])
def test_what_failed_of_an_archive_is_imported_again_from_its_list(
    sandbox: SandboxThread, tmp_path: Path, kind: str, place: str
) -> None:
    """Its list names the files in the archive, which nobody has to unpack."""
    names = ["type", "direction", "date", "contact.phone", "message", "attachments"]
    if kind == "mapped":
        names = ["Type", "Direction", "Date", "Phone", "Text", "Media"]
    cells = ["SMS", "inbound", "2024-01-31T09:30:00Z", "12", "hello", f"{place}cat.png"]
    content = f"{','.join(names)}\n{','.join(cells)}\n"
    if kind == "json":
        content = json.dumps(dict(zip(names, [*cells[:-1], [cells[-1]]], strict=True)))
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr(f"chats/a.{'json' if kind == 'json' else 'csv'}", content)
        archive.writestr("chats/cat.png", base64.b64decode(PICTURE))
        archive.writestr("chats/chats/cat.png" if place else "cat.png", b"\x89PNG other")
    mapping = ("--mapping", "generic", "--region", "US") if kind == "mapped" else ("--region", "US")
    run(sandbox, tmp_path / "export.zip", *mapping, exits=3)
    listed = tmp_path / f"failed.{'json' if kind == 'json' else 'csv'}"
    leadconnector("failed", "--outbox", tmp_path / "o.db", "-o", listed)
    listed.write_bytes(listed.read_bytes().replace(b",12,", b",+12125550101,"))
    listed.write_bytes(listed.read_bytes().replace(b'"12"', b'"+12125550101"'))
    run(sandbox, listed, *mapping)
    (upload,) = sandbox.uploads
    assert (upload.name, upload.content) == (
        "cat.png",
        b"\x89PNG other" if place else base64.b64decode(PICTURE),
    )
