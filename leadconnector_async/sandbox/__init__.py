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

_HOMES = ("config", "faults", "message_store", "state", "server", "program")
"""The modules of these names, those first that import least."""


def __getattr__(name: str) -> object:
    for home in _HOMES if name in __all__ else ():
        found = vars(import_module(f"{__name__}.{home}"))
        if name in found:
            return globals().setdefault(name, found[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
