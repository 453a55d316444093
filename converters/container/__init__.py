"""The download container of a `.tflite`: entropy-coded, restored byte for byte.

Unpacking (`converters.container.container`) loads NumPy and the coder only; packing
(`converters.container.packing`) also reads flatbuffers.
"""
