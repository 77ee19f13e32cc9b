"""Whole sensors and modalities that are missing."""

from fusion_aug.transforms.modality.dropout import ModalityDropout

__all__ = ["ModalityDropout"]
