"""Static analysis of a `.tflite`: contents, delegate support and cost. No TensorFlow."""
