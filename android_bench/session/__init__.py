"""Runs measurements on phones and decides whether each one is valid."""
