"""The nouns that everything shares, one a file: models, recipes, runs, artifacts, result lines."""
