"""What is out of line in the samples of a batch, as tensors: targets of detectors and estimators of misalignment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from calib.se3_arrays import rotvec_from_rotation
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.ops.modes import standard_modes
from fusion_aug.sample import Sample
from fusion_aug.transforms.mix.mismatch_poses import pose_error
from fusion_aug.transforms.mix.realign import misalignments


@standard_modes()
def misalignment_targets(batch: Sample, sensors: Sequence[str]) -> dict[str, Any]:
    """By how much the sensors of every sample are out of line; beside ``to_dense`` of the same batch.

    Times and turns are measured, between what is reported and what the data obey, so they are right whatever was done
    to a sample afterwards, also where ``Miscalibrate`` or ``ClockOffset`` made the difference. Data of other samples
    and changed words are in the records alone.

    Args:
        batch: what ``collate`` returns, or one sample; B samples. sensors: S names, in the order of the targets.

    Returns:
        * ``sensors`` (tuple of S);
        * ``seconds`` (B, S) float32, reported capture time minus the true one, of the item next to the reference time;
        * ``rotation_deg`` (B, S, 3) float32, rotation vector in the sensor's frame, degrees: ``T_parent_sensor`` as
          reported is the true one times this rotation;
        * ``foreign`` (B, S) bool, whether it shows another sample;
        * ``word_changed`` (B,) bool, whether a word of a sentence was changed;
        * ``misaligned`` (B,) bool, whether any of these is.

    Raises:
        ConfigError: ``sensors`` is one text. DataError: no sample has a sensor of that name.
    """
    if isinstance(sensors, str):
        raise ConfigError(f"misalignment_targets: sensors: expected a list of names, got {sensors!r}")
    known = {*batch.streams, *(n for m in batch.metas for n in m.rig.sensors)}
    if unknown := [n for n in sensors if n not in known]:
        raise DataError(f"misalignment_targets: no sample has a sensor {unknown[0]!r} (there are {sorted(known)})")
    shape = (len(batch.metas), len(sensors))
    seconds, turns = torch.zeros(shape, dtype=torch.float64), torch.zeros(*shape, 3, dtype=torch.float64)
    foreign, changed = torch.zeros(shape, dtype=torch.bool), torch.zeros(shape[0], dtype=torch.bool)
    for u, meta in enumerate(batch.metas):
        labels = misalignments(meta.history)
        changed[u] = any(m.kind == "word" for m in labels)
        shown = {m.sensor for m in labels if m.kind == "scene"}
        for s, name in enumerate(sensors):
            foreign[u, s] = name in shown
            seconds[u, s] = _late(batch, u, name)
            turns[u, s] = _turned(batch, u, name)
    out = {"seconds": seconds.float(), "rotation_deg": turns.float(), "foreign": foreign, "word_changed": changed}
    wrong = (out["seconds"] != 0).any(1) | (out["rotation_deg"] != 0).flatten(1).any(1)
    return {"sensors": tuple(sensors), **out, "misaligned": wrong | foreign.any(1) | changed}


def _late(batch: Sample, index: int, name: str) -> float:
    stream = batch.streams.get(name)
    if stream is None or not bool((stream.sample_index == index).any()):
        return 0.0
    item = batch.key_item(name, index)
    return int(stream.capture_times[item] - stream.true_capture_times[item]) * 1e-9


def _turned(batch: Sample, index: int, name: str) -> Tensor:
    """Rotation vector (3,) in degrees from where a sensor is to where it is reported."""
    meta = batch.metas[index]
    sensor = meta.rig.sensors.get(name)
    same = sensor is None or meta.rig is meta.true_rig
    if sensor is None or same or meta.rig.frames[sensor.frame].pose is meta.true_rig.frames[sensor.frame].pose:
        return torch.zeros(3, dtype=torch.float64)
    error = pose_error(meta.rig, meta.true_rig, sensor.frame, meta.ref.time)[:3, :3]
    turn = torch.rad2deg(torch.from_numpy(rotvec_from_rotation(error[None].numpy())[0]))
    return torch.where(turn.abs() < 1e-9, 0.0, turn)
