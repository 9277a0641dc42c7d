"""Runs every benchmark, one after the other, and prints a table of all figures at the end.

``python -m benchmarks [NAME…] [--server granian|nginx] [--save FILE]``
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from benchmarks.server import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE: Final = Path(__file__).parent
NOT_RUN: Final = frozenset({"__main__", "chart", "crowd", "server_app"})
"""Modules with a ``main`` that answer no question."""
ON_EITHER_SERVER: Final = frozenset({"scaling", "throughput"})
"""Those that ``--server`` is handed to: the others need one that counts and enforces limits."""


def discover() -> list[str]:
    """The benchmarks: every module here that has a ``main`` of its own."""
    names = sorted(path.stem for path in HERE.glob("*.py"))
    return [name for name in names if name not in NOT_RUN and _has_main(HERE / f"{name}.py")]


def _has_main(path: Path) -> bool:
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    body = ast.parse(path.read_bytes()).body
    return any(isinstance(node, functions) and node.name == "main" for node in body)


def result_of(name: str, server: str | None) -> dict[str, Any] | None:
    """Run one benchmark; None if it failed, which it has said on standard error."""
    command = [sys.executable, "-m", f"benchmarks.{name}"]
    if server is not None and name in ON_EITHER_SERVER:
        command += ["--server", server]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE)  # noqa: S603 - our own module
    if done.returncode:
        return None
    result: dict[str, Any] = msgspec.json.decode(done.stdout.splitlines()[-1])
    return result


def figures(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Every figure of a result, with the path to it."""
    if isinstance(value, dict):
        for key, its in value.items():
            if path or key not in {"benchmark", "machine"}:
                yield from figures(its, f"{path} · {key}" if path else str(key))
    else:
        yield path, f"{value:,}" if isinstance(value, int | float) else str(value)


def table(results: dict[str, dict[str, Any] | None]) -> str:
    """All figures, a line each."""
    rows = [
        (name, *figure)
        for name, result in results.items()
        for figure in (figures(result) if result is not None else [("", "failed")])
    ]
    name_width, path_width = (max(len(row[at]) for row in rows) for at in (0, 1))
    return "\n".join(
        f"{name:{name_width}}  {path:{path_width}}  {value:>12}" for name, path, value in rows
    )


def main() -> int:
    """Run what is asked for, or everything."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(discover()))
    parser.add_argument("--server", choices=KINDS, help="by default what each benchmark says")
    parser.add_argument("--save", type=Path, metavar="FILE", help="keep the results as JSON")
    given = parser.parse_args()
    results = {}
    for name in given.names or discover():
        print(f"{datetime.now(UTC):%H:%M:%S} {name}", file=sys.stderr, flush=True)
        results[name] = result_of(name, given.server)
    if given.save:
        given.save.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2))
    print(table(results))
    return 0 if all(result is not None for result in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
