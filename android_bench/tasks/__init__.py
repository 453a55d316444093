"""Defines what to measure and in which order, and builds and records the result rows."""
