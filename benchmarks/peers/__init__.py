"""The contestants: each posts the same bodies to the same server, as its users would."""
