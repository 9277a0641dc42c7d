"""``python -m leadconnector_async.cli`` is ``leadconnector``."""

from leadconnector_async.cli import main

main()
