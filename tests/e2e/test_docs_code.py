"""The Python of the documentation runs as it is written, against the sandbox."""

from __future__ import annotations

import ast
import asyncio
import inspect
import shutil
from datetime import UTC, datetime
from types import CodeType
from typing import TYPE_CHECKING, Any, Final

import pytest
from docs_page import PAGES, ROOT, blocks

import leadconnector_async
from leadconnector_async import InboundMessage, LeadConnector, Record
from leadconnector_async.sandbox import SandboxConfig, SandboxThread

if TYPE_CHECKING:
    from pathlib import Path

BLOCKS: Final = [(page.name, text) for page in PAGES for _, text in blocks(page, "python")]
SENDS: Final = ("add_inbound_message(", "ingestor.run(", "ingestor.submit(", "import_files(")
TESTS_OF_PROGRAMS: Final = "testing.md"
"""Its blocks are tests, which the plug-in's own test runs."""


class Elsewhere(ast.NodeTransformer):
    """Reaches the sandbox and the tests' database, where a page names what readers have."""

    def __init__(self, database: str) -> None:
        self.database = database

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Give each client the sandbox's address."""
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "LeadConnector":
            node.keywords.append(ast.keyword("base_url", ast.Name("base_url", ast.Load())))
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """Name the database that there is."""
        is_place = isinstance(node.value, str) and node.value.startswith("postgresql://")
        return ast.copy_location(ast.Constant(self.database), node) if is_place else node


def compiled(text: str, database: str) -> CodeType:
    """A block as a program of its own, which may wait outside of any function."""
    tree = ast.fix_missing_locations(Elsewhere(database).visit(ast.parse(text)))
    code = compile(tree, "docs", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    assert isinstance(code, CodeType)
    return code


def readers_own(sandbox: SandboxThread) -> dict[str, Any]:
    """What a page takes for granted: names that it has imported before, and the reader's own."""
    text = InboundMessage(
        type="SMS",
        contact_id="GKBhT6BfwY9mjzXAU3sq",
        direction="inbound",
        date=datetime(2024, 5, 1, tzinfo=UTC),
        message="hi",
    )
    names = {name: getattr(leadconnector_async, name) for name in leadconnector_async.__all__}
    return names | {
        "base_url": sandbox.url,
        "token": sandbox.token,
        "messages": [text],
        "record": Record(message=text, id="1", location_id="ve9EPM428h8vShlRW1KT"),
        "client_id": "client",
        "secret": "secret",
        "first": "refresh",
    }


async def run(code: CodeType, sandbox: SandboxThread) -> None:
    """Run a block, with a client at hand."""
    location = sandbox.location_id
    async with LeadConnector(sandbox.token, location_id=location, base_url=sandbox.url) as api:
        ran = eval(code, readers_own(sandbox) | {"api": api})  # noqa: S307
        if inspect.iscoroutine(ran):
            await ran


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "text"),
    [(page, text) for page, text in BLOCKS if page != TESTS_OF_PROGRAMS],
    ids=[f"{page}-{n}" for n, (page, _) in enumerate(BLOCKS) if page != TESTS_OF_PROGRAMS],
)
def test_python_runs_as_it_is_written(
    page: str, text: str, tmp_path: Path, postgres_place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each block by itself; what sends a message has sent it."""
    shutil.copy(ROOT / "docs/example/history.csv", tmp_path)
    monkeypatch.chdir(tmp_path)
    with SandboxThread(SandboxConfig(trusting=True)) as sandbox:
        asyncio.run(run(compiled(text, postgres_place), sandbox))
        assert bool(sandbox.messages) == any(call in text for call in SENDS), page


def test_there_is_python_at_all() -> None:
    """Else the test above would hold for none."""
    assert len(BLOCKS) > 5
