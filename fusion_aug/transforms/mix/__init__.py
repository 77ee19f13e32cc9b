"""Mixes: samples that meet, by transforms that take parts of another sample."""

from fusion_aug.transforms.mix.background import SwapBackground
from fusion_aug.transforms.mix.beams import MixBeams
from fusion_aug.transforms.mix.copy_instances import CopyInstances
from fusion_aug.transforms.mix.cutout import CutOut
from fusion_aug.transforms.mix.mismatch import Mismatch
from fusion_aug.transforms.mix.mismatch_scene import MismatchScene
from fusion_aug.transforms.mix.mixup import MixUp
from fusion_aug.transforms.mix.paste import PasteObjects
from fusion_aug.transforms.mix.pictures import PictureFolder, know_pictures
from fusion_aug.transforms.mix.realign import Misalignment, misalignments, realign
from fusion_aug.transforms.mix.swap_sector import SwapSector
from fusion_aug.transforms.mix.texture import RandomTexture

__all__ = [
    "CopyInstances",
    "CutOut",
    "Misalignment",
    "Mismatch",
    "MismatchScene",
    "MixBeams",
    "MixUp",
    "PasteObjects",
    "PictureFolder",
    "RandomTexture",
    "SwapBackground",
    "SwapSector",
    "know_pictures",
    "misalignments",
    "realign",
]
