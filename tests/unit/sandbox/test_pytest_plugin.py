from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.slow
def test_a_user_s_tests_get_a_sandbox(tmp_path: Path) -> None:
    """A running one for each test, with the settings of their own fixture."""
    (tmp_path / "test_user.py").write_text(USER_TEST)
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"),
            *("-p", "leadconnector_async.sandbox.pytest_plugin", "test_user.py"),
        ],
        cwd=tmp_path,
        # Where the package is installed, its entry point would load the plugin a second time.
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr
