"""The unit and the line for cron that resume an import for days, as the docs give them."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from cli_harness import leadconnector, result_of

from leadconnector_async.sandbox import Fault, SandboxThread

if TYPE_CHECKING:
    from collections.abc import Callable

DOCS: Final = Path(__file__).parents[2] / "docs"
ANALYZE: Final = shutil.which("systemd-analyze")
UNIT: Final = DOCS / "leadconnector-import.service"


def by_cron(folder: Path) -> list[str]:
    """The command of the line, in a folder of the test's own."""
    (line,) = re.findall(
        r"^\*/15 (?:\* ){4}(.*)$", (DOCS / "outbox.md").read_text("utf-8"), re.MULTILINE
    )
    return ["/bin/sh", "-c", str(line).replace("/srv/move", str(folder))]


def by_systemd(_: Path) -> list[str]:
    """What the unit starts, wherever it is installed."""
    (line,) = re.findall(r"^ExecStart=(.*)$", UNIT.read_text("utf-8"), re.MULTILINE)
    program, *words = shlex.split(line)
    return [Path(program).name, *words]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="neither is there")
@pytest.mark.parametrize("command", [by_cron, by_systemd])
def test_what_was_ended_is_gone_on_with(
    tmp_path: Path, command: Callable[[Path], list[str]]
) -> None:
    """The token of the first is refused, the second sends all, a third sends nothing."""
    with SandboxThread() as sandbox:
        rows = [f"m{n},SMS,contact{n},hi,inbound,2024-01-0{n}T10:00:00Z" for n in range(1, 6)]
        head = "id,type,contactId,message,direction,date"
        (tmp_path / "history.csv").write_text("\n".join([head, *rows]))
        words = {
            "LEADCONNECTOR_LOCATION": sandbox.location_id,
            "LEADCONNECTOR_BASE_URL": sandbox.url,
            "LEADCONNECTOR_OUTBOX": str(tmp_path / "move.db"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        statuses = []
        sandbox.set_faults(Fault("401", endpoint="inbound"))
        for _ in range(3):
            given = words | {"LEADCONNECTOR_TOKEN": sandbox.token}
            exports = [f"export {name}={shlex.quote(value)}\n" for name, value in given.items()]
            (tmp_path / "import.env").write_text("".join(exports))
            environment = os.environ | given
            run = subprocess.run(command(tmp_path), cwd=tmp_path, env=environment, check=False)
            statuses.append(run.returncode)
            sandbox.set_faults()
        assert statuses == [1, 0, 0]
        assert len(sandbox.messages) == 5
    status = result_of(leadconnector("status", "--outbox", tmp_path / "move.db", "--json").stdout)
    assert (status["sent"], status["pending"]) == (5, 0)


@pytest.mark.skipif(ANALYZE is None, reason="there is no systemd here")
def test_the_units_are_sound(tmp_path: Path) -> None:
    """As far as systemd can tell without their programs."""
    for unit in DOCS.glob("*.service"):
        text = unit.read_text("utf-8")
        text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE)
        copy = tmp_path / unit.name.replace("@", "@1")
        copy.write_text(text)
        run = subprocess.run(
            [str(ANALYZE), "verify", copy], capture_output=True, text=True, check=False
        )
        ours = [line for line in run.stderr.splitlines() if copy.name in line]
        assert not ours, run.stderr
