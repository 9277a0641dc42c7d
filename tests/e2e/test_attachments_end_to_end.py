"""Files that are uploaded before the message that names them, through the command."""

from __future__ import annotations

from email.message import EmailMessage
from typing import TYPE_CHECKING

import pytest
from cli_harness import at, leadconnector, result_of, sms, write_jsonl
from fault_harness import TIMEOUTS
from late_harness import CLOSED, KIM, ME, asked, import_quickly, import_records, named, reasons, run
from msgspec.structs import replace
from samples import sampled

from leadconnector_async.sandbox import Fault, SandboxThread

if TYPE_CHECKING:
    from pathlib import Path

FAR = "https://example.com/far.png"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with files: two of them are equal."""
    (tmp_path / "one.png").write_bytes(b"one")
    (tmp_path / "two.pdf").write_bytes(b"two" * 100_000)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "copy.png").write_bytes(b"one")
    return tmp_path


def contents(sandbox: SandboxThread, number: int = 0) -> list[bytes | str]:
    """What the attachments of a stored message are."""
    by_url = {upload.url: upload.content for upload in sandbox.uploads}
    given = sandbox.messages[number].fields["attachments"]
    return [by_url.get(url, url) for url in given]


def test_files_keep_their_order_and_urls_their_place(sandbox: SandboxThread, files: Path) -> None:
    """Each file becomes the URL that the API gave it."""
    given = ["two.pdf", FAR, "one.png"]
    assert import_records(sandbox, files, [sms(1, attachments=given)])["sent"] == 1
    assert contents(sandbox) == [b"two" * 100_000, FAR, b"one"]
    (upload, _) = sandbox.uploads
    assert (upload.name, upload.contact_id) == ("two.pdf", "contact1")
    assert not asked(sandbox, "open_conversation")


def test_each_content_is_uploaded_once(sandbox: SandboxThread, files: Path) -> None:
    """Whatever its name and folder, over records, contacts and runs."""
    names = ["one.png", "sub/copy.png", "one.png"]
    records = [sms(number, attachments=[name]) for number, name in enumerate(names)]
    import_records(sandbox, files, records)
    assert import_records(sandbox, files, [sms(9, attachments=["sub/copy.png"])])["sent"] == 1
    assert [contents(sandbox, number) for number in range(4)] == [[b"one"]] * 4
    assert asked(sandbox, "upload") == 1


@pytest.mark.slow
def test_many_contacts_wait_for_the_one_that_uploads(sandbox: SandboxThread, files: Path) -> None:
    """The picture of a signature is in each mail; where its upload fails, another one makes it."""
    sandbox.set_faults(Fault("500", endpoint="upload", nth=(1,)))
    records = [sms(number, attachments=["one.png"]) for number in range(60)]
    assert import_records(sandbox, files, records)["sent"] == 60
    assert asked(sandbox, "upload") == 2
    assert len(sandbox.uploads) == 1


@pytest.mark.parametrize("what", ["changed", "gone"])
def test_a_file_that_is_another_than_was_read_is_told(
    what: str, sandbox: SandboxThread, files: Path
) -> None:
    """Between staging and sending it was changed or taken away: nothing is sent."""
    history = write_jsonl(files / "h.jsonl", [named(1, attachments=[FAR, "one.png"]), sms(2)])
    options = [*at(sandbox, files / "o.db"), "--json"]
    sandbox.set_faults(Fault("500", endpoint="find_contact"))
    sandbox.reconfigure(tokens={"another": sandbox.location_id})
    assert leadconnector("import", history, *options).exit_code == 1
    sandbox.reconfigure(tokens={})
    sandbox.set_faults()
    if what == "gone":
        (files / "one.png").unlink()
    else:
        (files / "one.png").write_bytes(b"two")
    done = leadconnector("import", *options)
    assert (done.exit_code, result_of(done.stdout)["sent"]) == (3, 1)
    how = {"changed": "has changed", "gone": "is gone"}[what]
    assert f"attachments item 2 {how} since it was read" in reasons(files)[0]
    assert asked(sandbox, "upload") == 0
    (files / "one.png").write_bytes(b"one")
    leadconnector("retry", "--outbox", files / "o.db")
    assert result_of(leadconnector("import", *options).stdout)["sent"] == 1


def test_a_file_that_is_not_there_is_told_before_anything_is_sent(
    sandbox: SandboxThread, files: Path
) -> None:
    """With the item, and the way out."""
    given = [["one.png", "none.png"], ["file:///a%00.png"]]
    records = [sms(number, attachments=items) for number, items in enumerate(given)]
    import_records(sandbox, files, records, exits=3)
    missing, odd = reasons(files)
    assert "attachments item 2 is a file that is not there" in missing
    assert "attachments item 1 is a file whose name has a NUL character" in odd
    assert not sandbox.requests


def test_a_file_that_the_api_does_not_take_fails_its_record_alone(
    sandbox: SandboxThread, files: Path
) -> None:
    """413, in a sentence."""
    sandbox.reconfigure(upload_limit=1000)
    records = [sms(1, attachments=["two.pdf"]), sms(2, attachments=["one.png"])]
    assert import_records(sandbox, files, records, exits=3)["sent"] == 1
    assert "attachments item 1 could not be uploaded: 413 File is too large" in reasons(files)[0]


def test_the_parts_of_a_mail_are_uploaded(files: Path) -> None:
    """They are kept beside the outbox until then."""
    mail = EmailMessage()
    mail["From"], mail["To"] = "kim@example.org", ME
    mail["Date"], mail["Message-ID"] = "Wed, 31 Jan 2024 10:30:00 +0000", "<m@x>"
    mail.set_content("see the pictures")
    for name, content in (("a.png", b"first"), ("b.png", b"second")):
        mail.add_attachment(content, maintype="image", subtype="png", filename=name)
    path = files / "m.eml"
    path.write_bytes(bytes(mail))
    with SandboxThread(CLOSED) as sandbox:
        assert run(sandbox, path, "--mine", ME)["sent"] == 1
        assert contents(sandbox) == [b"first", b"second"]
        assert sandbox.uploads[0].contact_id == "kim"


@pytest.mark.slow
@sampled("kind, when", ["drop", "reset", "503", "html", "hang"], ["before", "after"])
def test_uploads_whose_answers_are_lost_are_made_again(kind: str, when: str, files: Path) -> None:
    """The message is stored once, with a URL that was given for its file."""
    fault = Fault(kind, when=when, endpoint="upload", nth=(1, 3), seconds=1.0)  # type: ignore[arg-type]
    with SandboxThread(CLOSED) as sandbox:
        sandbox.set_faults(fault)
        records = [named(n, KIM, attachments=["one.png", "two.pdf"]) for n in range(4)]
        timeouts = TIMEOUTS if kind == "hang" else None
        source = write_jsonl(files / "h.jsonl", records)
        assert import_quickly(sandbox, source, timeouts=timeouts).sent == 4
        for number in range(4):
            assert contents(sandbox, number) == [b"one", b"two" * 100_000]


def test_an_import_without_the_right_to_upload_stops(files: Path) -> None:
    """And names the right that the token lacks."""
    config = replace(CLOSED, denied_scopes=frozenset({"conversations/message.write"}))
    with SandboxThread(config) as sandbox:
        history = write_jsonl(files / "h.jsonl", [named(1, attachments=["one.png"])])
        done = leadconnector("import", history, *at(sandbox, files / "o.db"))
        assert done.exit_code == 1
        assert "it lacks conversations/message.write" in done.stderr


def test_files_that_came_within_mails_go_when_they_are_needed_no_more(tmp_path: Path) -> None:
    """Those of a mail that failed stay, until it is sent after all; then the folder is empty."""
    source = tmp_path / "mails"
    source.mkdir()
    for number, content in enumerate((b"first", b"second")):
        mail = EmailMessage()
        mail["From"], mail["To"] = "kim@example.org", ME
        mail["Date"] = f"Wed, 31 Jan 2024 10:3{number}:00 +0000"
        mail["Message-ID"] = f"<m{number}@x>"
        mail.set_content("see the picture")
        mail.add_attachment(content, maintype="image", subtype="png", filename="a.png")
        (source / f"{number}.eml").write_bytes(bytes(mail))
    outbox = tmp_path / "o.db"
    with SandboxThread(CLOSED) as sandbox:
        sandbox.set_faults(Fault("422", endpoint="inbound", nth=(2,)))
        options = *at(sandbox, outbox), "--mine", ME, "--json"
        assert result_of(leadconnector("import", source, *options).stdout)["failed"] == 1
        (kept,) = (tmp_path / "o.db.files").iterdir()
        assert (kept / "a.png").read_bytes() == b"second"
        leadconnector("retry", "--outbox", outbox)
        sandbox.set_faults()
        assert result_of(leadconnector("import", *options).stdout)["sent"] == 1
        assert not list((tmp_path / "o.db.files").iterdir())
        assert contents(sandbox, 1) == [b"second"]
