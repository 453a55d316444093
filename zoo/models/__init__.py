"""Architectures: one module per family, each with a `build(...) -> tf_keras.Model`."""
