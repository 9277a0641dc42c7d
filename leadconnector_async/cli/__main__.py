"""``python -m leadconnector_async.cli`` is ``leadconnector``."""

from __future__ import annotations

from leadconnector_async.cli import main

main()
