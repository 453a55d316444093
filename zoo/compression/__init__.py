"""Compression schemes: each changes or constrains a trained network's weights and fine-tunes it."""
