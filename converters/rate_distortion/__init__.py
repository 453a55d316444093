"""Rate–distortion quantisation of a finished float32 `.tflite`."""
