"""Releases: what is in them, downloading them, and classifying with what was downloaded."""
