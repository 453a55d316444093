"""Compares the outputs of phones with those of the host."""
