"""Files of records that are staged here, and sent from where they are not."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from email.message import EmailMessage
from shutil import rmtree
from typing import TYPE_CHECKING

import pytest
from cli_harness import leadconnector, sms, write_jsonl
from msgspec.structs import replace
from outbox_kit import ENVIRONMENT

from leadconnector_async.outbox.postgres import stored_files
from leadconnector_async.outbox.postgres.connection import READING, connect
from leadconnector_async.outbox.postgres.place import read_place
from leadconnector_async.records.deferred import Deferred, LocalFile
from leadconnector_async.records.draft import Draft
from leadconnector_async.sandbox import Fault, SandboxConfig, SandboxThread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

LARGE = b"large" * 500_000
"""More than two pieces of it are stored."""


@pytest.fixture
def sandbox() -> Iterator[SandboxThread]:
    """One that knows whoever is named."""
    with SandboxThread(SandboxConfig(closed=False)) as sandbox:
        yield sandbox


def stage(folder: Path, sandbox: SandboxThread, url: str) -> Result:
    """Stage records with files beside them, and a mail with one within, and remove all files."""
    source = folder / "here"
    source.mkdir()
    (source / "one.png").write_bytes(b"one")
    (source / "large.pdf").write_bytes(LARGE)
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "kim@example.com", "me@example.org", "hi"
    mail["Date"], mail["Message-ID"] = "Mon, 1 Jan 2024 10:00:00 +0000", "<1@example.com>"
    mail.set_content("see there")
    mail.add_attachment(b"within", maintype="image", subtype="png", filename="within.png")
    (source / "m.eml").write_bytes(bytes(mail))
    named = ["one.png"], ["large.pdf", "one.png"], ["large.pdf"]
    records = [sms(number, attachments=names) for number, names in enumerate(named)]
    run = leadconnector(
        *("import", write_jsonl(source / "h.jsonl", records), source / "m.eml", "--stage-only"),
        *("--location", sandbox.location_id, "--base-url", sandbox.url, "--outbox", url),
        *("--mine", "me@example.org"),
    )
    rmtree(source)
    rmtree(f"{read_place(url).schema}.files", ignore_errors=True)
    return run


def drain(folder: Path, sandbox: SandboxThread, url: str) -> int:
    """Let a worker that starts in another folder send all; return its exit status."""
    folder.mkdir(exist_ok=True)
    words = (
        *("worker", "--outbox", url, "--drain", "--quiet", "--base-url", sandbox.url),
        *("--contacts", "create", "--quota", "off"),
    )
    environment = ENVIRONMENT | {
        "LEADCONNECTOR_TOKEN": sandbox.token,
        "TMPDIR": str(folder),
    }
    command = [sys.executable, "-m", "leadconnector_async.cli", *words]
    return subprocess.run(command, check=False, env=environment, cwd=folder, timeout=120).returncode


def kept(url: str) -> dict[str, int]:
    """How many rows the tables of files have."""

    async def count() -> dict[str, int]:
        connection = await connect(read_place(url), READING)
        try:
            return {
                table: int(await connection.fetchval(f"SELECT count(*) FROM {table}"))  # noqa: S608 - ours
                for table in ("file", "file_piece", "file_use")
            }
        finally:
            connection.terminate()

    return asyncio.run(count())


@pytest.mark.slow
def test_a_worker_elsewhere_uploads_what_was_staged_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: SandboxThread, postgres_place: str
) -> None:
    """Each content is stored once, in pieces, and is gone with the last record that has it."""
    monkeypatch.chdir(tmp_path)
    run = stage(tmp_path, sandbox, postgres_place)
    assert run.exit_code == 0, run.output
    assert kept(postgres_place) == {"file": 3, "file_piece": 5, "file_use": 5}
    assert drain(tmp_path / "there", sandbox, postgres_place) == 0
    by_url = {upload.url: upload for upload in sandbox.uploads}
    held = [
        [by_url[url].content for url in message.fields["attachments"]]
        for message in sandbox.messages
    ]
    assert sorted(held) == sorted([[b"one"], [LARGE, b"one"], [LARGE], [b"within"]])
    assert sorted(upload.name for upload in sandbox.uploads) == [
        *("large.pdf", "one.png", "within.png")
    ]
    assert kept(postgres_place) == {"file": 0, "file_piece": 0, "file_use": 0}
    assert not list((tmp_path / "there").iterdir())


@pytest.mark.full
def test_files_of_what_failed_stay_until_it_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: SandboxThread, postgres_place: str
) -> None:
    """It can be tried again, from anywhere."""
    monkeypatch.chdir(tmp_path)
    stage(tmp_path, sandbox, postgres_place)
    sandbox.set_faults(Fault("422"))
    assert drain(tmp_path / "there", sandbox, postgres_place) == 3
    assert kept(postgres_place) == {"file": 3, "file_piece": 5, "file_use": 5}
    sandbox.set_faults()
    run = leadconnector("retry", "--outbox", postgres_place)
    assert run.exit_code == 0, run.output
    sandbox.set_faults(Fault("422", nth=(1,)))
    assert drain(tmp_path / "there", sandbox, postgres_place) == 3
    assert 0 < kept(postgres_place)["file_use"] < 3
    listed = leadconnector("failed", "--outbox", postgres_place).stdout
    (tmp_path / "failed.jsonl").write_text(listed)
    given = "--dismiss", tmp_path / "failed.jsonl"
    run = leadconnector("failed", "--outbox", postgres_place, *given)
    assert run.exit_code == 0, run.output
    assert kept(postgres_place) == {"file": 0, "file_piece": 0, "file_use": 0}


@pytest.mark.slow
def test_a_rehearsal_stores_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: SandboxThread, postgres_place: str
) -> None:
    """And reads none."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.png").write_bytes(b"one")
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1, attachments=["one.png"])])
    assert leadconnector("outbox", "init", postgres_place).exit_code == 0
    run = leadconnector(
        *("import", history, "--dry-run", "--location", sandbox.location_id),
        *("--outbox", postgres_place, "--base-url", sandbox.url, "--token", sandbox.token),
    )
    assert run.exit_code == 0, run.output
    assert kept(postgres_place) == {"file": 0, "file_piece": 0, "file_use": 0}


def test_files_go_into_transactions_of_a_bounded_size(tmp_path: Path) -> None:
    """Others who stage wait for each no longer than for some megabytes, or for one file."""

    def with_file(size: int) -> Draft:
        path = tmp_path / f"{size}"
        path.write_bytes(b"")
        with path.open("r+b") as file:
            file.truncate(size << 20)
        deferred = Deferred(attachments=[LocalFile(str(path), f"{size:032}")]).encoded()
        return Draft(
            "l",
            1,
            0,
            b"k",
            counted=False,
            payload=b"{}",
            line=1,
            raw=b"",
            problem=None,
            deferred=deferred,
        )

    plain = replace(with_file(0), deferred=None)
    drafts = [plain, with_file(3), with_file(4), plain, with_file(2), with_file(20), plain]
    lots = [list(lot) for lot in stored_files.lots(drafts)]
    assert [len(lot) for lot in lots] == [4, 1, 2]
    assert [draft for lot in lots for draft in lot] == drafts
    assert [list(lot) for lot in stored_files.lots([])] == [[]]
