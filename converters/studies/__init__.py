"""Measurements for the tables of docs/."""
