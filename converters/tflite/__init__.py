"""Reading `.tflite` files of any origin within bounds, and editing our own."""
