"""Shadows on the ground on a device: what a pixel's ray meets there, at a height that low points of a LiDAR tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from calib import CameraSensor, Pinhole
from fusion_aug.core.device.program import HOST
from fusion_aug.core.device.rows import roomy
from fusion_aug.core.device.rules import lacks_on_device
from fusion_aug.core.registry import Call
from fusion_aug.errors import DataError
from fusion_aug.sample import Sample
from fusion_aug.sample.sensors import scans
from fusion_aug.sample.to_device import lies_on_device
from fusion_aug.streams import Camera
from fusion_aug.streams.on_device import VALID, Block, ColumnsOnDevice
from fusion_aug.transforms.camera.exposure import FEWEST, LOW, NEAR, Shadow
from fusion_aug.transforms.camera.on_device import Params, changes_levels, wide
from fusion_aug.transforms.camera.on_device_light import shaded
from fusion_aug.transforms.camera.photometric import PictureContext, matches_camera

Numbers = Mapping[str, Any]
LONGEST = HOST + "longest"  # rows of a cloud


@lacks_on_device(Shadow)
def what_shadows_lack(settings: Params, sample: Sample) -> str:
    """Why shadows cannot fall on a device; nothing where they can."""
    for name, stream in sample.of_type(Camera).items():
        sensors = [m.true_rig.sensors.get(stream.instance(name)) for m in sample.metas]
        bent = any(isinstance(s, CameraSensor) and s.model.lens != Pinhole.lens for s in sensors)
        if bent and lies_on_device(stream) and matches_camera(stream, name, settings["cameras"]):
            return f"of {name!r} (its lens bends rays, which are followed on the host; name other cameras in cameras)"
    return ""


def _cloud_blocks(call: Call) -> tuple[Block, ...]:
    """The block with the clouds that tell where the ground is, if there are any.

    Raises:
        DataError: they do not lie together.
    """
    held = [c.values for c in scans(call.sample.streams).values() if len(c)]
    blocks = {h.block for h in held if isinstance(h, ColumnsOnDevice)}
    if len(blocks) > 1 or not all(isinstance(h, ColumnsOnDevice) for h in held):
        raise DataError(
            f"{call.transform.__name__}: clouds that tell where the ground is do not lie together on "
            f"a device; run it before batch.to(...)"
        )
    return tuple(blocks)


def _under(picture: PictureContext) -> dict[str, Any]:
    """Of the clouds of a picture's sample, where their rows lie and what brings these to the reference frame."""
    sample, index = picture.call.sample, int(picture.stream.sample_index[picture.item])
    clouds = scans(sample.streams)
    spans, motions = np.zeros((len(clouds), 2), np.int64), np.tile(np.eye(4), (len(clouds), 1, 1))
    for k, (name, cloud) in enumerate(clouds.items()):
        if not bool((cloud.sample_index == index).any()):
            continue
        key, held = sample.key_item(name, index), cloud.values
        assert isinstance(held, ColumnsOnDevice) and held.block.offsets is not None
        first, end = held.block.offsets[held.own[key]], held.block.offsets[held.own[key] + 1]
        motion = sample.T_ref(name, key, true_rig=True)
        spans[k] = first, end - first
        motions[k] = (motion if cloud.pending is None else motion @ cloud.pending[key]).numpy()
    blocks = _cloud_blocks(picture.call)
    longest = max((int(np.diff(b.offsets).max(initial=0)) for b in blocks if b.offsets is not None), default=0)
    return {"spans": spans, "motions": motions, LONGEST: roomy(longest)}


def _band(params: Params, picture: PictureContext) -> dict[str, Any]:
    camera, time = picture.camera, int(picture.stream.true_capture_times[picture.item])
    T = picture.meta.T_ref(picture.stream.frame, time, true_rig=True).detach()
    bearing = np.radians(params["bearing_deg"])
    return {
        "rays": torch.linalg.inv(camera.A @ camera.model.K).detach().numpy(), "pose": T.numpy(),
        "across": np.array([np.cos(bearing), np.sin(bearing)]), "distance": float(params["distance"]),
        "half": params["width"] / 2, "darkness": np.float32(params["darkness"]), **_under(picture),
    }  # fmt: skip


@changes_levels(Shadow, _band, reads=_cloud_blocks)
def shadowed(levels: Tensor, numbers: Numbers, white: float, *clouds: Mapping[str, Tensor]) -> Tensor:
    """Darker where a pixel's ray meets the ground inside a band."""
    height, width = levels.shape[2:]
    step = max(1, min(4, height // 32, width // 32))
    rows, columns = -(-height // step), -(-width // step)
    x, y = (torch.arange(n, dtype=torch.float64, device=levels.device) * step + (step - 1) / 2 for n in (columns, rows))
    u, v = torch.broadcast_tensors(x, y[:, None])
    pose, rays = numbers["pose"], numbers["rays"] @ torch.stack([u, v, torch.ones_like(u)]).flatten(1)
    rays = pose[:, :3, :3] @ (rays * torch.sign(rays[:, 2:]))  # (N, 3, pixels), all ahead
    down = (_ground(numbers, *clouds)[:, None] - pose[:, 2, 3, None]) / rays[:, 2]
    ground = pose[:, :2, 3, None] + rays[:, :2] * down[:, None]
    along = (numbers["across"][..., None] * ground).sum(1)
    off = (along - numbers["distance"][:, None]).abs() / numbers["half"][:, None]
    inside = ((1.1 - off) / 0.2).clamp(0, 1)  # half-shadow over a tenth of the width
    inside = torch.where((down > 0) & torch.isfinite(off), inside, 0.0).to(torch.float32)
    cells = inside.view(-1, 1, rows, columns)
    soft = F.interpolate(cells, size=(rows * step, columns * step), mode="bilinear")[..., :height, :width]
    return shaded(levels, 1 - wide(numbers["darkness"]) * soft)


def _ground(numbers: Numbers, *clouds: Mapping[str, Tensor]) -> Tensor:
    """Height of the ground of every picture (N,), metres: that of low points near the vehicle, else 0."""
    pose = numbers["pose"]
    found = torch.zeros(len(pose), dtype=torch.float64, device=pose.device)
    longest = max(numbers[LONGEST])
    for columns in clouds if longest else ():
        xyz = columns["xyz"].to(torch.float64)
        sent = columns.get(VALID)
        for k in reversed(range(numbers["spans"].shape[1])):  # the first cloud that shows the ground counts
            height, seen = _low(xyz, sent, numbers["spans"][:, k], numbers["motions"][:, k], longest)
            found = torch.where(seen, height, found)
    return found


def _low(xyz: Tensor, sent: Tensor | None, span: Tensor, motion: Tensor, longest: int) -> tuple[Tensor, Tensor]:
    """A low quantile of the heights of near points (N,), and whether there are enough.

    Args:
        xyz: (rows, 3) of all clouds. sent: (rows,) which of them are there; None for all. longest: rows of a cloud.
        span: (N, 2) first row and count of each picture's cloud. motion: (N, 4, 4) to the reference frame.
    """
    place = torch.arange(longest, device=xyz.device)
    at, mine = (span[:, :1] + place).clamp(max=len(xyz) - 1), place < span[:, 1:]
    mine = mine if sent is None else mine & sent[at]
    there = motion[:, :3, :3] @ xyz[at].mT + motion[:, :3, 3:]
    near = mine & (there[:, :2].norm(dim=1) < NEAR) & torch.isfinite(there).all(1)
    heights = torch.where(near, there[:, 2], torch.inf).sort(1).values
    count = near.sum(1)
    rank = (LOW / 100 * (count - 1)).clamp(min=0)
    below = rank.floor().to(torch.int64)
    low, high = heights.gather(1, torch.stack([below, (below + 1).clamp(max=longest - 1)], 1)).unbind(1)
    seen = count >= FEWEST
    return torch.where(seen, low + (high - low) * (rank - below), 0.0), seen
