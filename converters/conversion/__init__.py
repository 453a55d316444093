"""From a Keras network to a `.tflite` with its metadata and manifest. Uses TensorFlow."""
