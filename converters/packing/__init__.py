"""Packing a `.tflite` into the download container: what its bytes are, and which code fits them."""
