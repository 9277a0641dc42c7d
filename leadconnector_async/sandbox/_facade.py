"""What a test may ask of a sandbox, and tell it, wherever it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable

    from leadconnector_async.sandbox._config import SandboxConfig
    from leadconnector_async.sandbox._faults import Fault
    from leadconnector_async.sandbox._store import Conversation, Stored
    from leadconnector_async.sandbox._uploads import Upload
    from leadconnector_async.sandbox._world import World


class Facade:
    """The common part of `Sandbox` and `SandboxThread`."""

    world: World

    @property
    def url(self) -> str:
        """The base address. It stays the same while the host is down."""
        return self.world.url

    @property
    def config(self) -> SandboxConfig:
        """The settings of this moment."""
        return self.world.config

    @property
    def token(self) -> str:
        """A token that is let in: the first of ``tokens``, else ``config.token``."""
        return next(iter(self.config.tokens), self.config.token)

    @property
    def location_id(self) -> str:
        """The location of `token`."""
        return self.config.tokens.get(self.token, self.config.location_id)

    @property
    def messages(self) -> list[Stored]:
        """What is stored, in the order of arrival. Empty with ``keep_messages=False``."""
        return self.world.store.messages()

    @property
    def stored(self) -> Counter[str]:
        """How many messages are stored, by location, kept or not."""
        return self.world.store.counts

    @property
    def requests(self) -> Counter[tuple[str, int]]:
        """How many requests were answered, by endpoint and status. 0 stands for no answer."""
        return self.world.requests

    @property
    def faults_fired(self) -> Counter[str]:
        """How often each kind of fault has happened."""
        return self.world.faults.fired

    @property
    def contacts(self) -> list[dict[str, object]]:
        """The contacts that were given or created."""
        return self.world.contacts.all()

    @property
    def conversations(self) -> list[Conversation]:
        """The conversations of all locations."""
        return self.world.store.all_conversations()

    @property
    def uploads(self) -> list[Upload]:
        """The files that were uploaded."""
        return list(self.world.uploads)

    def know(
        self,
        *,
        contacts: Iterable[str] = (),
        conversations: Iterable[str] = (),
        providers: Iterable[str] = (),
        location: str | None = None,
    ) -> None:
        """Take ids for ones that the sandbox gave out; it refuses all others.

        ``location`` defaults to the sandbox's own.
        """
        where = location or self.location_id
        self.world.know(where, contacts=contacts, conversations=conversations, providers=providers)

    def set_faults(self, *faults: Fault) -> None:
        """Replace the faults; none makes the sandbox faultless."""
        self.world.faults.set(faults)

    def reconfigure(self, **changes: object) -> None:
        """Change settings of `SandboxConfig` while running, all but latency and keep-alive."""
        self.world.reconfigure(**changes)

    def consume(self, location: str | None = None, n: int = 1, *, app: str | None = None) -> int:
        """Use up quota from outside, as another program with the same app would.

        ``app`` is the location's token where tokens are configured. Returns how many of the
        ``n`` requests were let through.
        """
        where = location or self.location_id
        if app is None:
            owners = (token for token, home in self.config.tokens.items() if home == where)
            app = next(owners, "")
        meter = self.world.meter(app, where)
        return sum(meter.admit(self.world.clock()).admitted for _ in range(n))
