"""Shared data types: models, recipes, runs, artifacts, releases and result lines."""
