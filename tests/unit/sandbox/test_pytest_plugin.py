"""The fixture, in the tests of a project that has the package installed: those of the docs, too."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

pytestmark = pytest.mark.slow

USER_TEST = """
import urllib.request, urllib.error, pytest
from leadconnector_async.sandbox import Fault, SandboxConfig

@pytest.fixture
def leadconnector_sandbox_config():
    return SandboxConfig(token="mine", location_id="here")

def test_mine(leadconnector_sandbox):
    sandbox = leadconnector_sandbox
    assert (sandbox.token, sandbox.location_id) == ("mine", "here")
    sandbox.set_faults(Fault("503"))
    request = urllib.request.Request(
        sandbox.url + "/conversations/messages/inbound",
        b"{}", {"Authorization": "Bearer mine", "Version": "2021-04-15"})
    with pytest.raises(urllib.error.HTTPError, match="503") as caught:
        urllib.request.urlopen(request)
    caught.value.close()
    assert sandbox.messages == []

def test_fresh(leadconnector_sandbox):
    assert leadconnector_sandbox.requests == {}
"""


ROOT: Final = Path(__file__).resolve().parents[3]
_EXAMPLE: Final = re.compile(
    r"^```python\n# test_\w+\.py, (.*?)\n(.*?)^```", re.DOTALL | re.MULTILINE
)
EXAMPLES: Final = _EXAMPLE.findall((ROOT / "docs" / "testing.md").read_text("utf-8"))
PLUGINS: Final = {
    "without a loop": (),
    "with anyio": ("-p", "anyio.pytest_plugin"),
    "with pytest-asyncio": (
        *("-p", "pytest_asyncio.plugin"),
        *("-o", "asyncio_default_fixture_loop_scope=function"),  # some releases warn without it
    ),
}


def run_tests(folder: Path, text: str, *options: str) -> str:
    """Run a file of tests as their own project would, with the plugins that are named alone."""
    (folder / "test_user.py").write_text(text)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"),
            *("-p", "leadconnector_async.sandbox.pytest_plugin", *options, "test_user.py"),
        ],
        cwd=folder,
        # Where the package is installed, its entry point would load the plugin a second time.
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_a_user_s_tests_get_a_sandbox(tmp_path: Path) -> None:
    """A running one for each test, with the settings of their own fixture."""
    assert "2 passed" in (said := run_tests(tmp_path, USER_TEST)), said


def test_each_way_has_an_example() -> None:
    """With pytest-asyncio, with anyio, and with neither."""
    assert {way for way, _ in EXAMPLES} == {*PLUGINS}


@pytest.mark.parametrize(("way", "text"), EXAMPLES, ids=[way for way, _ in EXAMPLES])
def test_the_examples_of_the_docs_pass(tmp_path: Path, way: str, text: str) -> None:
    """Each under its plugin, as one would copy it."""
    assert "1 passed" in (said := run_tests(tmp_path, text, *PLUGINS[way])), said


def test_a_failure_is_told_where_it_was_asked_for(tmp_path: Path) -> None:
    """With the words of the assertion, the test's own line, and no code of the sandbox."""
    told = run_tests(
        tmp_path,
        "def test_it(leadconnector_sandbox):\n"
        "    leadconnector_sandbox.messages.assert_stored(message='hi')\n",
    )
    assert "message='hi': expected 1, found 0 among 0 stored messages" in told
    assert "test_user.py:2: AssertionError" in told
    assert "__tracebackhide__" not in told
