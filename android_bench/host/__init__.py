"""Times and scores `.tflite` files on this computer."""
