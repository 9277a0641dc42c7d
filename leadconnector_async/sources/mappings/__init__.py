"""What columns and keys mean: mapping files, and rows of any names as fields of a message."""
