"""Files, caches, provenance and the standard error stream: what touches the machine."""
