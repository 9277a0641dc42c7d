"""``python -m leadconnector_async`` is ``leadconnector``."""

from __future__ import annotations

from leadconnector_async.cli import main

main()
