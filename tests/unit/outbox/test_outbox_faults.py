"""The words for what is wrong with an outbox, which stand in a file beside the code."""

from __future__ import annotations

import re
from pathlib import Path

import leadconnector_async
from leadconnector_async.data_files import read_toml


def test_what_is_told_is_there_and_is_used() -> None:
    """Each name that the code asks for is in the file, and the file has no other."""
    package = Path(leadconnector_async.__file__).parent
    code = "\n".join(path.read_text("utf-8") for path in package.rglob("*.py"))
    asked = set(re.findall(r'(?<![\w.])(?:database\.)?fault\("([a-z_]+)"', code))
    assert asked == read_toml("leadconnector_async.outbox", "faults").keys()
