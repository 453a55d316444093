"""Numerical comparison of a `.tflite` with its Keras network, down to the first diverging layer."""
