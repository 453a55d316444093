"""Weights to start from: public ones, checkpoints, runs; and getting them into a network."""
