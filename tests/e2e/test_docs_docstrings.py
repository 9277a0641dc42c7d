"""What ``help()`` says of each public object: there, and true. Its examples run on a sandbox."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import doctest
import inspect
import io
import sys
import textwrap
from functools import partial
from importlib import import_module
from inspect import CO_COROUTINE
from pydoc import render_doc
from typing import TYPE_CHECKING, Any

import pytest
from cli_harness import sms, write_jsonl
from fault_harness import QUICK, SHORT_PAUSES

import leadconnector_async
from leadconnector_async import Ingestor, LeadConnector
from leadconnector_async.sandbox import Fault, Sandbox, SandboxConfig, SandboxContact

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODULES = ("leadconnector_async", "leadconnector_async.sources", "leadconnector_async.sandbox")
JANE = SandboxContact(id="9VEmS0si86GW6gXWU89b", phone="+12125550100", email="jane@example.com")


def public_objects() -> Iterator[tuple[str, Any]]:
    """The classes and functions of each ``__all__``, and the public methods of the classes."""
    for module in map(import_module, MODULES):
        for name in module.__all__:
            value = getattr(module, name)
            if not inspect.isclass(value) and not inspect.isroutine(value):
                continue
            yield f"{module.__name__}.{name}", value
            if inspect.isclass(value):
                for method, function in inspect.getmembers(value, inspect.isfunction):
                    ours = function.__module__.startswith("leadconnector_async")
                    if ours and not method.startswith("_"):
                        yield f"{module.__name__}.{name}.{method}", function


OBJECTS = dict(public_objects())
EXAMPLES = {
    name: found
    for name, value in OBJECTS.items()
    if (found := doctest.DocTestParser().get_examples(inspect.getdoc(value) or ""))
}


@pytest.mark.slow
def test_help_shows_each_public_object() -> None:
    """Which looks its annotations up, and so needs what they name."""
    shown = [render_doc(value) for value in (*OBJECTS.values(), *map(import_module, MODULES))]
    assert all(shown)


def test_each_public_object_has_a_docstring() -> None:
    """Methods that the classes inherit included."""
    assert [name for name, value in OBJECTS.items() if not inspect.getdoc(value)] == []


def test_each_public_class_and_function_has_an_example() -> None:
    """Exceptions included: how they are met."""
    lacking = [
        name for name in OBJECTS if name not in EXAMPLES and name.rpartition(".")[0] in MODULES
    ]
    assert lacking == []


@pytest.mark.parametrize("name", [name for name in OBJECTS if "LeadConnector." in name])
def test_a_call_of_the_client_says_what_it_raises(name: str) -> None:
    """And how it is called, where it makes a request."""
    doc = inspect.getdoc(OBJECTS[name]) or ""
    asks = "-> Receipt" in str(inspect.signature(OBJECTS[name])) or name in EXAMPLES
    assert not asks or ("Raises:" in doc and name in EXAMPLES)


def test_what_raises_says_so() -> None:
    """A public function whose own body raises has a section of what."""
    silent = []
    for name, value in OBJECTS.items():
        if inspect.isfunction(value) and "Raises:" not in (inspect.getdoc(value) or ""):
            tree = ast.parse(textwrap.dedent(inspect.getsource(value)))
            raised = [node for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc]
            silent += [name] if raised else []
    assert silent == []


def shown(value: object) -> None:
    """Print what an example comes to, and keep it nowhere."""
    if value is not None:
        sys.stdout.write(f"{value!r}\n")


async def run_examples(name: str, known: dict[str, Any]) -> None:
    """Run an object's examples one after the other, and compare what they print."""
    checker, flags = doctest.OutputChecker(), doctest.ELLIPSIS
    for example in EXAMPLES[name]:
        code = compile(example.source, name, "single", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            result = eval(code, known)  # noqa: S307 - our own docstrings
            if code.co_flags & CO_COROUTINE:
                await result
        if example.want:
            assert checker.check_output(example.want, printed.getvalue(), flags), (
                f"{name}: {example.source}prints {printed.getvalue()}"
            )


def names() -> dict[str, Any]:
    """What an example may use without saying where it is from."""
    found: dict[str, Any] = {"asyncio": asyncio, "token": "t"}
    exec("from datetime import UTC, datetime", found)  # noqa: S102
    for module in map(import_module, MODULES):
        found |= {name: getattr(module, name) for name in module.__all__}
    return found


@pytest.mark.parametrize("name", EXAMPLES)
async def test_an_example_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands, but for the address of the sandbox."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "displayhook", shown)
    rows = ["type,contactId,direction,date,message", "SMS,c1,inbound,2024-05-01T09:30:00Z,hi"]
    (tmp_path / "history.csv").write_text("\n".join(rows))
    (tmp_path / "people.csv").write_text("name,phone\nJane Doe,+12125550100\n")
    (tmp_path / "photo.jpg").write_bytes(b"a picture")
    write_jsonl(tmp_path / "history.jsonl", [sms(1)])
    config = SandboxConfig(closed=False, contacts=(JANE,), limits=SHORT_PAUSES)
    async with (
        Sandbox(config) as sandbox,
        LeadConnector("t", location_id="loc", base_url=sandbox.url, policy=QUICK) as api,
        Ingestor(api) as ingestor,
    ):
        known = names() | {"api": api, "ingestor": ingestor, "sandbox": sandbox}
        known["LeadConnector"] = partial(LeadConnector, base_url=sandbox.url, location_id="loc")
        if "sandbox" in name:
            known["LeadConnector"] = LeadConnector
        known["message"] = leadconnector_async.InboundMessage(
            type="SMS", contact_id="c1", message="hi", direction="inbound"
        )
        known["messages"] = [known["message"]]
        if name.endswith("StoredMessages"):  # which speaks of an exchange of messages
            sandbox.set_faults(Fault("429", times=1))
            for text in ("hi", "hello"):
                await api.add_inbound_message(
                    leadconnector_async.InboundMessage(
                        type="SMS", contact_id=JANE.id, message=text, direction="inbound"
                    )
                )
        await run_examples(name, known)
