"""Formats that pack the files of samples into few large ones, for training clusters."""
