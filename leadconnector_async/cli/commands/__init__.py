"""The subcommands of ``leadconnector``, one module each."""
