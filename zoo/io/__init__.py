"""Interfaces to the machine: files, cache, provenance, standard error, TensorFlow's import."""
