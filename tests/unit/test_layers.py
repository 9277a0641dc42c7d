"""What imports what, and what things are called: read from the source, with no tool and no run."""

from __future__ import annotations

import ast
import re
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = "leadconnector_async"
FORMER_NAMES: Final = """
    Engine Courier Clerk Aftermath Desk Registrar Crew Completer Errand Looker Doubt Look Again Bar
    End Tally Site Schedule Gateway Intake Hand Sealing Admissions Epoch Reading Spend Keeper Access
    Kept AsksTheApi Shaper Grid Form Markup Ledger View History Books Held Meeting Fresh Known Lines
    Late Dialogue Turn Verdict Answer Barred Renew Unknown Absent Impossible Trouble Allowance Room
    Neighbours Ends Why World Call Meter Facade Wire InvalidMessage DailyQuotaSpent OutboxBusy
    OutboxUnusable OutboxWriteFailed
"""
"""Classes: metaphors, and exceptions without `Error`, which gave way to the glossary's words."""
FORMER_MODULES: Final = """
    engine courier clerk aftermath desk registrar crew completer errand looker tally site schedule
    gateway intake sealing admissions epoch reading spend keeper shaper grid ledger view books held
    meeting lines retrying facts late dialogue verdict allowance neighbours likeness vagueness world
    facade words whole_file screen account standing planning
"""
STILL_MEANT: Final = frozenset({"Call"})
"""Of another thing than the word once stood for: a telephone call."""


def modules() -> Mapping[str, Path]:
    """Each module of the package, by its dotted name."""
    found = {}
    for path in (ROOT / PACKAGE).rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES: Final = modules()


@cache
def trees() -> Mapping[str, ast.Module]:
    """Each module of the package, parsed where a test asks for it: it takes a while."""
    return {name: ast.parse(path.read_text("utf-8")) for name, path in MODULES.items()}


def imported(tree: ast.Module) -> Iterator[str]:
    """The modules of the package that a module imports, wherever the import stands in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            for alias in node.names:
                candidates = (f"{node.module}.{alias.name}", str(node.module))
                yield from [name for name in candidates if name in MODULES][:1]


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """The names along one circle, or none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@pytest.mark.slow
def test_no_modules_import_each_other() -> None:
    """Nor in a circle of more, imports for the type checker and within functions included."""
    graph = {name: set(imported(tree)) - {name} for name, tree in trees().items()}
    assert sum(map(len, graph.values())) > 300
    assert circle(graph) == []


def test_a_circle_would_be_found() -> None:
    """Else the test above would hold for any tree."""
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})
    assert not circle({"a": {"b", "c"}, "b": {"c"}})


def given_up(module: str, tree: ast.Module) -> set[str]:
    """What of a module has a name that was given up: itself, or a class in it."""
    stem = module.rpartition(".")[2].strip("_")
    classes = {node.name.strip("_") for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    return classes & ({*FORMER_NAMES.split()} - STILL_MEANT) | {stem} & {*FORMER_MODULES.split()}


@pytest.mark.slow
def test_no_module_or_class_has_a_name_that_was_given_up() -> None:
    """The words are those of the glossary in docs/architecture.md, in tests and benchmarks too."""
    found = {name: given_up(name, tree) for name, tree in trees().items()}
    for folder in ("tests", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            found[str(path)] = given_up(path.stem, ast.parse(path.read_text("utf-8")))
    assert {name: words for name, words in found.items() if words} == {}
    assert given_up("x.courier", ast.parse("class _Clerk: ...")) == {"courier", "Clerk"}


@pytest.mark.slow
def test_a_bound_is_called_max_or_min() -> None:
    """One word for each: whoever looks for a limit finds it by them."""
    former = re.compile("_?(MOST|LEAST|LONGEST)_")
    found = {
        f"{name}: {node.id}"
        for name, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and former.match(node.id)
    }
    assert found == set()
    assert former.match("MOST_ROOM")
