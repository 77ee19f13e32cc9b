"""Where sensors are mounted: in truth (``Viewpoint``) or only as reported (``Miscalibrate``)."""

from fusion_aug.transforms.mount.miscalibrate import Miscalibrate
from fusion_aug.transforms.mount.viewpoint_sensors import Viewpoint

__all__ = ["Miscalibrate", "Viewpoint"]
