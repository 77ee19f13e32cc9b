"""Kernels: functions on tensors, without classes of the framework around them."""
