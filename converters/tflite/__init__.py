"""Bounded reading of `.tflite` files from any source, and editing of our own."""
