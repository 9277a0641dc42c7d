"""``python -m leadconnector_async`` is ``leadconnector``."""

from leadconnector_async.cli import main

main()
