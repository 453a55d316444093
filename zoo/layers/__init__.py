"""The layers that tf_keras lacks; each saves, loads, clones and runs under XLA and mixed precision."""
