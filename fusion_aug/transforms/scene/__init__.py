"""Motions of the whole scene, and what they do to every kind of stream."""

from fusion_aug.transforms.scene.scene import (
    MirrorScene,
    RotateScene,
    ScaleScene,
    TranslateScene,
    scene_motion,
    source_name,
    world_motion,
)

__all__ = [
    "MirrorScene", "RotateScene", "ScaleScene", "TranslateScene", "scene_motion", "source_name", "world_motion",
]  # fmt: skip
