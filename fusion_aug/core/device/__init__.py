"""Batches on a device: what a pipeline does there is planned on the host and run at its end."""
