"""Sweeps: points of a network's design space, or of a recipe's, by the real trainer."""
