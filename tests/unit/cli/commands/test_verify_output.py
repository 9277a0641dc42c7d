"""The options of ``verify`` that concern its output: each does something."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cli_harness import at, leadconnector, result_of, sms, started, write_jsonl
from click.testing import CliRunner
from fault_harness import SHORT_PAUSES

from leadconnector_async.cli.app import app
from leadconnector_async.sandbox import Fault, SandboxConfig, SandboxThread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RED = "\x1b[31mm"


@pytest.fixture
def sandbox() -> Iterator[SandboxThread]:
    """A sandbox that asks to slow down once."""
    with SandboxThread(SandboxConfig(limits=SHORT_PAUSES)) as running:
        yield running


def imported(sandbox: SandboxThread, tmp_path: Path) -> list[str]:
    """Import one record, whose key is colored, and return the options that verify it."""
    outbox = tmp_path / "o.db"
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1, id=RED)])
    assert leadconnector("import", history, *at(sandbox, outbox)).exit_code == 0
    return at(sandbox, outbox)[:-2]


def test_quiet_prints_differences_alone(sandbox: SandboxThread, tmp_path: Path) -> None:
    """Nothing where all agrees, and the same as ever where a message is missing."""
    options = imported(sandbox, tmp_path)
    assert "Each record is there, once." in leadconnector("verify", *options).stdout
    assert leadconnector("verify", *options, "--quiet").stdout == ""
    with SandboxThread() as emptied:
        options[1] = emptied.url
        options[3] = emptied.token
        run = leadconnector("verify", *options, "--quiet")
    assert run.exit_code == 3
    assert "Missing:" in run.stdout


def test_a_location_that_cannot_be_read_keeps_no_other_one(tmp_path: Path) -> None:
    """It is told, and the exit status is that of an error; the others are compared."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1), sms(2, locationId="other")])
    with SandboxThread(SandboxConfig(tokens={"t": "place"})) as sandbox:
        words = ("--base-url", sandbox.url, "--token", "t", "--outbox", tmp_path / "o.db")
        leadconnector("import", history, *words, "--location", "place")
        run = leadconnector("verify", *words)
        told = leadconnector("verify", *words, "--json")
    assert (run.exit_code, told.exit_code) == (1, 1)
    assert run.stderr.startswith("leadconnector: location other: 403 ")
    assert "Location place\n" in run.stdout
    assert "Each record is there, once." in run.stdout
    assert list(result_of(told.stdout)["errors"]) == ["other"]


def test_a_location_whose_records_were_all_given_up_is_no_error(tmp_path: Path) -> None:
    """As one that was named by mistake, and that no token opens: nothing was sent there."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1), sms(2, locationId="mistaken")])
    known = tmp_path / "locations.toml"
    known.write_text('[[location]]\nid = "place"\ntoken_command = ["echo", "t"]\n')
    with SandboxThread(SandboxConfig(tokens={"t": "place"})) as sandbox:
        words = ("--base-url", sandbox.url, "--locations", known, "--outbox", tmp_path / "o.db")
        assert leadconnector("import", history, *words).exit_code == 1
        assert leadconnector("verify", *words).exit_code == 1
        leadconnector("failed", *words[-2:], "--give-up", "mistaken")
        leadconnector("failed", *words[-2:], "--dismiss", "given up")
        run = leadconnector("verify", *words)
    assert run.exit_code == 0
    assert "location mistaken: 401 no token" in run.stderr


def test_a_location_that_has_no_records_is_refused(sandbox: SandboxThread, tmp_path: Path) -> None:
    """A misspelt one would have been found complete."""
    options = imported(sandbox, tmp_path)
    run = leadconnector("verify", *options, "--location", "nowhere")
    assert run.exit_code == 2
    assert f"no records of location nowhere, but of {sandbox.location_id}" in run.stderr


@pytest.mark.slow
@pytest.mark.parametrize("verbose", [False, True])
def test_verbose_shows_rare_events(
    sandbox: SandboxThread, tmp_path: Path, *, verbose: bool
) -> None:
    """Such as a pause that the API asked for; without it standard error stays empty."""
    options = imported(sandbox, tmp_path)
    sandbox.set_faults(Fault("429", endpoint="export", nth=(1,), seconds=0.01))
    with started("verify", *options, *["--verbose"] * verbose) as process:
        _, told = process.communicate()
    assert process.returncode == 0
    assert told.startswith("429: location") if verbose else not told


@pytest.mark.parametrize("color", [True, False])
def test_no_color_takes_them_out_of_others_texts_too(
    sandbox: SandboxThread, tmp_path: Path, *, color: bool
) -> None:
    """A key may hold what a terminal takes for a color."""
    options = imported(sandbox, tmp_path)
    with SandboxThread() as emptied:
        options[1], options[3] = emptied.url, emptied.token
        words = ["verify", *options, *["--no-color"] * (not color)]
        run = CliRunner().invoke(app, words, color=True)
    assert "Missing:" in run.stdout
    assert (RED in run.stdout) == color
