"""Timing and scoring `.tflite` files on this computer."""
