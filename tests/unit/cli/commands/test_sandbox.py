from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from cli_harness import OWN_FORM, leadconnector, result_of, sms, started, write_jsonl

if TYPE_CHECKING:
    from pathlib import Path


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


def test_a_port_that_is_taken_is_exit_1() -> None:
    """One line that says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = leadconnector("sandbox", "--port", port)
    assert run.exit_code == 1
    assert "choose another --port" in run.stderr
