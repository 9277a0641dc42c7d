from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Final

import click
import pytest
from docs_page import PAGES

from leadconnector_async.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BLOCK: Final = re.compile(r"^```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)
_COMMAND: Final = re.compile(r"(?:\$ )?(?:\S*/)?leadconnector ([a-z].*)")
_INLINE: Final = re.compile(r"`([^`\n]+)`")


def written(page: Path) -> Iterator[list[str]]:
    """The words of each command that a page gives, after the program's name."""
    text = page.read_text("utf-8")
    blocks = "\n".join(_BLOCK.findall(text)).replace("\\\n", " ")
    inline = _INLINE.findall(_BLOCK.sub("", text))
    for line in [*blocks.splitlines(), *inline]:
        for part in line.split("&&"):
            found = _COMMAND.match(part.strip())
            if found:
                yield shlex.split(found[1], comments=True)


COMMANDS_WRITTEN: Final = [(page.name, words) for page in PAGES for words in written(page)]


@pytest.mark.parametrize(
    ("page", "words"), COMMANDS_WRITTEN, ids=[" ".join(words[:2]) for _, words in COMMANDS_WRITTEN]
)
def test_the_docs_give_commands_that_are_understood(
    page: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is parsed by the command itself, options and values; its files need not be here."""
    monkeypatch.setenv("LEADCONNECTOR_OUTBOX", "import.db")  # as pages say once for all of them
    context, rest = click.Context(app, **app.context_settings), list(words)
    command: click.Command | None = app
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        command = command.get_command(context, rest.pop(0))
    assert command is not None, page
    if "--help" in rest or isinstance(command, click.Group):
        return
    try:
        command.make_context(words[0], rest, parent=context)
    except click.BadParameter as error:
        if "does not exist" not in error.message:
            raise


def test_the_docs_give_commands_at_all() -> None:
    """Else the test above would hold for none."""
    assert len(COMMANDS_WRITTEN) > 15
