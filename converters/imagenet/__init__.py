"""Public ImageNet weights: converting them, and scoring them on images."""
