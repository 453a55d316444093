"""Initial weights from public files, checkpoints and runs, and loading them into a network."""
