"""The tutorial does what its page says."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from docs_page import Step, assert_shown, run_page

from leadconnector_async.sandbox import SandboxConfig, SandboxThread

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS: Final = Path(__file__).parents[2] / "docs"
STATUSES: Final = [0, 3, 3, 3, 0, 0, 0, 0, 0]
"""Of the page's commands: one record fails until it is mended."""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[Step], SandboxThread]]:
    """The page, done once, and the sandbox that it filled."""
    folder = tmp_path_factory.mktemp("tutorial") / "phone"
    shutil.copytree(DOCS / "tutorial", folder)
    with SandboxThread(SandboxConfig(trusting=True)) as sandbox:
        yield run_page(DOCS / "tutorial.md", folder, sandbox.url), sandbox


@pytest.mark.slow
def test_every_command_does_what_the_page_shows(done: tuple[list[Step], SandboxThread]) -> None:
    """Its exit status, and its output line by line."""
    steps, _ = done
    assert [step.status for step in steps] == STATUSES, [step.output for step in steps]
    for step in steps:
        assert_shown(step)


def test_the_messages_are_there(done: tuple[list[Step], SandboxThread]) -> None:
    """Seven of three customers, one with its picture."""
    _, sandbox = done
    assert len(sandbox.messages) == 7
    assert len({stored.contact_id for stored in sandbox.messages}) == 3
    assert sum(len(stored.fields.get("attachments", ())) for stored in sandbox.messages) == 1
