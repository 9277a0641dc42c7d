"""From rows and messages to drafts. Pure: nothing here does network I/O."""
