"""Readers: one for each form that a file has."""
