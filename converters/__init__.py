"""Converts Keras networks to TFLite; the only package that uses `tf.lite`."""
