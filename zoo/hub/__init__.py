"""Releases: their index, downloads, and classification with released models."""
