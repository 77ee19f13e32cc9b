"""Labels of the sample log's points, as nuScenes-lidarseg and nuScenes-panoptic have them.

Classes have the names and numbers of nuScenes-lidarseg (Fong et al., Panoptic nuScenes, 2022), of which the street has
a part. Every point knows what it hit, so no label is a guess.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import torch

from fusion_aug.logs.nuscenes.labels import LAYOUTS, LIDARSEG, PANOPTIC
from fusion_aug.synth.bodies import Body
from fusion_aug.synth.mesh import Array
from fusion_aug.synth.world import KINDS

NUMBERS = {
    "noise": 0, "human.pedestrian.adult": 2, "vehicle.car": 17, "vehicle.truck": 23, "flat.driveable_surface": 24,
    "flat.sidewalk": 26, "flat.terrain": 27, "static.manmade": 28, "static.other": 29, "static.vegetation": 30,
}  # fmt: skip
CLASS_OF_KIND = {
    "road": "flat.driveable_surface", "pavement": "flat.sidewalk", "lawn": "flat.terrain", "building": "static.manmade",
    "plant": "static.vegetation", "pole": "static.manmade", "sign": "static.manmade", "thing": "static.other",
}  # fmt: skip
ENDINGS = {LIDARSEG: "lidarseg.bin", PANOPTIC: "panoptic.npz"}


def labels_of(kind: Array, body: Array, bodies: Sequence[Body], boxed: Collection[int]) -> dict[str, dict[str, Array]]:
    """Class and instance of points.

    Args:
        kind: (n,) numbers of ``world.KINDS``. body: (n,) numbers of bodies, negative for the ground.
        bodies: of the town. boxed: numbers of those that have a box.

    Returns:
        table -> ``label`` and ``instance``, (n,) int64. The instance is one more than the number of the body; panoptic
        labels ignore objects without a box.
    """
    of_kind = np.array([NUMBERS.get(CLASS_OF_KIND.get(k, ""), NUMBERS["noise"]) for k in KINDS])
    label = of_kind[kind]
    solid = body >= 0
    of_body = np.array([NUMBERS.get(b.category, -1) for b in bodies])
    named = np.where(solid, of_body[np.where(solid, body, 0)], -1)
    label = np.where(named >= 0, named, label)
    ignored = (named >= 0) & ~np.isin(body, list(boxed))
    panoptic = np.where(ignored, NUMBERS["noise"], label)
    instance = np.where((named >= 0) & ~ignored, body + 1, 0)
    return {LIDARSEG: {"label": label}, PANOPTIC: {"label": panoptic, "instance": instance}}


def write_label_files(labels: dict[str, dict[str, Array]], record: str, out: Path) -> dict[str, str]:
    """Write the files of one LiDAR record (its token), and return their names by table."""
    names = {}
    for table, columns in labels.items():
        names[table] = f"{table}/v1.0-mini/{record}_{ENDINGS[table]}"
        path = out / names[table]
        path.parent.mkdir(parents=True, exist_ok=True)
        LAYOUTS[table].written({k: torch.from_numpy(v) for k, v in columns.items()}, path, names[table])
    return names
