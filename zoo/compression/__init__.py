"""Compression schemes, each of which changes or constrains weights and fine-tunes the network."""
