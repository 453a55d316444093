"""Entropy-coded download container of a `.tflite` file, which it restores byte for byte.

Unpacking (`zoo.container.unpack`) imports only NumPy and the entropy coder, no TFLite code. Packing
is in `converters.packing`.
"""
