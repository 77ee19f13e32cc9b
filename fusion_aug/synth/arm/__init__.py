"""A small arm world with ground truth, in MuJoCo."""
