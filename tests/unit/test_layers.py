from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def test_modules_import_only_what_stands_below_them() -> None:
    """The contracts in pyproject.toml: layers, who may import aiohttp, and what stands alone."""
    linter = shutil.which("lint-imports", path=str(BIN)) or shutil.which("lint-imports")
    assert linter is not None, "import-linter is not installed: pip install -e .[test]"
    run = subprocess.run(
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
