"""Single values as people write them: dates, telephone numbers, addresses."""
