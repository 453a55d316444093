"""Measuring one or more phones: which conditions hold, and whether a measurement counts."""
