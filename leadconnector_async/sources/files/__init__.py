"""Files, archives and pieces of them as bytes and text, and what is attached to messages."""
