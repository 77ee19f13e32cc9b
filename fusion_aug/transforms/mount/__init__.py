"""Mountings of sensors: the true ones (``Viewpoint``) or only the reported ones (``Miscalibrate``)."""

from fusion_aug.transforms.mount import on_device  # noqa: F401  (registers)
from fusion_aug.transforms.mount.miscalibrate import Miscalibrate
from fusion_aug.transforms.mount.viewpoint_grids import keep_grids_in_place  # noqa: F401  (registers the rule)
from fusion_aug.transforms.mount.viewpoint_ranges import refuse_moved_ranges  # noqa: F401  (registers the rule)
from fusion_aug.transforms.mount.viewpoint_sensors import Viewpoint

__all__ = ["Miscalibrate", "Viewpoint"]
