"""Benchmarks models on this computer and on phones. Never imports TensorFlow."""
