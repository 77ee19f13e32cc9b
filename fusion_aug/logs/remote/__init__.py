"""Logs in object stores: read through a folder of this computer, which mirrors their names."""
