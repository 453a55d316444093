"""Compression table of the SqueezeNet paper: published and own results."""
