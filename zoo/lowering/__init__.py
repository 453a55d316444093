"""Rewrites Keras networks with layers that TFLite has builtin operators for."""
