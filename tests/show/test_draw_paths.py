"""Trajectories in pictures: where they project, in the colours of their times, and nothing for what stands still."""

from __future__ import annotations

import numpy as np
import torch
from places import DRIVE
from samples import make_sample

import fusion_aug as fa
from fusion_aug.show.draw import BIRD, REACH, birds_eye, camera_tile
from fusion_aug.show.paths import PAST, path_colour, paths_of


def bare(sample: fa.Sample) -> fa.Sample:
    return sample.with_streams({n: s for n, s in sample.streams.items() if n != "waypoints"})


def test_from_above_every_waypoint_has_its_colour() -> None:
    sample = make_sample(points=20, gels=False)
    ego = sample["waypoints"].of("ego")
    sample = sample.with_streams({"waypoints": sample["waypoints"]})
    image = birds_eye(sample)
    for k in ego.tolist():
        x, y = sample["waypoints"]["pose"][k, :2, 3].tolist()
        u, v = round(BIRD / 2 - y * BIRD / 2 / REACH), round(BIRD / 2 - x * BIRD / 2 / REACH)
        time = float(sample["waypoints"]["time_offset"][k])
        near = image[v - 2 : v + 3, u - 2 : u + 3].reshape(-1, 3).astype(int)
        assert np.abs(near - path_colour(time)).sum(1).min() < 60 or abs(x) < 5  # the vehicle's arrow lies over it
    assert path_colour(-1) == PAST and path_colour(0) == PAST and path_colour(0.5) != path_colour(6)


def test_in_pictures_they_lie_on_the_ground() -> None:
    """The path of the vehicle is seen where the places on its way project to, and nowhere else."""
    log = fa.open_log("nuscenes", DRIVE, intensity_scale=255)
    sample = fa.with_waypoints(log, 0, past=0, future=3)
    only = sample["waypoints"].select(torch.from_numpy(sample["waypoints"]["instance"] == "ego"))
    sample = sample.with_streams({**sample.streams, "waypoints": only})
    plain, drawn = (camera_tile(s, "CAM_FRONT").astype(int) for s in (bare(sample), sample))
    changed = np.argwhere(np.abs(plain - drawn).sum(2) > 60)
    assert len(changed) > 30
    ahead = np.arange(2.5, 21, 0.02)
    ((_, _, places),) = paths_of(sample)
    line = np.stack([np.interp(ahead, places[:, 0], places[:, c]) for c in range(3)], 1)
    uv, visible = sample.project_ref(torch.from_numpy(line), "CAM_FRONT")
    scale = plain.shape[1] / sample.rig.camera("CAM_FRONT").size[1]
    on = (uv[visible].numpy() + 0.5) * scale - 0.5
    away = np.linalg.norm(changed[:, None, ::-1] - on[None], axis=2).min(1)
    assert away.max() < 4


def test_what_stands_still_has_no_path() -> None:
    sample = make_sample(points=20, gels=False)
    stream = sample["waypoints"]
    still = stream["pose"].clone()
    still[:, :3, 3] = 1.0
    sample = sample.with_streams({**sample.streams, "waypoints": stream.with_values(pose=still)})
    assert not list(paths_of(sample))
    assert np.array_equal(birds_eye(sample), birds_eye(bare(sample)))
