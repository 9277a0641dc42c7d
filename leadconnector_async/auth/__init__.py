"""Tokens: given, printed by a command, or by OAuth."""
