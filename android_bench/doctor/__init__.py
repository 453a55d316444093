"""Checks what can be measured on a phone and how to fix the rest; never changes its settings."""
