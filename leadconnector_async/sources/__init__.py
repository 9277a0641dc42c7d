"""Reads files of records, and writes the list of those that failed."""

from __future__ import annotations

from leadconnector_async.sources.failed import FailedRow, failed_suffix, write_failed
from leadconnector_async.sources.opening import open_source
from leadconnector_async.sources.row import (
    Identity,
    Parsed,
    Source,
    SourceOptions,
    SourceRow,
)

__all__ = [
    "FailedRow",
    "Identity",
    "Parsed",
    "Source",
    "SourceOptions",
    "SourceRow",
    "failed_suffix",
    "open_source",
    "write_failed",
]
