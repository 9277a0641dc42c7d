from __future__ import annotations

import http.client
import json
import threading
from urllib.parse import urlsplit

import pytest

from leadconnector_async.sandbox import Fault, SandboxConfig, SandboxContact, SandboxThread


def post(sandbox: SandboxThread) -> int:
    """Post an SMS without a loop; the status."""
    where = urlsplit(sandbox.url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
    try:
        connection.request(
            "POST",
            "/conversations/messages/inbound",
            json.dumps({"type": "SMS", "contactId": "c", "message": "hi"}),
            {"Authorization": f"Bearer {sandbox.token}", "Version": "2021-04-15"},
        )
        return connection.getresponse().status
    finally:
        connection.close()


def test_it_runs_beside_synchronous_code() -> None:
    """Its address, its token and what it stored are there without a loop."""
    with SandboxThread(SandboxConfig(tokens={"t": "loc-t"})) as sandbox:
        assert post(sandbox) == 200
        assert (sandbox.token, sandbox.location_id) == ("t", "loc-t")
        assert [message.location_id for message in sandbox.messages] == ["loc-t"]
    assert not [one for one in threading.enumerate() if one.name == "leadconnector-sandbox"]


def test_faults_can_be_set_while_it_runs() -> None:
    """And taken back."""
    with SandboxThread() as sandbox:
        sandbox.set_faults(Fault("503"))
        assert post(sandbox) == 503
        sandbox.set_faults()
        assert post(sandbox) == 200
        sandbox.reconfigure(created_status=201)
        assert post(sandbox) == 201
        assert sandbox.faults_fired == {"503": 1}


def test_it_goes_down_and_up() -> None:
    """Connections are refused in between."""
    with SandboxThread() as sandbox:
        sandbox.go_down()
        with pytest.raises(ConnectionRefusedError):
            post(sandbox)
        sandbox.come_up()
        assert post(sandbox) == 200


def test_what_it_holds_can_be_asked_for() -> None:
    """Contacts, conversations, uploads, counters."""
    with SandboxThread(SandboxConfig(contacts=(SandboxContact(id="c"),))) as sandbox:
        post(sandbox)
        assert [contact["id"] for contact in sandbox.contacts] == ["c"]
        assert [one.contact_id for one in sandbox.conversations] == ["c"]
        assert sandbox.uploads == []
        assert sandbox.requests == {("inbound", 200): 1}


def test_a_taken_port_is_an_error_in_the_caller() -> None:
    """Not in the thread, where nobody would see it."""
    with SandboxThread() as sandbox:
        port = urlsplit(sandbox.url).port or 0
        other = SandboxThread(port=port)
        with pytest.raises(OSError, match="address already in use"):
            other.start()
        other.stop()


def test_it_must_run_to_be_told_things() -> None:
    """Otherwise nobody would listen."""
    with pytest.raises(RuntimeError, match="not running"):
        SandboxThread().go_down()


def test_the_repr_names_the_sandbox() -> None:
    """Without its token."""
    assert repr(SandboxThread(SandboxConfig(tokens={"hush": "loc"}))) == (
        "SandboxThread(Sandbox('not started', 0 messages))"
    )
