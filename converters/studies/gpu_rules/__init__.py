"""Compares the GPU rules of `converters.inspection` with the engine that they are about."""
