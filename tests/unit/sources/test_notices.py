"""Words and expressions of sources that stand in files beside the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from leadconnector_async import sources
from leadconnector_async.leave_out import NUMBERLESS
from leadconnector_async.sources import fields

FOLDER = Path(sources.__file__).parent
CODE = "\n".join(path.read_text("utf-8") for path in FOLDER.parent.rglob("*.py"))
NOTICES = fields.table_of("notices")
EXPRESSIONS = fields.table_of("expressions")


@pytest.mark.parametrize(
    ("reader", "table"),
    [("notice", "notices"), ("problem_of", "problems"), ("wrong_value", "values")],
)
def test_what_is_told_is_there_and_is_used(reader: str, table: str) -> None:
    """Each name that the code asks for is in the file, and the file has no other."""
    asked = set(re.findall(rf'(?<!\w){reader}\(\s*["\']([a-z_]+)', CODE))
    assert asked == NOTICES[table].keys() - NUMBERLESS


def test_every_expression_compiles_and_is_used() -> None:
    """Each is asked for by the code, or is a part of one that is."""
    whole = "\n".join(str(text) for text in EXPRESSIONS.values())
    for name, given in EXPRESSIONS.items():
        for text in [given] if isinstance(given, str) else given:
            assert fields.compiled(text).flags
        assert f'"{name}"' in CODE or f"{{{name}}}" in whole


@pytest.mark.parametrize("kind", sorted(NUMBERLESS))
def test_every_kind_without_a_number_has_its_words(kind: str) -> None:
    """A mapping that says what a value is finds what is wrong with it."""
    assert fields.wrong_value(kind).fix
