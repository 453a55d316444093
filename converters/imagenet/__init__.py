"""Converts public ImageNet weights and scores them on images."""
