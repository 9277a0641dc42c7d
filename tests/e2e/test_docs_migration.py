"""The worked example of the docs does what its page says."""

from __future__ import annotations

import shutil
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from docs_page import Step, assert_shown, run_page

from leadconnector_async.sandbox import SandboxConfig, SandboxThread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadconnector_async.sandbox import Stored

pytestmark = pytest.mark.full

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "migration.md"
STATUSES: Final = [0, 3, 3, 0, 0, 0, 0]
"""Of the page's commands: three records fail until they are mended."""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[Step], SandboxThread]]:
    """The page, done once, and the sandbox that it filled."""
    folder = tmp_path_factory.mktemp("move") / "migration"
    shutil.copytree(ROOT / "docs" / "migration", folder)
    with SandboxThread(SandboxConfig(trusting=True)) as sandbox:
        yield run_page(PAGE, folder, sandbox.url), sandbox


def test_every_command_ends_as_the_page_says(done: tuple[list[Step], SandboxThread]) -> None:
    """Exit status 3 while some records fail, else 0."""
    steps, _ = done
    assert [step.status for step in steps] == STATUSES, [step.output for step in steps]


def test_the_output_is_the_one_that_the_page_shows(
    done: tuple[list[Step], SandboxThread],
) -> None:
    """Line by line and in order; "…" stands for lines that are left out."""
    steps, _ = done
    for step in steps:
        assert_shown(step)


def test_each_customer_is_one_contact(done: tuple[list[Step], SandboxThread]) -> None:
    """Known by number in two files, by address in one, by both in one; and one supplier."""
    _, sandbox = done
    contacts = sandbox.state.contacts.all()
    found = {(contact.get("phone"), contact.get("email")) for contact in contacts}
    assert found == {
        ("+13035550142", "dana.whitfield@example.com"),
        ("+13035550187", "j.maeder@example.org"),
        ("+17205550119", "rosa@example.net"),
        ("+13035550163", "priya.nair@example.com"),
        (None, "news@alpineparts.example"),
    }
    assert len(contacts) == 5
    by_contact = _grouped(sandbox.messages, "contact_id")
    assert len(by_contact) == 5
    kinds = sorted(len({stored.type for stored in group}) for group in by_contact.values())
    assert kinds == [1, 4, 4, 4, 4]
    for group in by_contact.values():
        assert len({stored.conversation_id for stored in group}) == 1


def test_threads_are_threads(done: tuple[list[Step], SandboxThread]) -> None:
    """Mails of one subject are of one thread, the mended one too."""
    _, sandbox = done
    mails = [stored for stored in sandbox.messages if stored.type == "Email"]
    threads = _grouped(mails, "thread_id")
    subjects = {
        name: {stored.fields["subject"].removeprefix("Re: ") for stored in group}
        for name, group in threads.items()
    }
    assert sorted(len(group) for group in threads.values()) == [1, 2, 2, 3, 4]
    assert all(len(names) == 1 for names in subjects.values())
    assert {"Größe für meinen Sohn"} in subjects.values()


def test_each_content_was_uploaded_once(done: tuple[list[Step], SandboxThread]) -> None:
    """The picture that was mailed twice has one URL, in both mails."""
    _, sandbox = done
    uploads = sandbox.state.uploads
    names = sorted(upload.name for upload in uploads)
    assert names == ["bell.png", "crack.png", "quote.pdf", "wheel.png"]
    urls = {upload.name: upload.url for upload in uploads}
    users = [s for s in sandbox.messages if urls["crack.png"] in s.fields.get("attachments", ())]
    assert len(users) == 2
    attached = {url for s in sandbox.messages for url in s.fields.get("attachments", ())}
    assert attached == set(urls.values())


def _grouped(messages: list[Stored], name: str) -> dict[str, list[Stored]]:
    groups: dict[str, list[Stored]] = defaultdict(list)
    for stored in messages:
        groups[getattr(stored, name)].append(stored)
    return groups
