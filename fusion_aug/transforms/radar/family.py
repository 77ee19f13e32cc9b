"""The family of radar transforms: detections are changed scan by scan, by the rig's model of the sensor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from calib import RadarSensor
from fusion_aug.core.registry import Call, handles
from fusion_aug.core.transform import Transform
from fusion_aug.ops.hashed import ItemNoise
from fusion_aug.ops.radar import (
    VELOCITIES,
    Columns,
    radial,
    sensor_velocity,
)
from fusion_aug.sample.ego import radar_velocity
from fusion_aug.streams import Radar
from fusion_aug.streams.families import PointOp
from fusion_aug.streams.ragged import FIRST_ADDED
from fusion_aug.streams.targets import on_nothing

NUMBER = "number of the detection"  # column of ours while a scan is changed


@dataclass(frozen=True, kw_only=True)
class RadarTransform(Transform, PointOp, abstract=True):
    """A change of radar detections. Resolutions come from the rig's ``RadarSensor``."""

    scope: str = "sensor"

    dense_noise = True
    scopes = ("scene", "sample", "sensor", "timestep")
    loss_reason: ClassVar[str] = "not detected"
    exemptions: ClassVar[dict[str, str]] = {
        "invertible": "what was measured is overwritten",
        "keeps_counts": "detections are moved, lost or added",
        "differentiable": "it has no geometric parameter",
        "commutes": "resolutions are those of the sensor, in which detections are measured after pending motions",
    }

    @classmethod
    def change(cls, detections: Columns, params: Mapping[str, Any], scan: ScanContext) -> Columns:
        """Return the changed columns of one item.

        Args:
            detections: column name -> (n, ...) tensor, in the sensor frame (``xyz`` m, ``velocity`` and
                ``velocity_comp`` m/s, ``rcs`` dBsm, ``flags``).
            params: drawn parameters of this item.
            scan: sensor model, random stream, own velocity.

        Returns:
            columns of m detections; m may differ from n; dtypes and device are kept.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class ScanContext:
    """The circumstances of one radar scan.

    Attributes:
        sensor: the radar. noise: of the scan. rows: (n,) int64, what the noise of its detections is drawn by.
        own_velocity: (3,) m/s of the radar over ground in its own frame; None where unknown.
        index: of the sample in the batch. time: true capture time, ns.
    """

    sensor: RadarSensor
    noise: ItemNoise
    rows: Tensor
    own_velocity: Tensor | None
    index: int
    time: int

    @property
    def rng(self) -> np.random.Generator:
        """Random stream of the scan, for detections that are added, however many."""
        return self.noise.rng

    def compensated(self, raw: Tensor, rays: Tensor, old_raw: Tensor, old_comp: Tensor) -> Tensor:
        """Compensated Doppler (n,), m/s, of raw ones measured on rays (n, 3): v + own_velocity . ray.

        Where the radar's own velocity is unknown, the old difference of the two is kept.
        """
        return raw + (old_comp - old_raw if self.own_velocity is None else rays @ self.own_velocity.to(rays))


Change = Callable[[Columns, Mapping[str, Any], ScanContext], Columns]


@handles(RadarTransform, Radar, by_item=True)
def change_radar(stream: Radar, call: Call) -> Radar:
    """Change item by item."""
    return change_each_scan(stream, call, lambda columns, params, scan: call.transform.change(columns, params, scan))


def change_each_scan(stream: Radar, call: Call, change: Change) -> Radar:
    """Change the detections of every item that is present, and pack them again."""
    stream = stream.realized()
    parts, numbers = list(stream.realized_items()), list(stream.row_keys.split(stream.counts.tolist()))
    for i, params in call.asked:
        if not bool(stream.present[i]):
            continue
        before, elsewhere = stream.noise_rows(i), numbers[i] < 0
        rows = before.to(parts[i]["xyz"].device)
        columns = {**parts[i], NUMBER: rows + 1}
        index, time = int(stream.sample_index[i]), int(stream.true_capture_times[i])
        sensor = call.sample.metas[index].true_rig.sensors.get(call.name)
        known = sensor if isinstance(sensor, RadarSensor) else RadarSensor(frame=stream.frame)
        own = radar_velocity(call.sample, stream, i)
        own = sensor_velocity(columns) if own is None else own
        noise = ItemNoise(params.get("noise", ""), call.name, time)
        changed = dict(change(columns, params, ScanContext(known, noise, rows, own, index, time)))
        found = changed.pop(NUMBER, torch.zeros(len(changed["xyz"])))  # a change that tells none makes new ones
        after, added = numbers_after(before, found.cpu().to(torch.int64) - 1)
        numbers[i] = torch.where(torch.isin(after, before[elsewhere]), -1 - after, after)
        # what is added is no object's, whatever it is made from
        parts[i] = changed | on_nothing(stream, changed, added)
    return stream.repacked(parts, torch.cat(numbers)) if parts else stream


def numbers_after(before: Tensor, found: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers of a scan's detections after a change, and which of them are new, (m,).

    Args:
        before: (n,) numbers of the old ones.
        found: (m,) the same column after the change; that of a new one is none of them, or comes again.
    """
    added = torch.ones(len(found), dtype=torch.bool)  # all but the first of each number
    added[torch.from_numpy(np.unique(found.numpy(), return_index=True)[1])] = False
    added |= ~torch.isin(found, before)
    numbers = found.clone()
    fresh = max(FIRST_ADDED, int(before.max()) + 1) if len(before) else FIRST_ADDED
    numbers[added] = fresh + torch.arange(int(added.sum()))
    return numbers, added


def velocities_on_rays(
    detections: Columns, scan: ScanContext, old: Tensor, new: Tensor, speed: Tensor | float = 0.0
) -> Columns:
    """Velocities of detections that are taken to lie on other rays: raw Doppler stays but for an error ``speed``.

    The compensation is made for the ray that was measured, so a wrong angle enters the compensated velocity.
    """
    if "velocity" not in detections or "velocity_comp" not in detections:
        return {
            n: (new * (radial(detections, n, old) + speed)[:, None]).to(detections[n])
            for n in VELOCITIES
            if n in detections
        }
    was_raw, was_comp = (radial(detections, n, old) for n in VELOCITIES)
    raw = was_raw + speed
    comp = scan.compensated(raw, new, was_raw, was_comp)
    return {n: (new * v[:, None]).to(detections[n]) for n, v in zip(VELOCITIES, (raw, comp), strict=True)}
