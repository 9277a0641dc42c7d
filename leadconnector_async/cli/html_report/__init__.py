"""The HTML report on an import."""
