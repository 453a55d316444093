"""Rate–distortion quantization of a float32 `.tflite`."""
