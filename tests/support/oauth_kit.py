"""An OAuth app in the sandbox's world, reached without sockets."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from virtual_time import Clock

from leadconnector_async import OAuth
from leadconnector_async.sandbox import OAuthApp, OAuthInstallation, SandboxConfig
from leadconnector_async.sandbox.app import respond
from leadconnector_async.sandbox.state import SandboxState
from leadconnector_async.transport.base import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from leadconnector_async.transport.base import Request

SECRET = "secret-of-app"
FIRST_OWN, FIRST_COMPANY, AGAIN_OWN = "first-own", "first-co", "again-own"
APP = OAuthApp(
    client_id="app",
    client_secret=SECRET,
    installations=(
        OAuthInstallation(refresh_token=FIRST_OWN, company_id="co", location_id="own"),
        OAuthInstallation(refresh_token=FIRST_COMPANY, company_id="co"),
        OAuthInstallation(refresh_token=AGAIN_OWN, company_id="co", location_id="own"),
    ),
    company_locations={"co": ("loc-1", "loc-2", "own")},
    expires_in=1000,
)
FIRST = {"own": FIRST_OWN, "co": FIRST_COMPANY}


class Direct:
    """A transport into a world in this process. ``on_answer`` sees each answer, and may raise."""

    def __init__(self, state: SandboxState, version: str | None = None) -> None:
        self.version = version
        self.state = state
        self.sent: Counter[str] = Counter()
        self.on_send: Callable[[Request, str], None] = lambda _request, _token: None
        self.on_answer: Callable[[Request, Response], None] = lambda _request, _response: None

    async def send(self, request: Request, token: str, may_send: object = None) -> Response:  # noqa: ARG002 - nobody asks
        """Serve at once."""
        self.sent[request.path] += 1
        self.on_send(request, token)
        headers = {"Version": self.version or request.version, "Content-Type": request.content_type}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        reply = respond(
            self.state, request.method, request.path, headers, request.body or b""
        ).reply
        response = Response(reply.status, {}, reply.body)
        self.on_answer(request, response)
        return response

    def abort(self) -> None:
        """Nothing is in flight."""

    async def close(self) -> None:
        """Nothing is open."""

    def accepts(self, token: str, location: str) -> bool:
        """Whether the API would serve this token now."""
        headers = {"Version": "2021-04-15", "Authorization": f"Bearer {token}"}
        path = f"/conversations/messages/export?locationId={location}"
        return respond(self.state, "GET", path, headers, b"").reply.status == 200


def direct(clock: Clock | None = None, version: str | None = None) -> Direct:
    """A transport into a new world with the app."""
    return Direct(SandboxState(SandboxConfig(oauth=APP), clock or Clock()), version)


def oauth(
    folder: Path,
    transport: Direct,
    *,
    clock: Clock | None = None,
    first: Mapping[str, str] = FIRST,
    secret: str = SECRET,
) -> OAuth:
    """A provider whose location ``own`` has its installation, and the others the company's."""
    made = OAuth(
        "app",
        secret,
        store=folder / "tokens.db",
        refresh_tokens=first,
        company_of=lambda location: None if location == "own" else "co",
        clock=clock or Clock(),
    )
    made.attach_transport(transport)
    return made
