"""Blur by the camera's own motion on a device, from depth pictures and the twists of ego poses that lie there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from calib import CameraSensor, Pinhole
from calib.ties import TIE
from fusion_aug.core.device.pending import settled
from fusion_aug.core.device.program import HOST
from fusion_aug.core.device.rules import lacks_on_device
from fusion_aug.core.registry import Call
from fusion_aug.errors import DataError
from fusion_aug.ops.blur import LEAST_FLOW, MOST_STEPS
from fusion_aug.ops.distance_many import inverse_distances, numbers_of_rays
from fusion_aug.sample import Sample
from fusion_aug.sample.depth import SKY_DISTANCE, depth_item_of
from fusion_aug.sample.ego import rig_twist, twist_item
from fusion_aug.sample.to_device import lies_on_device
from fusion_aug.streams import Camera, Depth, EgoPose
from fusion_aug.streams.on_device import Block
from fusion_aug.transforms.camera.blur import EgoMotionBlur
from fusion_aug.transforms.camera.on_device import Params, as_stored, changes_levels, size_of
from fusion_aug.transforms.camera.photometric import PictureContext, matches_camera

Numbers = Mapping[str, Any]
DEPTHS = "depth streams with nothing pending"
GAPS, EVEN = HOST + "gaps", HOST + "even"
TWIST = frozenset(("velocity", "angular_velocity"))
LEAST_MEASURED = 0.5  # share of a depth picture; below that the CPU takes it for points, which are completed


@lacks_on_device(EgoMotionBlur)
def what_motion_blur_lacks(settings: Params, sample: Sample) -> str:
    """Why the blur cannot be worked out on a device; nothing where it can."""
    for name, stream in sample.of_type(Camera).items():
        if not lies_on_device(stream) or not matches_camera(stream, name, settings["cameras"]):
            continue
        sensors = [m.true_rig.sensors.get(stream.instance(name)) for m in sample.metas]
        if any(isinstance(s, CameraSensor) and s.model.lens != Pinhole.lens for s in sensors):
            return f"of {name!r} (its lens bends rays, which are followed on the host; name other cameras in cameras)"
        for item in stream.present.nonzero()[:, 0].tolist():
            found = depth_item_of(sample, name, item)
            if found is None or not lies_on_device(sample[found[0]]):
                return f"without depth of {name!r} (give a Depth stream of the camera in every sample)"
            depth: Any = sample[found[0]].items[found[1]]  # type: ignore[attr-defined]
            if depth.measured < LEAST_MEASURED:
                return f"with {found[0]!r} (it has pixels without a measurement; complete it before batch.to(...))"
    return ""


def _read(call: Call) -> tuple[Block, ...]:
    """The block of the depth pictures, and that of the ego poses if there are any.

    Raises:
        DataError: they do not lie together.
    """
    depths = {p.block for s in _depths(call).values() for p in s.items}
    egos = {s.values.block for s in _egos(call).values()}  # type: ignore[attr-defined]
    if len(depths) > 1 or len(egos) > 1:
        raise DataError(
            f"{call.transform.__name__}: depth pictures (of several sizes?), or ego poses, do not lie together on the "
            f"device; give them one size and the same columns before batch.to(...), or run this there"
        )
    return (*depths, *egos)


def _depths(call: Call) -> dict[str, Depth]:
    """Depth streams with nothing pending, worked out once for all cameras and before what is planned for them."""
    if DEPTHS not in call.program.notes:
        there = {n: s for n, s in call.sample.of_type(Depth).items() if lies_on_device(s)}
        ready = {n: settled(s, call.program) for n, s in there.items()}
        call.program.begin()  # now it is known where each picture lies
        call.program.notes[DEPTHS] = ready
    ready = call.program.notes[DEPTHS]
    return ready


def _egos(call: Call) -> dict[str, EgoPose]:
    found: dict[str, EgoPose] = {n: s for n, s in call.sample.of_type(EgoPose).items() if set(s.values) >= TWIST}
    if apart := [n for n, s in found.items() if not lies_on_device(s)]:
        raise DataError(
            f"{call.transform.__name__}: the ego pose {apart[0]!r} lies on the host; call batch.to(...) again"
        )
    return found


def _flow_numbers(params: Params, picture: PictureContext) -> dict[str, Any]:
    camera, call, size = picture.camera, picture.call, size_of(picture)
    given = depth_item_of(call.sample, call.name, picture.item)
    depth = None if given is None else _depths(call)[given[0]]
    shown = None if given is None or depth is None else depth.items[given[1]]
    rays = torch.linalg.inv(camera.A @ camera.model.K).detach().numpy()
    along = rays if depth is not None and depth.measure == "z" else None
    return {
        "depth": np.int64(0 if shown is None else shown.place), "rays": rays,
        "to_pixel": (camera.A @ camera.model.K).detach().numpy(), "half": params["exposure"] / 2,
        **numbers_of_rays(along, size), **_twist(picture),
        GAPS: shown is not None and shown.measured < 1, EVEN: along is None or not (along[2, 0] or along[2, 1]),
    }  # fmt: skip


def _twist(picture: PictureContext) -> dict[str, Any]:
    """Where the twist of a picture's vehicle lies and what makes it that of the camera; else the camera's own one.

    Raises:
        DataError: the motion of the camera is unknown.
    """
    call, stream = picture.call, picture.stream
    time = int(stream.true_capture_times[picture.item])
    rig, index = picture.meta.true_rig, int(stream.sample_index[picture.item])
    known = rig_twist(rig, stream.frame, time)
    egos = ((s, twist_item(s, index, rig, time)) for s in _egos(call).values())
    ego, row = next(((s, k) for s, k in egos if k is not None), (None, None))
    held: Any = None if ego is None else ego.values
    if known is None and (held is None or not held.block.finite >= TWIST):  # of some reading, perhaps of this one
        raise DataError(
            f"stream {call.name!r}: the motion of the camera is unknown; the sample needs an ego pose with a twist, or "
            f"a rig with poses at more than one time"
        )
    place, T = -1, torch.eye(4, dtype=torch.float64)
    if ego is not None:
        place, T = int(held.block.offsets[held.own[row]]), rig.T(ego.child, stream.frame, time)
    velocity, spin = (np.full(3, np.nan), np.full(3, np.nan)) if known is None else (v.detach().numpy() for v in known)
    return {"row": np.int64(place), "T": T.detach().numpy(), "velocity": velocity, "spin": spin}


@changes_levels(EgoMotionBlur, _flow_numbers, reads=_read)
def smeared_by_motion(
    levels: Tensor, numbers: Numbers, white: float, depth: Tensor, egos: Mapping[str, Tensor] | None = None
) -> Tensor:
    """The mean of every pixel over the time in which it moves by its own flow."""
    shown = depth.index_select(0, numbers["depth"]).to(torch.float32)
    gaps, even = any(numbers[GAPS]), all(numbers[EVEN])
    far = inverse_distances(shown, numbers, gaps=gaps, even=even, sky=SKY_DISTANCE).reciprocal_()
    far = far.clamp_(max=SKY_DISTANCE)
    flow = _flow(far[:, 0], numbers, *_twists(numbers, egos))
    longest = flow.norm(dim=1).amax((1, 2)).reshape(-1, 1, 1, 1)
    steps = ((longest - TIE).ceil() + 1).clamp(max=MOST_STEPS)
    last = [max(n - 1, 1) for n in (levels.shape[3], levels.shape[2])]
    x, y = (torch.arange(n, dtype=torch.float32, device=levels.device) for n in (levels.shape[3], levels.shape[2]))
    here = torch.stack(torch.broadcast_tensors(x * (2 / last[0]) - 1, (y * (2 / last[1]) - 1)[:, None]), -1)
    moved = torch.stack([flow[:, k] * (2 / last[k]) for k in range(2)], -1)
    k = torch.arange(MOST_STEPS, dtype=torch.float32, device=levels.device).reshape(-1, 1, 1, 1, 1)
    when = ((k + 0.5) / steps - 0.5).unbind(0)
    weights = torch.where(k < steps, 1 / steps, 0.0).unbind(0)  # how many steps it takes is known on the device alone
    total = torch.zeros_like(levels)
    for t, weight in zip(when, weights, strict=True):
        grid = torch.addcmul(here, moved, t)
        seen = F.grid_sample(levels, grid, mode="bilinear", padding_mode="border", align_corners=True)
        total = torch.addcmul(total, as_stored(seen, white), weight)
    return torch.where(longest < LEAST_FLOW, levels, total)


def _twists(numbers: Numbers, egos: Mapping[str, Tensor] | None) -> tuple[Tensor, Tensor]:
    """Velocity and angular velocity (N, 3) of every camera in its own axes."""
    velocity, spin = numbers["velocity"], numbers["spin"]
    if egos is None:
        return velocity, spin
    rows, T = numbers["row"], numbers["T"]
    v, w = (egos[c].index_select(0, rows.clamp(min=0)).to(torch.float64) for c in ("velocity", "angular_velocity"))
    known = (rows >= 0) & torch.isfinite(v).all(1) & torch.isfinite(w).all(1)
    back = T[:, :3, :3].mT
    v, w = ((back @ x[..., None])[..., 0] for x in (v + torch.linalg.cross(w, T[:, :3, 3]), w))
    return torch.where(known[:, None], v, velocity), torch.where(known[:, None], w, spin)


def _flow(distance: Tensor, numbers: Numbers, velocity: Tensor, spin: Tensor) -> Tensor:
    """(N, 2, H, W) pixels by which what every pixel shows moves, from its distance (N, H, W); see ``picture_flow``."""
    height, width = distance.shape[1:]
    step = max(1, min(4, height // 8, width // 8))
    rows, columns = -(-height // step), -(-width // step)
    x, y = (torch.arange(n, dtype=torch.float64, device=distance.device) * step + (step - 1) / 2
            for n in (columns, rows))  # fmt: skip
    near = distance.index_select(1, y.long().clamp(max=height - 1)).index_select(2, x.long().clamp(max=width - 1))
    u, v = torch.broadcast_tensors(x, y[:, None])
    rays = numbers["rays"] @ torch.stack([u, v, torch.ones_like(u)]).flatten(1)
    rays = rays * torch.sign(rays[:, 2:]) / rays.norm(dim=1, keepdim=True)
    points = rays * near.flatten(1)[:, None]  # (N, 3, pixels)
    turning = torch.linalg.cross(spin[..., None].expand_as(points), points, dim=1)
    drift = -(velocity[..., None] + turning) * numbers["half"].reshape(-1, 1, 1)
    ends = [numbers["to_pixel"] @ (points + sign * drift) for sign in (-1, 1)]
    start, stop = (end[:, :2] / end[:, 2:] for end in ends)
    ahead = (points[:, 2] - drift[:, 2] > 0) & (points[:, 2] + drift[:, 2] > 0)
    flow = torch.where(ahead[:, None], stop - start, 0.0).nan_to_num(0.0).to(torch.float32)
    flow = flow.view(-1, 2, rows, columns)
    return F.interpolate(flow, size=(rows * step, columns * step), mode="bilinear")[..., :height, :width]
