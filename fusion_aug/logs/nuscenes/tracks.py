"""Waypoints beside the tables: called as the tables call their tracks, and in the vehicle's frame at the keyframe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from fusion_aug.sample import REF, Sample
from fusion_aug.streams import EGO, Boxes3D, Stream, Waypoints, strings


def tracks_called(sample: Sample, suffix: str) -> Sample:
    """The sample with the names of a copy's tracks in its waypoints, as its annotations have them.

    Args:
        sample: what is written. suffix: of the copy, behind every token.
    """
    if not suffix or not sample.of_type(Waypoints):
        return sample
    renamed: dict[str, Stream] = dict(sample.streams)
    for name, stream in sample.of_type(Waypoints).items():
        called = (str(n) if n in ("", EGO) else f"{n}{suffix}" for n in stream["instance"])
        renamed[name] = stream.with_values(instance=strings(called))
    return sample.with_streams(renamed)


def held_waypoints(sample: Sample, boxes: Boxes3D, time: int, T_new_ref: Tensor) -> Mapping[str, Waypoints]:
    """The waypoints of a sample in the form of the tables.

    Args:
        sample: before. boxes: of it in that form, in the order of its own. time: ns, of the annotations.
        T_new_ref: (4, 4) to the vehicle's frame at that time.
    """
    own = sample.streams.get("boxes")
    names: dict[str, str] = {}
    if isinstance(own, Boxes3D) and "instance" in own.values and own.rows == boxes.rows:
        names = dict(zip(map(str, own["instance"]), map(str, boxes["instance"]), strict=True))
    out = {}
    for name, stream in sample.of_type(Waypoints).items():
        if stream.frame != REF or len(stream) != 1:
            continue
        values = {**stream.values, "instance": strings(names.get(str(n), str(n)) for n in stream["instance"])}
        values["pose"] = T_new_ref @ stream["pose"]
        values["time_offset"] = stream["time_offset"] + (int(stream.capture_times[0]) - time) * 1e-9
        if "velocity" in values:
            values["velocity"] = stream["velocity"] @ T_new_ref[:3, :3].T
        out[name] = replace(stream, values=values, capture_times=torch.tensor([time]))
    return out
