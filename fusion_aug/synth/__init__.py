"""Worlds with ground truth, and the sample logs made of them."""
