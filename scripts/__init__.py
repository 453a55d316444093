"""Command-line tools: flags and one call each."""
