"""Reads files of records, and writes the list of those that failed."""

from leadconnector_async.sources.base import Identity, Parsed, Source, SourceOptions, SourceRow
from leadconnector_async.sources.exports import open_source, open_sources
from leadconnector_async.sources.formats.failed_list import FailedRow, failed_suffix, write_failed
from leadconnector_async.sources.people import read_people

__all__ = [
    "FailedRow",
    "Identity",
    "Parsed",
    "Source",
    "SourceOptions",
    "SourceRow",
    "failed_suffix",
    "open_source",
    "open_sources",
    "read_people",
    "write_failed",
]
