"""What a folder of an RLDS set holds, and what a run makes of it."""

from __future__ import annotations

from fusion_aug.logs.core.contents import CHANGED, KEPT, LEFT_OUT, Part

FEATURES, INFO = "features.json", "dataset_info.json"
CONTENTS = (
    Part("*.tfrecord-*-of-*", CHANGED, "episodes"),
    Part(FEATURES, KEPT, "names, types and shapes of the features"),
    Part(INFO, LEFT_OUT, "facts of the set, and how many episodes a file holds", False),
    Part("metadata.json", LEFT_OUT, "of the builder of the set", False),
    Part("*.labels.txt", LEFT_OUT, "names of classes", False),
    Part(f"{FEATURES}:feature **", CHANGED, "features of the steps that are read"),
    Part(f"{FEATURES}:excluded **", LEFT_OUT, "features that log.exclude names"),
    Part(f"{FEATURES}:unread **", LEFT_OUT, "features of the steps that no stream holds: of other shapes or codings"),
    Part(f"{FEATURES}:episode **", LEFT_OUT, "facts of an episode"),
)
