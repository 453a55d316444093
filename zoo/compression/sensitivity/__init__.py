"""Per-layer sensitivity of a trained network, and the compression plan derived from it."""
