"""Speed, measured against bare primitives in the same run."""
