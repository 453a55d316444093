"""Converts a Keras network to a `.tflite` with metadata and a manifest. Uses TensorFlow."""
