"""TFLite's and LiteRT's `benchmark_model` for phones: their flags and parsers of their output."""
