"""Motions of the whole scene, and what they do to every kind of stream."""

from fusion_aug.transforms.scene import on_device, on_device_readings, on_device_robot  # noqa: F401  (register)
from fusion_aug.transforms.scene.scene import (
    MirrorScene,
    RotateScene,
    ScaleScene,
    TranslateScene,
    scene_motion,
    world_motion,
)

__all__ = [
    "MirrorScene", "RotateScene", "ScaleScene", "TranslateScene", "scene_motion", "world_motion",
]  # fmt: skip
