"""The budget of one location: how much of it may be used now.

`Quota` is what the engine talks to. It is made of

* `Window`: the slots, which never let the server count more than its limit;
* `Room`: what the server's own figures add to that, or take from it;
* `Neighbours`: what other programs take of the same budget;
* `Pacer`: smooths the sending;
* `Day`: the budget of the day.
"""

from __future__ import annotations

from leadconnector_async._quota.limits import RateLimit
from leadconnector_async._quota.quota import Quota
from leadconnector_async._quota.window import Slot

__all__ = ["Quota", "RateLimit", "Slot"]
