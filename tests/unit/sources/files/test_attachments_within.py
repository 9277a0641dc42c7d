from __future__ import annotations

import base64
import os
import zipfile
from email.message import EmailMessage
from typing import TYPE_CHECKING

import pytest
from bad_inputs import jsonl, record
from cli_harness import at, leadconnector, result_of
from msgspec.structs import replace

from leadconnector_async.sandbox import SandboxThread
from leadconnector_async.sources import SourceOptions, open_source
from leadconnector_async.sources.fields import WrongValueError
from leadconnector_async.sources.files.attachments import LARGEST, Attached, Attachments
from leadconnector_async.sources.files.members import Beside, FolderMembers

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.sources import Parsed

ME = "me@example.com"
PACKED = "files of type .heic, which the API does not take: they are sent as .zip"


def options(folder: Path, **changes: object) -> SourceOptions:
    """Options with a spool."""
    return replace(SourceOptions(spool=folder / "spool"), **changes)


def parsed(path: Path, reading: SourceOptions) -> list[Parsed]:
    """What a source gives."""
    with open_source(str(path), reading) as source:
        return list(source)


def attachments(one: Parsed) -> list[str]:
    """Those of a record that is right."""
    assert one.row is not None, one.problems
    return one.row.attachments or []


def table(folder: Path, *names: str, **fields: object) -> Path:
    """A file of one record with attachments."""
    path = folder / "h.jsonl"
    path.write_bytes(jsonl(record(attachments=list(names), **fields)))
    return path


def mail(folder: Path, *files: tuple[str, bytes], text: str = "") -> Path:
    """A received mail with files, and with no text if none is given."""
    made = EmailMessage()
    made["From"], made["To"], made["Message-ID"] = "kim@example.org", ME, "<m@x>"
    made["Date"] = "Wed, 31 Jan 2024 10:30:00 +0000"
    if text:
        made.set_content(text)
    for name, content in files:
        made.add_attachment(content, "application", "octet-stream", filename=name)
    path = folder / "m.eml"
    path.write_bytes(bytes(made))
    return path


def backup(folder: Path, *files: tuple[str, bytes]) -> Path:
    """A received MMS without a text."""
    parts = "".join(
        f'<part ct="x/y" cl="{name}" data="{base64.b64encode(content).decode()}"/>'
        for name, content in files
    )
    path = folder / "sms.xml"
    path.write_text(
        '<smses><mms date="1704100025000" msg_box="1" address="+12125550131">'
        f"<parts>{parts}</parts></mms></smses>"
    )
    return path


def archive_of(path: str) -> dict[str, bytes]:
    """What a packed file of the spool holds."""
    from urllib.request import url2pathname  # noqa: PLC0415 - for this alone

    with zipfile.ZipFile(url2pathname(path.removeprefix("file://"))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_file_of_another_type_is_packed(tmp_path: Path) -> None:
    """Named by a table or within a mail: the same bytes, with its name, and a notice."""
    (tmp_path / "IMG 1.HEIC").write_bytes(b"picture")
    reading = options(tmp_path, mine=(ME,))
    (named,) = parsed(table(tmp_path, "IMG 1.HEIC"), reading)
    (within,) = parsed(mail(tmp_path, ("IMG 1.HEIC", b"picture")), reading)
    assert attachments(named) == attachments(within)
    (url,) = attachments(named)
    assert url.endswith("/IMG%201.HEIC.zip")
    assert archive_of(url) == {"IMG 1.HEIC": b"picture"}
    assert named.notices == within.notices == (PACKED,)


def test_packing_is_the_same_at_any_time_on_any_machine(tmp_path: Path) -> None:
    """Else a record without an id would be another one when its file is read again."""
    files = Attachments(SourceOptions(), Beside(FolderMembers(str(tmp_path))))
    (url,) = files.keep([Attached("a.heic", b"picture")], "SMS", lambda _: None)  # type: ignore[misc] # no Wrong
    assert url.rsplit("/", 2)[1] == "047566f6a67b1a17314be67edbb0426b"


@pytest.mark.parametrize("kind", ["named", "within"])
def test_a_file_of_another_type_is_refused_if_its_owner_says_so(kind: str, tmp_path: Path) -> None:
    """With the way to have it packed; the list of failed records names the file."""
    (tmp_path / "a.heic").write_bytes(b"picture")
    source = (
        table(tmp_path, "a.heic")
        if kind == "named"
        else mail(tmp_path, ("b.png", b"b"), ("a.heic", b"picture"))
    )
    (bad,) = parsed(source, options(tmp_path, mine=(ME,), other_files="fail"))
    number = 1 if kind == "named" else 2
    (problem,) = bad.problems
    assert problem.field == "attachments"
    assert problem.wrong == f"item {number} is no type of file that the API takes"
    assert "--other-files zip" in problem.fix
    assert b"a.heic" in bad.raw


def test_a_file_of_another_type_is_left_out_if_its_owner_says_so(tmp_path: Path) -> None:
    """Counted, and a record that held nothing else is counted as left out itself."""
    (tmp_path / "a.heic").write_bytes(b"picture")
    reading = options(tmp_path, mine=(ME,), other_files="leave-out")
    said = "files of type .heic, which the API does not take: they are left out"
    for source in (table(tmp_path, "a.heic"), mail(tmp_path, ("a.heic", b"x"), text="see this")):
        (one,) = parsed(source, reading)
        assert attachments(one) == []
        assert said in one.notices
    why = "messages that hold nothing but files of other types"
    for source in (table(tmp_path, "a.heic", message=None), backup(tmp_path, ("a.heic", b"x"))):
        mapping = None if source.suffix == ".jsonl" else "sms-backup-restore"
        (alone,) = parsed(source, replace(reading, mapping_file=mapping))
        assert (alone.row, alone.problems, alone.left_out) == (None, (), why)


@pytest.mark.slow
def test_what_is_too_large_is_the_records_problem(tmp_path: Path) -> None:
    """It never takes its message along in silence, and is kept for its owner to mend."""
    large = os.urandom(LARGEST + 1)
    for name, content in (("b.pdf", large), ("b.heic", large[:-1])):
        source = mail(tmp_path, ("a.pdf", b"a"), (name, content), text="see")
        (bad,) = parsed(source, options(tmp_path, mine=(ME,)))
        assert str(bad.problems[0]).startswith("attachments item 2 is larger than the 5 MB")
        assert b"/a.pdf" in bad.raw
        assert b"/b." in bad.raw
    assert {path.name for path in (tmp_path / "spool").rglob("*.*")} >= {"a.pdf", "b.pdf", "b.heic"}


def test_names_that_others_chose_are_safe(tmp_path: Path) -> None:
    """Of any length and script."""
    for name in ("x" * 240 + ".heic", "a." + "y" * 240, "ü;b.heic", "..heic"):
        (tmp_path / name).write_bytes(b"x")
        if name.startswith("."):
            continue
        (one,) = parsed(table(tmp_path, name), options(tmp_path))
        assert attachments(one)[0].endswith(".zip")


@pytest.mark.slow
def test_a_rehearsal_agrees_and_writes_nothing(tmp_path: Path) -> None:
    """Validate, inspect, a dry run and an import say the same of what has no text."""
    sources = [mail(tmp_path, ("a.png", b"a")), backup(tmp_path, ("b.png", b"b"), ("c.3gp", b"c"))]
    options_of = (["--mine", ME], ["--mapping", "sms-backup-restore"])
    for source, more in zip(sources, options_of, strict=True):
        before = {*tmp_path.rglob("*")}
        found = result_of(leadconnector("validate", source, *more, "--json").stdout)
        assert (found["records"], found["wrong"]) == (1, 0)
        shown = leadconnector("inspect", source, *more)
        assert shown.exit_code == 0
        assert "missing" not in shown.stdout
        assert ".png" in shown.stdout
        with SandboxThread() as sandbox:
            options = [*at(sandbox, tmp_path / "o.db"), *more, "--json"]
            planned = result_of(leadconnector("import", source, *options, "--dry-run").stdout)
            assert (planned["pending"], planned["failed"]) == (1, 0)
            assert {*tmp_path.rglob("*")} == before
            done = leadconnector("import", source, *options)
            assert (done.exit_code, result_of(done.stdout)["sent"]) == (0, 1), done.output
            assert len(sandbox.uploads) == planned["plan"][0]["files"]
        for path in tmp_path.glob("o.db*"):
            path.unlink() if path.is_file() else None


def test_a_list_of_failed_records_finds_its_files(tmp_path: Path) -> None:
    """From a folder of its own: those of its sources, and those that were kept."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "one.png").write_bytes(b"one")
    source = table(tmp_path / "a", "one.png", type="sms")
    listed = tmp_path / "b" / "failed.jsonl"
    with SandboxThread() as sandbox:
        options = at(sandbox, tmp_path / "o.db")
        assert leadconnector("import", source, *options).exit_code == 3
        leadconnector("failed", "--outbox", tmp_path / "o.db", "-o", listed)
        listed.write_text(listed.read_text().replace('"sms"', '"SMS"'))
        assert leadconnector("import", listed, *options).exit_code == 0
        assert [upload.content for upload in sandbox.uploads] == [b"one"]


def test_records_of_standard_input_may_name_the_folders_given(tmp_path: Path) -> None:
    """And nothing else."""
    (tmp_path / "one.png").write_bytes(b"one")
    line = jsonl(record(attachments=["one.png"]))
    options = ("--json", "--files", tmp_path)
    assert result_of(leadconnector("validate", "-", *options, stdin=line).stdout)["wrong"] == 0
    assert result_of(leadconnector("validate", "-", "--json", stdin=line).stdout)["wrong"] == 1


def test_a_broken_file_of_a_backup_keeps_the_others(tmp_path: Path) -> None:
    """In the list of failed records, which sends nothing until it is there, or taken out."""
    path = backup(tmp_path, ("a.png", b"a"))
    text = path.read_text().replace("</parts>", '<part cl="b.png" data="abc"/></parts>')
    path.write_text(text)
    (bad,) = parsed(path, options(tmp_path, mapping_file="sms-backup-restore"))
    assert str(bad.problems[0]).startswith("attachments has a file that is no base64")
    assert b"/a.png" in bad.raw
    listed = tmp_path / "failed.jsonl"
    listed.write_bytes(bad.raw)
    (again,) = parsed(listed, options(tmp_path))
    assert str(again.problems[0]).startswith("attachments item 2 is a file that is not there")


def test_wrong_lists_are_told(tmp_path: Path) -> None:
    """As for any field."""
    files = Attachments(SourceOptions(), Beside(FolderMembers(str(tmp_path))))
    with pytest.raises(WrongValueError, match="item 1 is a number"):
        files.read([1], "SMS", lambda _: None)
    assert files.read([], "SMS", lambda _: None) is None
