"""Command-line tools: each one defines flags and calls a library function."""
