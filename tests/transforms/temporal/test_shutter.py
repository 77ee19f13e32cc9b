"""Rolling shutters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from arm_log import open_arm
from samples import ego_pose, make_sample

import fusion_aug as fa
from fusion_aug.ops.grid import pixel_grid
from fusion_aug.transforms.temporal import shutter


@pytest.mark.parametrize(("speed", "moves"), [(1e-9, False), (0.05, True)])
def test_a_static_camera_shows_no_difference(monkeypatch: pytest.MonkeyPatch, speed: float, moves: bool) -> None:
    """Its velocity is a difference of computed poses, which is rarely exactly 0."""
    sample, still = make_sample(gels=False), torch.zeros(3, dtype=torch.float64)
    monkeypatch.setattr(shutter, "camera_twist", lambda *_: (still + speed, still - speed))
    out = fa.RollingShutter(readout=0.02, cameras=["CAM_FRONT"])(sample)
    assert (out["CAM_FRONT"] is not sample["CAM_FRONT"]) == moves
    assert out.rig.camera("CAM_FRONT").readout == 0.02


def test_rows_of_a_rolling_shutter_show_their_own_time() -> None:
    """Spots of far and near points, found where the camera was at the time of their row."""
    size, readout = (96, 128), 0.03
    sample = make_sample(size=size, points=0, boxes=0, gels=False)
    name, time = "CAM_FRONT", int(sample["CAM_FRONT"].capture_times[0])
    camera, rng = sample.rig.camera(name), np.random.default_rng(0)
    pixels = torch.from_numpy(rng.uniform([20, 12], [108, 84], (40, 2)))
    places = camera.unproject(pixels) * 7.0
    picture = torch.zeros((*size, 3), dtype=torch.uint8)
    depth = camera.unproject(pixel_grid(size))[..., 2].float() * 7.0
    streams = dict(sample.streams)
    streams[f"{name}/depth"] = fa.Depth(frame=name, camera=name, capture_times=torch.tensor([time]), items=(depth,))
    T_world = sample.rig.T("world", name, time)
    worst, depth_errors, stale = [], [], []
    for pixel, place in zip(pixels, places, strict=True):
        v, u = np.mgrid[: size[0], : size[1]]
        spot = 255 * np.exp(-((u - float(pixel[0])) ** 2 + (v - float(pixel[1])) ** 2) / (2 * 1.5**2))
        picture = torch.from_numpy(np.repeat(spot[..., None], 3, 2).astype(np.uint8))
        streams[name] = replace(sample[name], items=(picture,))
        out = fa.RollingShutter(readout=readout, cameras=[name])(sample.with_streams(streams))
        found = out[name].pictures[0][..., 0].numpy().astype(float)  # type: ignore[attr-defined]
        seen = np.array([(found * u).sum(), (found * v).sum()]) / found.sum()
        at = float(pixel[1])
        for _ in range(10):  # the row at which it is read, and the camera's position then
            later = int(readout * (at - (size[0] - 1) / 2) / (size[0] - 1) * 1e9)
            T_now_then = torch.linalg.inv(moved_along(sample, name, time, later)) @ T_world
            there, _ = camera.project((T_now_then[:3, :3] @ place + T_now_then[:3, 3])[None])
            at = float(there[0, 1])
        worst.append(np.abs(seen - there[0].numpy()).max())
        u0, v0 = there[0].round().long().tolist()
        z = float((T_now_then[:3, :3] @ place + T_now_then[:3, 3])[2])
        depth_errors.append(float(out[f"{name}/depth"].pictures[0][v0, u0]) - z)  # type: ignore[attr-defined]
        stale.append(float(depth[int(pixel[1].round()), int(pixel[0].round())]) - z)
    assert np.mean(worst) < 0.08 and np.max(worst) < 0.25, (np.mean(worst), np.max(worst))
    assert np.median(np.abs(depth_errors)) < 0.02 < 0.03 < np.median(np.abs(stale)), "depth at the time of the row"
    assert out.rig.camera(name).readout == readout
    again = fa.RollingShutter(readout=readout, cameras=[name])(out)
    assert again.rig.camera(name).readout == pytest.approx(2 * readout)


def moved_along(sample: fa.Sample, name: str, time: int, later: int) -> torch.Tensor:
    """Pose of a camera in the world on the made curve, which goes on beyond the rig's stamps."""
    return ego_pose(time + later) @ sample.rig.T("ego", name)


def test_a_static_camera_keeps_its_pictures() -> None:
    """Only its readout is recorded; the files of its pictures are copied."""
    pytest.importorskip("mcap")
    sample = open_arm("mcap")
    out = fa.RollingShutter(readout=0.02, cameras=["front"])(sample)
    assert out["front"] is sample["front"] and out["wrist"] is sample["wrist"]
    assert out.rig.camera("front").readout == 0.02 and out.rig.camera("wrist").readout is None
