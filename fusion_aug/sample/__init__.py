"""Samples: streams with their metadata and history, and questions about them."""

from fusion_aug.sample.history import History, Record, history_from_json, history_to_json
from fusion_aug.sample.making import make_sample
from fusion_aug.sample.meta import REF, Ref, SampleMeta, world_frame_of
from fusion_aug.sample.renaming import rename_sensors
from fusion_aug.sample.sample import Sample, merge

__all__ = [
    "REF", "History", "Record", "Ref", "Sample", "SampleMeta", "history_from_json", "history_to_json",
    "make_sample", "merge", "rename_sensors", "world_frame_of",
]  # fmt: skip
