"""Whole sensors and modalities that are missing."""

from fusion_aug.transforms.modality import on_device  # noqa: F401  (registers)
from fusion_aug.transforms.modality.dropout import ModalityDropout

__all__ = ["ModalityDropout"]
