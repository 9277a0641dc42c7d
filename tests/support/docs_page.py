"""Doing what a page of the documentation says, as it is written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ADDRESS: Final = "http://127.0.0.1:8700"
"""Of the sandbox, on the pages."""
_GO: Final = re.compile(r"^cd \S+", re.MULTILINE)


class Step:
    """A command of the page, what the page shows of its output, and what came of it."""

    def __init__(self, command: str, shown: list[str]) -> None:
        self.command = command
        self.shown = shown
        self.status = -1
        self.output: list[str] = []


def blocks(page: Path, language: str) -> list[tuple[str, str]]:
    """A page's blocks in order, each with its language: one of those that a pattern names."""
    text = page.read_text("utf-8")
    return re.findall(rf"^```({language})\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def run_page(page: Path, folder: Path, address: str) -> list[Step]:
    """Do all that a page says, as it is written, but for installing and the sandbox's terminal."""
    bin_ = folder.parent / "bin"
    bin_.mkdir()
    command = bin_ / "leadconnector"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m leadconnector_async.cli "$@"\n')
    command.chmod(0o755)
    clean = {k: v for k, v in os.environ.items() if not k.startswith("LEADCONNECTOR_")}
    clean["PATH"] = f"{bin_}{os.pathsep}{clean['PATH']}"
    clean["PYTHONPATH"] = str(ROOT)
    setting, steps = "", []
    for language, text in blocks(page, "sh|console"):
        if language == "console":
            first, *shown = text.splitlines()
            steps.append(Step(first.removeprefix("$ "), shown))
            _run(steps[-1], setting, folder, clean)
        elif text.startswith("cd "):
            setting = _GO.sub("set -e", text.replace(ADDRESS, address))
        elif not text.startswith(("leadconnector sandbox", "python3 -m venv")):
            _run(Step(text, []), setting, folder, clean)
    return steps


def _run(step: Step, setting: str, folder: Path, environment: dict[str, str]) -> None:
    script = f"{setting}\n{step.command}"
    done = subprocess.run(
        ["/bin/sh", "-c", script],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
    step.status = done.returncode
    step.output = done.stdout.splitlines()


def assert_shown(step: Step) -> None:
    """See that a page shows what came out, line by line; "…" stands for lines that are left out."""
    place, gap = 0, False
    for line in step.shown:
        if line == "…":
            gap = True
            continue
        rest = step.output[place:]
        assert line in rest, (step.command, line, step.output)
        skipped = rest.index(line)
        assert gap or skipped == 0, (step.command, rest[:skipped])
        place += skipped + 1
        gap = False
    assert gap or not any(step.output[place:]), (step.command, step.output[place:])
