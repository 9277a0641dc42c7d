"""What tests of more than one module ask for."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from inspect import iscoroutinefunction, signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import pytest
from http_peer import WAY
from hypothesis import settings
from virtual_time import in_virtual_time

from leadconnector_async.sandbox import SandboxThread
from leadconnector_async.sandbox.state import SandboxState

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY: Final = 65_534

pytest_plugins = ["postgres_kit", "worker_harness"]


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Let pytest-xdist, where it is asked for, give a worker that has done what another has left.

    The tests that take long stand together: whoever gets them would be the last by far.
    """
    if getattr(config.option, "numprocesses", None) and config.option.dist == "no":
        config.option.dist = "worksteal"


def pytest_configure(config: pytest.Config) -> None:
    """Choose how many examples of a property are tried, and how long one may take: for ever.

    Other work on the machine must not fail a test; nor may chance, where nobody looks for more.
    """
    _keep_bytecode(config.rootpath / ".pytest_cache" / "bytecode")
    thorough = bool(os.environ.get("LEADCONNECTOR_TEST_THOROUGH"))
    examples = 2000 if thorough else 50 if os.environ.get("LEADCONNECTOR_TEST_FULL") else 10
    settings.register_profile(
        "leadconnector", deadline=None, max_examples=examples, derandomize=not thorough
    )
    settings.load_profile("leadconnector")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the whole of what others try a sample of, where nobody asks for it."""
    whole = [item for item in items if item.get_closest_marker("full")]
    for item in whole:
        item.add_marker(pytest.mark.slow)
    if not (os.environ.get("LEADCONNECTOR_TEST_FULL") or "full" in config.option.markexpr):
        config.hook.pytest_deselected(items=whole)
        items[:] = [item for item in items if item not in set(whole)]


def pytest_collection_finish() -> None:
    """Have the garbage collector pass over what all tests have in common."""
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an asynchronous test in a loop: that of its fixtures, where they have one."""
    if not iscoroutinefunction(pyfuncitem.obj):
        return None
    values = {name: pyfuncitem.funcargs[name] for name in signature(pyfuncitem.obj).parameters}
    runner = pyfuncitem.funcargs.get("runner")
    if isinstance(runner, asyncio.Runner):
        runner.run(pyfuncitem.obj(**values))
    elif pyfuncitem.get_closest_marker("virtual_time"):
        in_virtual_time(pyfuncitem.obj(**values))
    else:
        asyncio.run(pyfuncitem.obj(**values))
    return True


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """The loop of one test, for fixtures that are bound to it."""
    with asyncio.Runner() as runner:
        yield runner


def _keep_bytecode(folder: Path) -> None:
    """Keep what is compiled in a folder of the tests, where none is to be beside the source.

    Each process of the command, and each of pytest-xdist, would compile all modules again: more
    work than most of them have to do.
    """
    if sys.dont_write_bytecode:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = str(folder)
        sys.dont_write_bytecode = False


@pytest.fixture
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """The way in which this test's transports send."""
    token = WAY.set(request.param)
    yield request.param
    WAY.reset(token)


@pytest.fixture(autouse=True)
def lenient_sandbox(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Open contacts, conversations and providers on demand, where a test gives the sandbox none.

    Most tests are about something else, and name contacts as they like. Those about what the
    sandbox refuses are marked ``honest_sandbox``.
    """
    if request.node.get_closest_marker("honest_sandbox") is None:
        lenient = property(lambda state: state.config.closed and bool(state.config.contacts))
        monkeypatch.setattr(SandboxState, "closed", lenient)
        monkeypatch.setattr(
            SandboxState, "knows_provider", lambda state, _: not state.config.providers
        )


@pytest.fixture
def sandbox() -> Iterator[SandboxThread]:
    """A sandbox without limits, in a thread of its own."""
    with SandboxThread() as sandbox:
        yield sandbox


@pytest.fixture
def bound_by_modes() -> Iterator[Path]:
    """A folder of a user whom the modes of files bind: root is nobody for the test's time."""
    with TemporaryDirectory() as name:
        folder, root = Path(name), hasattr(os, "geteuid") and os.geteuid() == 0
        if root:
            os.chown(folder, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)
