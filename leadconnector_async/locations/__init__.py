"""The locations of an import: their tokens, providers and quotas."""
