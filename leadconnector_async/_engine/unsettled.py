"""What keeps a record from being sent at once: a doubt, or parts that it lacks."""

from __future__ import annotations

from msgspec import Struct

from leadconnector_async._api.completing import Completed
from leadconnector_async._api.dialogue import Dialogue
from leadconnector_async._api.late import Late
from leadconnector_async._transport import Request


class Doubt(Struct):
    """A record may be stored. It is looked for before anything else happens in its lane."""

    reason: str
    looks: int = 0
    troubles: int = 0


class Errand(Struct, weakref=True):
    """The completion of a lane's first record: what it waits for, or what it came to."""

    late: Late
    steps: Dialogue[Completed] | None = None
    request: Request | None = None
    completed: Completed | None = None
    failures: int = 0
    learning: str | None = None
    """The fact that it is about to learn for other lanes too."""

    def start_over(self) -> None:
        """Forget how far it is: what was learned is remembered, and is not asked for again."""
        self.steps = self.request = self.learning = None
