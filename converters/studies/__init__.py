"""Measurements behind the tables in docs/."""
