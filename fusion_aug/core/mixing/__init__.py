"""Samples that meet: donors, and what every transform does that takes parts of another sample."""
