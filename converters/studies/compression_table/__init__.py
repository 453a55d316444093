"""The compression table of SqueezeNet's paper, published and ours."""
