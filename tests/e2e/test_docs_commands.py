from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import pytest

from leadconnector_async.cli.app import COMMANDS, app

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
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
def test_the_docs_give_commands_that_exist(page: str, words: list[str]) -> None:
    """Each is known, and so is each of its options."""
    name, *rest = words
    assert name in COMMANDS, page
    command = app.get_command(click.Context(app), name)
    assert command is not None
    if isinstance(command, click.Group) and rest:
        command = command.commands[rest[0]]
    known = {
        spelled for param in command.params for spelled in (*param.opts, *param.secondary_opts)
    }
    given = [word.partition("=")[0] for word in rest if word.startswith("-") and word != "-"]
    assert set(given) <= known | {"--help"}, page


def test_the_docs_give_commands_at_all() -> None:
    """Else the test above would hold for none."""
    assert len(COMMANDS_WRITTEN) > 15
