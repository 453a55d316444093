"""Timing models on this computer and on phones, and reporting it. Never imports TensorFlow."""
