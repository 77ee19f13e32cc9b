"""Gates that a pipeline names by their files, read once: workers, manifests and resumed runs have the limits."""

from __future__ import annotations

from typing import Any

from fusion_aug.core.registry import TRANSFORMS
from fusion_aug.logs.core.files import user_path
from fusion_aug.transforms.generative.gate import Gate
from fusion_aug.transforms.generative.made_pictures import MadePictures

FIELD = "gate"  # of transforms of made pictures


def with_gates_read(pipeline: Any) -> Any:
    """The configuration of a pipeline with the limits of gates in the place of files.

    Raises:
        ConfigError: a file holds no limits.
    """
    if isinstance(pipeline, list):
        return [with_gates_read(v) for v in pipeline]
    if not isinstance(pipeline, dict):
        return pipeline
    out = {k: with_gates_read(v) for k, v in pipeline.items()}
    target, gate = str(pipeline.get("_target_")), pipeline.get(FIELD)
    made = dict(TRANSFORMS.items()).get(target)
    if isinstance(gate, str) and made is not None and issubclass(made, MadePictures):
        out[FIELD] = Gate.from_config(user_path(gate), f"{made.__name__}.{FIELD}").recorded()
    return out
