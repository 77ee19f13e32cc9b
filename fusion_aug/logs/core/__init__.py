"""What the formats share: log and writer, files, sidecars, tables of episodes."""
