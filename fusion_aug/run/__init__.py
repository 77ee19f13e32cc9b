"""Runs over logs on disk: configuration, plan, execution, reports, and the commands."""
