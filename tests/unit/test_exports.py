from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_type_hints

import pytest
from msgspec import Struct

import leadconnector_async
from leadconnector_async import errors, models

ROOT = Path(__file__).parents[2]
NAMES = leadconnector_async.__all__


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return run.stdout.strip()


def test_all_names_each_name_once() -> None:
    """Each name once."""
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_exported_is_there(name: str) -> None:
    """Every name in ``__all__`` can be imported, and is what it says."""
    value = getattr(leadconnector_async, name)
    assert name in dir(leadconnector_async)
    assert getattr(leadconnector_async, name) is value
    if isinstance(value, type):
        assert value.__name__ == name
        assert value.__module__ == "leadconnector_async"
        assert value.__doc__


def test_a_class_says_the_place_it_is_imported_from() -> None:
    """In reprs, tracebacks and pickles, also of what was raised before any name was asked for."""
    assert repr(leadconnector_async.Sent) == "<class 'leadconnector_async.Sent'>"
    assert get_type_hints(leadconnector_async.Call)["status"] == models.CallStatus | None
    raised = python(
        "import pickle, traceback\n"
        "from leadconnector_async.records.keys import key_from_text\n"
        "from leadconnector_async.errors import InvalidMessageError as error\n"
        "from leadconnector_async.models import Problem, Sent\n"
        "problem = Problem('date', 'is missing', 'write one')\n"
        "print(traceback.format_exception_only(error([problem]))[0].split(':')[0])\n"
        "print(pickle.loads(pickle.dumps(problem)) == problem)\n"
        "print(b'leadconnector_async.' in pickle.dumps([error([problem]), Sent], 0))\n"
    )
    assert raised.split() == ["leadconnector_async.InvalidMessageError", "True", "False"]


def test_the_designed_names_are_public() -> None:
    """What independent checks are written against."""
    assert {
        "LeadConnector",
        "InboundMessage",
        "Call",
        "RateLimitHeaders",
        "Receipt",
        "Ingestor",
        "Sent",
        "Rejected",
        "Unresolved",
    } <= set(NAMES)


def test_every_exception_is_public() -> None:
    """Whoever catches one can name it."""
    classes = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert classes <= set(NAMES)


def test_every_value_that_crosses_the_border_is_public() -> None:
    """Except `MessageFields`, the base that sources share with `InboundMessage`."""
    structs = {
        name
        for name, value in vars(models).items()
        if isinstance(value, type) and issubclass(value, Struct) and value is not Struct
    }
    assert structs - set(NAMES) == {"MessageFields"}


def test_what_is_not_exported_is_an_attribute_error() -> None:
    """In the usual words."""
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        leadconnector_async.Nothing  # noqa: B018 - the look-up is the test


def test_importing_the_package_costs_little() -> None:
    """Nothing heavy is imported before it is needed."""
    loaded = python(
        "import sys, leadconnector_async\n"
        "heavy = 'aiohttp', 'asyncio', 'msgspec', 'orjson', 'click', 'rich', 'sqlite3'\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    assert loaded == "[]"


def test_a_name_brings_only_what_it_needs() -> None:
    """A message needs no HTTP library, and a type of outcomes or of progress no client."""
    loaded = python(
        "import sys\n"
        "from leadconnector_async import InboundMessage, Policy, LeadConnectorError\n"
        "print([name for name in ('aiohttp', 'asyncio', 'sqlite3') if name in sys.modules])\n"
        "from leadconnector_async import Ingestor, ImportSummary, TokenProvider\n"
        "print('leadconnector_async.client' in sys.modules)"
    )
    assert loaded == "[]\nFalse"


def test_json_is_read_without_what_reads_mails(tmp_path: Path) -> None:
    """Few sources are mails, and each start would pay for them."""
    path = tmp_path / "history.jsonl"
    path.write_text('{"type": "SMS"}\n', encoding="utf-8")
    loaded = python(
        "import sys\nfrom leadconnector_async.sources import open_source\n"
        f"with open_source({str(path)!r}) as source:\n    list(source)\n"
        "print([name for name in sys.modules if name.startswith('leadconnector_async.sources.f')])"
    )
    assert "sources.files.members" in loaded
    assert "sources.formats.mail" not in loaded
    assert "sources.formats.mbox" not in loaded


@pytest.mark.slow
def test_a_star_import_gives_all() -> None:
    """And nothing but."""
    code = "from leadconnector_async import *\nprint(sorted(n for n in dir() if n[0] != '_'))"
    assert python(code) == str(sorted(NAMES))


def test_the_version_is_that_of_the_distribution() -> None:
    """Written in two places that agree."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert leadconnector_async.__version__ == project["version"]


def test_the_package_is_typed() -> None:
    """Type checkers read its annotations."""
    assert (ROOT / "leadconnector_async" / "py.typed").exists()
