"""The recorded arm of ``datasets/arm`` and its ground truth."""

from __future__ import annotations

import numpy as np
import torch
from places import ARM

import fusion_aug as fa
from calib.se3 import rotation_from_quaternion, se3

# a point in the middle of each body, metres in its frame: what a camera sees of the hand lies about them
MIDDLES = {"hand": [0.023, 0.0, 0.0], "finger_left": [0.032, 0.009, 0.0], "finger_right": [0.032, -0.009, 0.0]}
SEEN_BY_CAMERA = {"front": ("hand",), "wrist": ("finger_left", "finger_right")}  # by which camera, all through the task


def open_arm(kind: str) -> fa.Sample:
    """The recording in a format."""
    return fa.open_log(kind, ARM / kind, rig=str(ARM / f"{kind}_rig.yaml"))[0]


def ground_truth() -> dict[str, np.ndarray]:
    with np.load(ARM / "truth.npz") as data:
        return dict(data)


def truth_rows(stream: fa.Stream, known: dict[str, np.ndarray]) -> np.ndarray:
    """Rows of the ground truth that belong to a stream's items."""
    since = known["times"] - known["times"][0]
    rows = np.searchsorted(since, (stream.capture_times - stream.capture_times[0]).numpy())
    assert np.array_equal(since[rows], (stream.capture_times - stream.capture_times[0]).numpy())
    return rows


def body_poses(name: str, known: dict[str, np.ndarray]) -> torch.Tensor:
    """``T_world_body`` (n, 4, 4)."""
    pose = torch.from_numpy(known["body_poses"][:, list(known["bodies"]).index(name)])
    return se3(rotation_from_quaternion(pose[:, 3:]), pose[:, :3])


def with_masks(sample: fa.Sample) -> fa.Sample:
    """The sample with the simulator's masks of the hand."""
    known, masks = ground_truth(), {}
    for name in SEEN_BY_CAMERA:
        seen = np.unpackbits(known[f"{name}/hand"], axis=-1)[truth_rows(sample[name], known)]
        items = tuple(torch.from_numpy(m[:, : sample.rig.camera(name).size[1]].copy()) for m in seen)
        masks[f"{name}/mask"] = fa.SegmentationMask(
            frame=sample[name].frame, camera=name, capture_times=sample[name].capture_times, items=items
        )
    return sample.with_streams({**sample.streams, **masks})


def mask_hits(sample: fa.Sample, camera: str) -> tuple[np.ndarray, np.ndarray]:
    """Whether the middles of the hand's bodies lie in its mask, and in the picture at all, picture by picture."""
    stream, inside, seen = sample[f"{camera}/mask"], [], []
    device = sample.rig.camera(camera)
    for body in SEEN_BY_CAMERA[camera]:
        T = sample.metas[0].true_rig.T_at_times(stream.frame, body, stream.true_capture_times)
        pixels, visible = device.project((T @ torch.tensor([*MIDDLES[body], 1.0], dtype=torch.float64))[:, :3])
        for i in range(len(stream)):
            u, v = pixels[i].round().long().tolist()
            seen.append(bool(visible[i]))
            inside.append(bool(visible[i]) and int(stream.image(i)[v, u]) == 1)
    return np.array(inside), np.array(seen)
