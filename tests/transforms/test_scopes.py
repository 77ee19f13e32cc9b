"""What a scene shares may be drawn for every sample instead, and all sensors of a sample still see one draw."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from places import DRIVE
from samples import make_sample

import fusion_aug as fa
from fusion_aug.core.compose import named_leaves
from fusion_aug.core.engine import Run
from fusion_aug.core.random import Keys
from fusion_aug.core.registry import Context, own_transforms
from fusion_aug.transforms import Weather
from fusion_aug.transforms.generative.made_pictures import MadePictures

SHARED = {n: t for n, t in own_transforms().items() if t.scope == "scene"}


def params(transform: Any, sample_id: str) -> dict[str, dict[str, Any]]:
    """Drawn parameters of a sample of one scene: instance -> params, without the key of its dense noise."""
    drawn = Run(Keys(2), Context({})).draw(transform, make_sample(sample_id, gels=False), 0, "path")
    return {i: {k: v for k, v in p.items() if k != "noise"} for i, p in drawn.items()}


@pytest.mark.quick
@pytest.mark.parametrize("name", sorted(SHARED))
def test_each_can_be_drawn_per_sample(name: str) -> None:
    cls = SHARED[name]
    own = {scope: [params(cls(**cls.example, scope=scope), i) for i in ("a", "b")] for scope in ("scene", "sample")}
    assert [list(p) for p in (*own["scene"], *own["sample"])] == [[""]] * 4, "sensors draw for themselves"
    assert own["scene"][0] == own["scene"][1]
    assert own["sample"][0] != own["sample"][1]


def test_weather_warps_of_time_and_looks_are_all_that_scenes_share() -> None:
    """What docs/training.md says."""
    assert {"Fog", "Night", "Weather", "TimeWarp", "SpeedWarp", "Stylize", "MatchColour"} <= set(SHARED)
    looks = (Weather, MadePictures, fa.MatchColour)
    assert all(issubclass(t, looks) or "Warp" in n for n, t in SHARED.items())


@pytest.mark.parametrize("preset", ["fog", "rain", "snow", "night", "weather"])
def test_presets_of_weather_take_a_scope(preset: str) -> None:
    for scope, pipeline in (("scene", fa.preset(preset)), ("sample", fa.preset(preset, weather_scope="sample"))):
        found = [t.scope for _, t in named_leaves(pipeline)] + [t.scope for t in pipeline.transforms]
        assert set(found) == {scope}


def test_a_scope_that_weather_has_not_is_refused() -> None:
    with pytest.raises(fa.ConfigError, match=r"Weather\.scope: 'sensor' is not one of scene, sample"):
        fa.preset("fog", weather_scope="sensor")


def seen_by_camera(before: fa.Sample, after: fa.Sample) -> float:
    """Extinction (1/m) that the front camera shows, by Koschmieder: I' = I t + A (1 - t), t = exp(-extinction x).

    A is read where a ray goes on through 400 m of air and more, as the median of each row.
    """
    clear, foggy = (s["CAM_FRONT"].image(0).double().numpy() for s in (before, after))  # type: ignore[attr-defined]
    z = before["CAM_FRONT/depth"].image(0).double().numpy()  # type: ignore[attr-defined]
    rows = np.flatnonzero((np.isinf(z) | (z > 400)).sum(1) > 20)
    open_air = np.array([np.median(foggy[r][np.isinf(z[r]) | (z[r] > 400)], 0) for r in rows])
    lowest = open_air[-5:].mean(0)  # at the horizon, where all that is measured here lies
    chosen = (z > 5) & (z < 60) & (np.abs(clear - lowest).max(-1) > 60) & (np.arange(len(z)) > rows[-1] - 20)[:, None]
    left = ((foggy - lowest) * (clear - lowest)).sum(-1)[chosen] / ((clear - lowest) ** 2).sum(-1)[chosen]
    pixels = torch.from_numpy(np.argwhere(chosen)[:, ::-1].astype(float))
    ray = before.rig.camera("CAM_FRONT").unproject(pixels).numpy()
    return float(np.median(-np.log(np.maximum(left, 1e-3)) / (z[chosen] / ray[:, 2])))


def seen_by_lidar(before: fa.Sample, after: fa.Sample) -> float:
    """Extinction (1/m) that the LiDAR shows: targets that still return are weaker by exp(-2 extinction x).

    By the sums of all targets of one distance, since a device rounds each.
    """
    clear, foggy = (s["LIDAR_TOP"].realized() for s in (before, after))
    kept = foggy["status"] == 0
    row = foggy["row"][kept].long()
    far = torch.linalg.norm(clear["xyz"][row], dim=1).double()
    old, new = clear["intensity"][row].double(), foggy["intensity"][kept].double()
    found = []
    for near in range(8, 20, 2):
        ring = (far > near) & (far < near + 2) & (old > 20)
        found.append(float(-torch.log(new[ring].sum() / old[ring].sum()) / (2 * far[ring].mean())))
    return float(np.median(found))


@pytest.mark.slow
@pytest.mark.parametrize("scope", ["scene", "sample"])
def test_camera_and_lidar_see_one_fog_either_way(scope: str) -> None:
    """Measured on both: two samples of one scene that have depth pictures."""
    log, fogs = fa.open_log("nuscenes", DRIVE), []
    for index in (7, 14):
        whole = log[index]
        kept = {n: whole[n] for n in ("CAM_FRONT", "CAM_FRONT/depth", "LIDAR_TOP", "ego")}
        cloud = whole["LIDAR_TOP"].realized()
        kept["LIDAR_TOP"] = cloud.with_values(row=torch.arange(len(cloud["xyz"])).double())
        before = whole.with_streams(kept)
        after = fa.Fog(mor=[60, 200], overcast=0.0, scope=scope, report=True)(before, seed=2)
        fogs.append(seen_by_camera(before, after))
        assert seen_by_lidar(before, after) == pytest.approx(fogs[-1], rel=0.02)
        assert fogs[-1] == pytest.approx(np.log(20) / after.history[0].params[""]["mor"], rel=0.02)
    assert (abs(fogs[0] / fogs[1] - 1) < 0.01) == (scope == "scene")
