"""The official clients, unchanged but for their base address, with the sandbox.

They are in no extra that the tests install, so that CI skips this: have ``gohighlevel-api-client``
3.x in the environment, and ``@gohighlevel/api-client`` 3.x in a folder that ``NODE_PATH`` names.
Neither can upload a file's bytes without options of its user's: the Python client sends JSON.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from leadconnector_async.sandbox import (
    Fault,
    OAuthApp,
    OAuthInstallation,
    Reads,
    SandboxConfig,
    SandboxThread,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable

pytestmark = [pytest.mark.official_clients, pytest.mark.honest_sandbox]

SCRIPT = Path(__file__).parents[1] / "support" / "official_client.cjs"
PI_TOKEN, LOCATION, COMPANY = "pit", "loc-1", "co"
AGENCY_REFRESH, REFRESH = "r-company", "r-location"
EXPECTED = {
    "got": "ann@x.example",
    "upserted": False,
    "duplicate": True,
    "searched": [True],
    "conversation": True,
    "messages": 2,
    "message": "hi",
    "mail": "S",
    "exported": 1,
    "named": ["a.png"],
    "statuses": [422, 400, 403, 401, 429],
    "renewed": 1,
}


def sandbox() -> SandboxThread:
    """A sandbox with a location, an app, and one record that is throttled."""
    app = OAuthApp(
        client_id="app",
        client_secret="secret",  # noqa: S106 - opens nothing
        installations=(
            OAuthInstallation(refresh_token=AGENCY_REFRESH, company_id=COMPANY),
            OAuthInstallation(refresh_token=REFRESH, company_id=COMPANY, location_id=LOCATION),
        ),
        company_locations={COMPANY: (LOCATION,)},
    )
    throttled = Fault("429", alt_id="throttle")
    return SandboxThread(
        SandboxConfig(
            tokens={PI_TOKEN: LOCATION}, oauth=app, reads=Reads(flat=True), faults=(throttled,)
        )
    )


@pytest.mark.slow
def test_the_javascript_client_works_unchanged() -> None:
    """Each of its calls around an import gets what its types promise, or the API's refusal."""
    node = shutil.which("node")
    look = "require.resolve('@gohighlevel/api-client')"
    if (
        node is None
        or subprocess.run([node, "-e", look], capture_output=True, check=False).returncode
    ):
        pytest.skip("node does not find @gohighlevel/api-client")
    with sandbox() as server:
        command = [node, str(SCRIPT), server.url, PI_TOKEN, LOCATION, COMPANY]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout.splitlines()[-1]) == {**EXPECTED, "uploaded": ['a "b".png']}
        assert [upload.content for upload in server.uploads] == [b"", b"picture"]


async def status_of(call: Awaitable[Any]) -> int | None:
    """The status of a refusal."""
    from highlevel.error import GHLError  # noqa: PLC0415 - may not be installed

    try:
        await call
    except GHLError as error:
        status: int | None = error.status_code
        return status
    return 200


async def python_steps(url: str) -> dict[str, Any]:
    """The steps with the Python client. It takes no id for a single message but in an address."""
    from highlevel import HighLevel  # noqa: PLC0415 - may not be installed

    HighLevel.BASE_URL = url
    client = HighLevel(private_integration_token=PI_TOKEN, log_level="none")
    contacts, conversations = client.contacts, client.conversations
    found: dict[str, Any] = {}
    person = {"locationId": LOCATION, "email": "ann@x.example", "phone": "+13125550100"}
    contact = (await contacts.create_contact(person))["contact"]["id"]
    found["got"] = (await contacts.get_contact(contact))["contact"]["email"]
    again = {"locationId": LOCATION, "email": person["email"]}
    found["upserted"] = (await contacts.upsert_contact(again))["new"]
    twin = await contacts.get_duplicate_contact(LOCATION, number=person["phone"])
    found["duplicate"] = twin["contact"]["id"] == contact
    base = {"contactId": contact, "direction": "inbound", "date": "2024-05-01T12:00:00Z"}
    add = conversations.add_an_inbound_message
    sms = await add({**base, "type": "SMS", "message": "hi"})
    mail = await add({**base, "type": "Email", "html": "<p>x</p>", "subject": "S"})
    own = sms["conversationId"]
    listed = await conversations.search_conversation(LOCATION, contact_id=contact)
    found["searched"] = [one["id"] == own for one in listed["conversations"]]
    found["conversation"] = (await conversations.get_conversation(own))["contactId"] == contact
    found["messages"] = len((await conversations.get_messages(own))["messages"])
    address = "/conversations/messages/"
    one = await conversations.get_message({"url": address + sms["messageId"]})
    found["message"] = one["body"]
    one = await conversations.get_email_by_id({"url": f"{address}email/{mail['emailMessageId']}"})
    found["mail"] = one["subject"]
    export = conversations.export_messages_by_location
    found["exported"] = (await export(LOCATION, limit=10))["total"]
    place = {"conversationId": own, "contactId": contact, "locationId": LOCATION}
    files = place | {"attachmentUrls": ["https://x.example/a.png"]}
    found["named"] = [*(await conversations.upload_file_attachments(files))["uploadedFiles"]]
    stranger = HighLevel(private_integration_token="wrong", log_level="none")  # noqa: S106
    found["statuses"] = [
        await status_of(add({**base, "type": "SMS", "attachments": []})),
        await status_of(add({**base, "type": "SMS", "contactId": "nobody"})),
        await status_of(export("elsewhere")),
        await status_of(stranger.conversations.export_messages_by_location(LOCATION)),
        await status_of(add({**base, "type": "SMS", "altId": "throttle"})),
    ]
    found["renewed"] = await python_renewal(HighLevel)
    await client.http_client.aclose()
    await stranger.http_client.aclose()
    return found


async def python_renewal(client_class: Any) -> int:  # noqa: ANN401 - a class without types
    """Refresh a company's token, take a location's from it, and have an expired one renewed."""
    agency = client_class(client_id="app", client_secret="secret", log_level="none")  # noqa: S106
    sessions = agency.get_session_storage()
    pair = await agency.oauth.refresh_token(
        AGENCY_REFRESH, "app", "secret", "refresh_token", "Company"
    )
    await sessions.set_session(COMPANY, pair)
    own = await agency.oauth.get_location_access_token(
        {"companyId": COMPANY, "locationId": LOCATION}
    )
    expired = {"access_token": "expired", "accessToken": "expired", "userType": "Location"}
    await sessions.set_session(LOCATION, {**own, **expired, "refresh_token": own["refreshToken"]})
    page = await agency.conversations.export_messages_by_location(LOCATION, limit=10)
    await agency.http_client.aclose()
    total: int = page["total"]
    return total


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("highlevel"), reason="gohighlevel-api-client is not installed")
@pytest.mark.filterwarnings("ignore")
def test_the_python_client_works_unchanged() -> None:
    """Each of its calls around an import gets what its types promise, or the API's refusal."""
    with sandbox() as server:
        assert asyncio.run(python_steps(server.url)) == EXPECTED
