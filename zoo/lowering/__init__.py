"""Keras networks rewritten in layers that TFLite has as builtin operators."""
