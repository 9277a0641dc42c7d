from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest
from cli_harness import OWN_FORM, leadconnector, read_until, result_of, sms, started, write_jsonl

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_it_stands_in_for_the_api_with_its_limits_and_faults(tmp_path: Path) -> None:
    """The address is printed alone on a line; any token and location are let in."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(n, contactId=OWN_FORM) for n in range(20)])
    options = ("--port", "0", "--limit", "100/1", "--daily", "15", "--fault", "drop:after:0.1")
    with started("sandbox", *options, "--latency", "4", "--seed", "3") as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        run = leadconnector(
            *("import", history, "--base-url", address, "--token", "any", "--location", "any"),
            *("--outbox", tmp_path / "o.db", "--look-after", "0.1", "--json"),
        )
    assert run.exit_code == 4, run.output
    assert 0 < result_of(run.stdout)["sent"] <= 15


def test_a_fault_that_does_not_exist_is_wrong_usage() -> None:
    """The message names those that do."""
    run = leadconnector("sandbox", "--fault", "earthquake")
    assert run.exit_code == 2
    assert "drop" in run.stderr


def test_a_port_that_cannot_be_is_wrong_usage() -> None:
    """It was a traceback."""
    run = leadconnector("sandbox", "--port", "70000")
    assert run.exit_code == 2
    assert "70000 is not in the range" in run.stderr


def test_a_port_that_is_taken_is_exit_1() -> None:
    """One line that says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = leadconnector("sandbox", "--port", port)
    assert run.exit_code == 1
    assert "choose another --port" in run.stderr


@pytest.mark.slow
def test_it_knows_the_contacts_of_a_file_alone(tmp_path: Path) -> None:
    """Records of others fail, as they would in the account."""
    contacts = tmp_path / "contacts.csv"
    contacts.write_text(f"id,phone\n{OWN_FORM},+13125550101\n")
    other = OWN_FORM[::-1]
    history = write_jsonl(tmp_path / "h.jsonl", [sms(n, contactId=OWN_FORM) for n in range(3)])
    with history.open("a") as file:
        file.write(json.dumps(sms(3, contactId=other)) + "\n")
    with started("sandbox", "--port", "0", "--known", contacts) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        run = leadconnector(
            *("import", history, "--base-url", address, "--token", "any", "--location", "any"),
            *("--outbox", tmp_path / "o.db", "--json"),
        )
    assert run.exit_code == 3, run.output
    found = result_of(run.stdout)
    assert (found["sent"], found["failed"]) == (3, 1)
    assert found["by_reason"][0]["reason"] == "400 Contact not found"


@pytest.mark.slow
def test_it_installs_an_app_and_says_how_to_use_it() -> None:
    """Client id, secret and refresh tokens are printed; each token has its location."""
    options = ("--oauth", "--location-token", "t1=loc-1", "--location-token", "t2=loc-2")
    with started("sandbox", "--port", "0", *options) as process:
        read_until(process.stderr, "sandbox-client, sandbox-secret. Refresh tokens: refresh-loc-1")


def test_a_pair_without_a_side_is_wrong_usage() -> None:
    """The message shows the form."""
    run = leadconnector("sandbox", "--location-token", "t1")
    assert run.exit_code == 2
    assert "TOKEN=LOCATION" in run.stderr
