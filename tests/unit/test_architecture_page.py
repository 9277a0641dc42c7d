from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text("utf-8")
PACKAGE = ROOT / "leadconnector_async"


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`([a-z_/]+(?:\.py|/))`", PAGE))))
def test_the_page_names_modules_that_exist(path: str) -> None:
    """A reader who looks for a rule finds it where the page says."""
    assert (PACKAGE / path).exists()


@pytest.mark.parametrize("dotted", sorted(set(re.findall(r"`([a-z_]+(?:\.\w+)+)`", PAGE))))
def test_the_page_names_things_that_exist(dotted: str) -> None:
    """So does one who follows a record."""
    if dotted.endswith(".py"):
        return
    parts = dotted.split(".")
    module = PACKAGE.joinpath(*parts)
    if module.is_dir() or module.with_suffix(".py").is_file():
        return
    source = PACKAGE.joinpath(*parts[:-1]).with_suffix(".py").read_text("utf-8")
    assert re.search(rf"^(class|def|async def) {parts[-1]}\b", source, re.MULTILINE)
