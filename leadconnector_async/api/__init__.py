"""What the API says and means. Sans-I/O: nothing here sends, waits or reads a clock."""
