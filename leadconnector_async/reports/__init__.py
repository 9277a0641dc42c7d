"""What an import is doing, has done, and will take."""
