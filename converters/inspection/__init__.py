"""What a `.tflite` holds, where it runs and what it costs, told from the file. No TensorFlow."""
