"""The download container of a `.tflite`: entropy-coded, restored byte for byte.

Unpacking (`zoo.container.unpack`) loads NumPy and the coder only, nothing that knows TFLite;
packing is in `converters.packing`.
"""
