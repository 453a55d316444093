"""Publishes an --output folder as a release: checks, manifests, model cards and the index."""
