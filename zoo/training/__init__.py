"""From a recipe to a run folder: training, compressing, and what both leave. Uses TensorFlow."""
