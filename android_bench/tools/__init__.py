"""The benchmark tools for phones: their flags and what they print."""
