"""Rate–distortion quantization of a finished float32 `.tflite`."""
