"""Beams and intensities of LiDARs, against the driving world."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from places import DRIVE
from samples import make_sample
from scipy.spatial import cKDTree

import fusion_aug as fa
from calib import LidarSensor
from calib.ties import TIE
from fusion_aug.ops.points import hidden_by_move
from fusion_aug.ops.rings import ring_elevations, to_elevations
from fusion_aug.synth.sensors import scan
from fusion_aug.synth.town import make_town
from fusion_aug.synth.world import Scenery

LIDAR = np.array([[0, 1.0, 0, 0.9], [-1, 0, 0, 0], [0, 0, 1, 1.84], [0, 0, 0, 1]])


def measure(beams: np.ndarray, columns: int = 720, time: float = 4.0) -> dict[str, torch.Tensor]:
    """A scan of the made street with negligible range noise."""
    scenery = Scenery(make_town(0))
    sensor = LidarSensor(frame="lidar", elevations=tuple(beams.tolist()), min_range=1.0, max_range=80.0)
    pose = scenery.town.ego.pose(time)
    found = scan(scenery, sensor, lambda t: pose @ LIDAR, time, columns, 0.0, np.random.default_rng(0))
    return {k: torch.from_numpy(v) for k, v in found.items()}


@pytest.mark.parametrize("low, high, count", [(-30.0, 10.0, 32), (-25.0, 5.0, 32), (-30.0, 10.0, 16)])
def test_64_beams_become_another_lidar(low: float, high: float, count: int) -> None:
    """Against the scan that the other LiDAR makes of the same street."""
    old, new = np.radians(np.linspace(-30, 10, 64)), np.radians(np.linspace(low, high, count))
    many, few = measure(old), measure(new)
    rows, xyz, ring = to_elevations(many["xyz"], many["ring"], old, new)
    assert len(rows) == len(xyz) == len(ring)
    distance = cKDTree(few["xyz"].numpy()).query(xyz.numpy())[0]
    back = cKDTree(xyz.numpy()).query(few["xyz"].numpy())[0]
    assert np.median(distance) <= 0.03 and np.median(back) <= 0.03, (np.median(distance), np.median(back))
    assert abs(len(xyz) / len(few["xyz"]) - 1) < 0.05
    elevation = torch.atan2(xyz[:, 2], xyz[:, :2].norm(dim=1))
    off = (elevation - torch.from_numpy(new)[ring]).abs()
    assert float((off < 1e-6).double().mean()) > 0.9, "new points lie on the new beams"


def test_a_subset_of_the_beams_is_taken_as_it_is() -> None:
    old = np.radians(np.linspace(-30, 10, 64))
    many = measure(old, 180)
    rows, xyz, ring = to_elevations(many["xyz"], many["ring"], old, old[::2])
    assert torch.equal(xyz, many["xyz"][rows]) and torch.equal(many["ring"][rows], 2 * ring)
    assert len(rows) == int((many["ring"] % 2 == 0).sum())


def test_the_rig_learns_the_new_elevations() -> None:
    sample = fa.open_log("nuscenes", DRIVE)[3]
    out = fa.RingResample(elevations_deg=[-20.0, -10.0, 0.0, 5.0])(sample)
    elevations = out.rig.sensors["LIDAR_TOP"].elevations  # type: ignore[union-attr]
    assert np.allclose(np.degrees(elevations), [-20, -10, 0, 5]) and out.true_rig is out.rig
    assert out["LIDAR_TOP"]["ring"].max() <= 3 and out["RADAR_FRONT"] is sample["RADAR_FRONT"]
    assert set(out["LIDAR_TOP"].values) == set(sample["LIDAR_TOP"].values)
    assert len(fa.RingResample(beams=16)(sample).rig.sensors["LIDAR_TOP"].elevations) == 16  # type: ignore[union-attr]
    with pytest.raises(fa.ConfigError, match="either beams or elevations_deg"):
        fa.RingResample()


def test_columns_thin_a_turn() -> None:
    old = np.radians(np.linspace(-30, 10, 32))
    many = measure(old, 720)
    _, xyz, ring = to_elevations(many["xyz"], many["ring"], old, old, 180)
    cell = torch.floor((torch.atan2(xyz[:, 1], xyz[:, 0]) / (2 * np.pi) + 0.5) * 180 + TIE)  # points lie on borders
    assert len(xyz) <= 32 * 180 and len(torch.unique(ring * 1000 + cell)) > 0.98 * len(xyz)


def test_elevations_are_measured_where_the_rig_has_none() -> None:
    old = np.radians(np.linspace(-30, 10, 32))
    many = measure(old, 360)
    found = ring_elevations(many["xyz"], many["ring"])
    known = np.isfinite(found)
    assert known.sum() > 20 and np.abs(found - old[: len(found)])[known].max() < 1e-3


def test_a_dead_beam_is_dead_in_every_sweep() -> None:
    out = fa.BeamDropout(share=0.5)(make_sample(points=4000), seed=3)["lidar"]
    alive = [set(out["ring"][out.item_slice(i)].tolist()) for i in range(2)]
    assert alive[0] == alive[1] and 8 < len(alive[0]) < 24


def test_intensity_keeps_to_the_sensors_scale() -> None:
    sample = make_sample()
    rig = sample.rig.with_sensor("lidar", LidarSensor(frame="lidar", intensity_scale=255.0))
    wide = sample["lidar"].with_values(intensity=sample["lidar"]["intensity"] * 255)
    big = sample.with_streams({**sample.streams, "lidar": wide}).with_meta(0, rig=rig, true_rig=rig)
    change = fa.IntensityGain(gain=1.5, gamma=0.8)
    a, b = change(sample)["lidar"]["intensity"], change(big)["lidar"]["intensity"]
    assert torch.allclose(a * 255, b, atol=1e-3), "0-1 and 0-255 sensors agree"
    assert torch.allclose(a, (1.5 * sample["lidar"]["intensity"].double() ** 0.8).clamp(0, 1).float(), atol=1e-6)


def test_what_comes_to_lie_behind_is_hidden() -> None:
    """A wall at 12 m beside a board at 4 m: after two metres to the side the board hides part of the wall."""
    grid = np.linspace(-1, 1, 81)
    board = torch.tensor([[4.0, y + 2.0, z] for y in grid for z in grid])
    wall = torch.tensor([[12.0, y, z] for y in np.linspace(-6, 3, 361) for z in grid])
    old = torch.cat([board, wall, torch.tensor([[0.0, 9.0, 0.0], [float("nan"), 0, 0]])])
    new = old - torch.tensor([0.0, 3.0, 0.0])
    hidden = hidden_by_move(old, new)
    share = (new[len(board) : -2, 1] / 12.0 + 1.0 / 4.0).abs() < 0.9 / 4.0  # the wall's rays that meet the board
    assert not bool(hidden[: len(board)].any()) and not bool(hidden[-2:].any())
    assert float(hidden[len(board) : -2][share & (new[len(board) : -2, 2].abs() < 2.5)].double().mean()) > 0.9
    assert (
        float(hidden[len(board) : -2][~share & ((new[len(board) : -2, 1] / 12 + 0.25).abs() > 0.28)].double().mean())
        < 0.02
    )


@pytest.mark.parametrize("log", ["kitti", "nuscenes"])
def test_a_scanner_that_hardly_moves_loses_hardly_a_point(real_data: Path, log: str) -> None:
    sample = fa.open_log(log, real_data / log)[0]
    name = next(iter(sample.of_type(fa.Points)))
    xyz = sample[name]["xyz"].double()
    shares = [float(hidden_by_move(xyz, xyz - torch.tensor([0, 0, s])).double().mean()) for s in (0.0, 1e-6, 0.02)]
    assert shares[0] == 0 and shares[1] < 1e-3 and shares[2] < 0.02, shares
