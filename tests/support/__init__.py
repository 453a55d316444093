"""Helpers shared by several test modules; contains no tests."""
