"""From an --output folder to a release: what may be published, manifests, cards, the index."""
