"""A pytest fixture that runs the sandbox: ``leadconnector_sandbox``.

Installed with the package, so a test names the fixture and has it. Override
``leadconnector_sandbox_config`` to change the sandbox's settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadconnector_async.sandbox import SandboxConfig, SandboxThread


@pytest.fixture
def leadconnector_sandbox_config() -> SandboxConfig | None:
    """The sandbox's settings; None for the defaults."""
    return None


@pytest.fixture
def leadconnector_sandbox(
    leadconnector_sandbox_config: SandboxConfig | None,
) -> Iterator[SandboxThread]:
    """A running sandbox: ``.url``, ``.token``, ``.location_id``, ``.messages``, ``.set_faults``."""
    # Imported here, since pytest loads this module in every run of every project that has it.
    from leadconnector_async.sandbox import SandboxThread  # noqa: PLC0415

    with SandboxThread(leadconnector_sandbox_config) as sandbox:
        yield sandbox
