"""Mountings of sensors: the true ones (``Viewpoint``) or only the reported ones (``Miscalibrate``)."""

from fusion_aug.transforms.mount.miscalibrate import Miscalibrate
from fusion_aug.transforms.mount.viewpoint_sensors import Viewpoint

__all__ = ["Miscalibrate", "Viewpoint"]
