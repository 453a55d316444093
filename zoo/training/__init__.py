"""Trains and compresses networks from recipes and writes run folders. Imports TensorFlow."""
