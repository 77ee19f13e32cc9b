"""What a replay buffer in Zarr holds, and what a run makes of it."""

from __future__ import annotations

from fusion_aug.logs.core.contents import CHANGED, LEFT_OUT, Part

GROUP, ZIP, FOLDER = ".zgroup", "*.zarr.zip", "*.zarr"
DATA, ENDS = "data", "meta/episode_ends"
FIELDS = (
    ("array **", CHANGED, "arrays with a row for every frame"),
    ("excluded **", LEFT_OUT, "arrays that log.exclude names"),
    ("unread **", LEFT_OUT, "arrays that no stream holds: with other rows, no numbers, or codecs that are not there"),
    (ENDS, CHANGED, "where the episodes end"),
)
CONTENTS = (
    Part(ZIP, CHANGED, "the replay buffer"),
    Part("**/.zgroup", CHANGED, "groups"),
    Part("**/.zarray", CHANGED, "shapes, types and codecs of the arrays"),
    Part("**/.zattrs", LEFT_OUT, "attributes", False),
    Part("**/.zmetadata", LEFT_OUT, "the metadata of all arrays once more", False),
    Part("**/data/*/[0-9]*", CHANGED, "pieces of the arrays"),
    Part("**/meta/*/[0-9]*", CHANGED, "pieces of the arrays"),
    *(Part(f"{table}:{n}", fate, about) for table in (f"**/{GROUP}", ZIP) for n, fate, about in FIELDS),
)
