"""A stand-in for the LeadConnector API, with its limits, its lags, its habits and its faults.

Nothing is imported before it is asked for, so that importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leadconnector_async.sandbox.config import (
        NO_LIMITS,
        READ_SCOPES,
        Latency,
        Limits,
        OAuthApp,
        OAuthInstallation,
        Reads,
        SandboxConfig,
        SandboxContact,
    )
    from leadconnector_async.sandbox.faults import FAULT_KINDS, Fault
    from leadconnector_async.sandbox.message_store import Stored
    from leadconnector_async.sandbox.program import config_from_options, parse_fault, serve
    from leadconnector_async.sandbox.server import Sandbox, SandboxThread
    from leadconnector_async.sandbox.state import MessageCall, StoredMessages

__all__ = [
    "FAULT_KINDS",
    "NO_LIMITS",
    "READ_SCOPES",
    "Fault",
    "Latency",
    "Limits",
    "MessageCall",
    "OAuthApp",
    "OAuthInstallation",
    "Reads",
    "Sandbox",
    "SandboxConfig",
    "SandboxContact",
    "SandboxThread",
    "Stored",
    "StoredMessages",
    "config_from_options",
    "parse_fault",
    "serve",
]

_HOME_OF = dict.fromkeys(__all__, "config") | {
    "FAULT_KINDS": "faults",
    "Fault": "faults",
    "MessageCall": "state",
    "Sandbox": "server",
    "SandboxThread": "server",
    "Stored": "message_store",
    "StoredMessages": "state",
    "config_from_options": "program",
    "parse_fault": "program",
    "serve": "program",
}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
