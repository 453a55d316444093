"""Encoder of the download container: splits a `.tflite` into sections and codes each of them."""
