"""How close a `.tflite` is to the network it was converted from, and which layer parts them."""
