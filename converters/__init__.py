"""Keras to TFLite: the only user of tf.lite."""
