"""What does a figure mean? The rules a record at a time, countries, and the path from raw to clean."""
