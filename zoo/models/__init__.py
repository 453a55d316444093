"""Architectures, one module a family, each with `build(...) -> tf_keras.Model`."""
