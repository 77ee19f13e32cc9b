"""CutOut: what every sensor loses, against rays that are followed step by step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from samples import make_batch, make_sample

import fusion_aug as fa
from fusion_aug.ops.box_rays import rays_meet_box
from fusion_aug.ops.grid import pixel_grid
from fusion_aug.transforms.mix.cutout_block import block_of

BEFORE = {"azimuth_deg": 10.0, "elevation_deg": -3.0, "width_deg": 30.0, "height_deg": 20.0, "distance": 6.0}


def met_step_by_step(start: np.ndarray, ways: np.ndarray, T: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Which rays (n, 3) have a place inside a box, of 1,000 up to 25 m away."""
    ways = ways / np.linalg.norm(ways, axis=1, keepdims=True)
    out = np.zeros(len(ways), bool)
    for s in np.linspace(0, 25, 1000):
        local = (start + s * ways - T[:3, 3]) @ T[:3, :3]
        out |= (np.abs(local) < size / 2).all(1)
    return out


@pytest.mark.quick
def test_rays_meet_a_box_as_they_do_step_by_step() -> None:
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = turn, [6.0, 1.0, -0.5]
    size = np.array([2.0, 4.0, 3.0])
    ways = rng.normal(size=(300, 3)) + np.array([2.0, 0, 0])
    hit = rays_meet_box(torch.zeros(3).double(), *(torch.from_numpy(a) for a in (ways, T, size))).numpy()
    expected = met_step_by_step(np.zeros(3), ways, T, size)
    assert 40 < expected.sum() < 260
    assert (hit != expected).sum() <= 3  # rays that graze an edge for less than a step
    assert not rays_meet_box(torch.zeros(3).double(), -torch.tensor(T[:3, 3]), *map(torch.from_numpy, (T, size)))


@pytest.mark.parametrize("size", [None, (3.0, 2.0, 2.0)])
def test_every_sensor_loses_what_it_sees_through_the_block(size: tuple[float, ...] | None) -> None:
    sample = make_sample(gels=False)
    settings = {**BEFORE, "distance": 8.0, "block": size}
    out = fa.CutOut(**settings, fill=0.4)(sample)
    block = block_of(sample, 0, out.history[0].params[""])
    T_block, extent = block.T_ref_block.numpy(), block.size.numpy()
    if size is None:
        extent = np.array([0.2, *extent[1:]])  # a sheet is thinner than the steps of the oracle
    for name in ("lidar", "radar"):
        cloud, T = sample[name], [sample.T_ref(name, i).numpy() for i in range(len(sample[name]))]
        kept = {tuple(p) for p in out[name]["xyz"].tolist()}
        for i in range(len(cloud)):
            xyz = cloud["xyz"][cloud.item_slice(i)].double().numpy()
            lost = met_step_by_step(T[i][:3, 3], xyz @ T[i][:3, :3].T, T_block, extent)
            found = np.array([tuple(p) not in kept for p in cloud["xyz"][cloud.item_slice(i)].tolist()])
            assert (found != lost).sum() <= 0.02 * len(lost) + 1, name
    assert 0 < out["lidar"].rows < sample["lidar"].rows
    for name in ("CAM_FRONT", "FISHEYE"):
        picture, camera = out[name].image(0), sample.rig.camera(name)
        T_cam = sample.T_ref(name).numpy()
        rays = camera.unproject(pixel_grid(camera.size)).reshape(-1, 3).numpy() @ T_cam[:3, :3].T
        lost = met_step_by_step(T_cam[:3, 3], np.nan_to_num(rays), T_block, extent).reshape(camera.size)
        filled = (picture == 102).all(-1).numpy()
        assert lost.any() and (filled != lost).mean() < 0.02, name
        assert torch.equal(picture[~torch.from_numpy(filled)], sample[name].image(0)[~torch.from_numpy(filled)])
    front = (out["CAM_FRONT"].image(0) == 102).all(-1)
    depth = out["CAM_FRONT/depth"].image(0)
    assert torch.equal(depth == 0, front) and torch.equal(depth[~front], sample["CAM_FRONT/depth"].image(0)[~front])


@pytest.mark.quick
def test_boxes_are_seen_as_much_as_some_sensor_sees_of_them() -> None:
    sample = make_sample(gels=False, boxes=3)
    poses = torch.eye(4, dtype=torch.float64).repeat(3, 1, 1)
    poses[:, :3, 3] = torch.tensor([[30.0, 0.0, 1.0], [30.0, 9.0, 1.0], [-20.0, 0.0, 1.0]])
    boxes = sample.boxes().with_values(
        pose=poses, size=torch.full((3, 3), 1.5).double(), visible=torch.ones(3, dtype=torch.float64)
    )
    sample = sample.with_streams({**sample.streams, "boxes": boxes})
    hidden = {"azimuth_deg": 0.0, "elevation_deg": 0.0, "distance": 5.0, "block": [1.0, 3.0, 6.0]}
    out = fa.CutOut(**hidden)(sample)
    assert out.boxes()["instance"].tolist() == ["box1", "box2"]  # the one behind the block is seen by nobody
    assert out.boxes()["visible"].tolist() == [1.0, 1.0]
    half = fa.CutOut(**{**hidden, "block": [1.0, 0.05, 6.0]})(sample)  # a post: all are seen beside it
    assert half.boxes().rows == 3 and float(half.boxes()["visible"].min()) > 0.5


@pytest.mark.quick
def test_flat_boxes_and_key_points_that_are_covered() -> None:
    sample = make_sample(gels=False)
    wide = fa.CutOut(azimuth_deg=0.0, elevation_deg=0.0, distance=4.0, block=(0.1, 60.0, 60.0))(sample)
    assert (wide["CAM_FRONT"].image(0) == 0).all()
    sides = fa.CutOut(azimuth_deg=-50.0, elevation_deg=0.0, distance=4.0, block=(0.1, 60.0, 60.0))(sample)
    assert (sides["CAM_RIGHT"].image(0) == 0).all() and sides["CAM_RIGHT/flat"].rows == 0
    behind = fa.CutOut(azimuth_deg=180.0, elevation_deg=0.0, distance=4.0, block=(0.1, 2.0, 2.0))(sample)
    assert torch.equal(behind["CAM_FRONT"].image(0), sample["CAM_FRONT"].image(0))
    assert torch.equal(behind["CAM_LEFT/mask"].image(0), sample["CAM_LEFT/mask"].image(0))


@pytest.mark.quick
def test_one_draw_is_one_place_and_replays() -> None:
    batch = make_batch(2)
    out = fa.CutOut(**{**BEFORE, "azimuth_deg": [-40.0, 40.0]})(batch, seed=2)
    assert out.metas[0].history[0].params != out.metas[1].history[0].params
    again = fa.replay(batch.take([1]), out.metas[1].history)
    assert torch.equal(again["lidar"]["xyz"], out.take([1])["lidar"]["xyz"])
    assert torch.equal(again["CAM_LEFT"].image(0), out.take([1])["CAM_LEFT"].image(0))


@pytest.mark.quick
def test_refusals() -> None:
    for wrong in ({"block": [1.0, 2.0]}, {"block": [1.0, 0.0, 1.0]}, {"fill": 1.5}, {"distance": 0.0}):
        with pytest.raises(fa.ConfigError, match=r"CutOut\.(block|fill|distance)"):
            fa.CutOut(**wrong)
