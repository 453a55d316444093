"""Whether a phone's outputs are those of the host."""
