"""Faults of cameras on a device, picture by picture."""

from fusion_aug.transforms.camera.on_device import one_by_one
from fusion_aug.transforms.faults.cameras import Banding, BlackCamera, DeadPixels, Overexposure
from fusion_aug.transforms.faults.lens import LensDirt

one_by_one(Banding, BlackCamera, DeadPixels, LensDirt, Overexposure)
