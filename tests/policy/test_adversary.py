"""Adversary: numbers move uphill inside their ranges, by exact gradients or differences, and a replay needs no loss."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from generic import assert_same_streams
from loading import MadeLog, numbers
from samples import make_sample
from torch.utils.data import DataLoader

import fusion_aug as fa
from benchmarks import adversaries
from fusion_aug.core.engine import Run
from fusion_aug.core.random import Keys
from fusion_aug.core.registry import Context
from fusion_aug.policy.ascent import Ascent
from fusion_aug.policy.moving import Number, bounds
from fusion_aug.policy.scoring import darkness
from fusion_aug.run.config import build_pipeline
from fusion_aug.train.interop import camera_tensors

LIGHT = fa.Compose({"bright": fa.Brightness(factor=[0.3, 1.5]), "soft": fa.Contrast(factor=[0.5, 1.5])})
AIM = fa.Miscalibrate(sensors=["CAM_FRONT"], x_deg=[-1, 1], y_deg=[-1, 1], name="aim")
PIPELINE = fa.Compose([*LIGHT.transforms, AIM, fa.RotateScene(yaw_deg=[-5, 5]), fa.GaussianNoise(sigma=0.02, p=0.5)])


def float_sample(sample_id: str = "s0", seed: int = 0) -> fa.Sample:
    sample = make_sample(sample_id, gels=False, seed=seed)
    cameras = {n: s for n, s in sample.streams.items() if type(s) is fa.Camera}
    floats = {n: replace(s, items=tuple(p.float() / 255 for p in s.items)) for n, s in cameras.items()}
    return sample.with_streams({**sample.streams, **floats})


def smooth(sample: fa.Sample) -> torch.Tensor:
    """A loss with a gradient in light, in the aim of a camera and in the pose of the scene."""
    picture = sample["CAM_FRONT"].image(0).double()  # type: ignore[attr-defined]
    picture = picture if picture.requires_grad or float(picture.max()) <= 1 else picture / 255
    matrix = fa.to_dense(sample, cameras=["CAM_FRONT"], dtype=torch.float64)["lidar2img"][0, 0]
    point = matrix @ torch.tensor([12.0, 1.0, 0.5, 1.0], dtype=torch.float64)
    pixel = point[:2] / point[2]
    return (picture - 0.5).square().mean() + 1e-4 * (pixel - torch.tensor([30.0, 20.0])).square().mean()


def ended(out: fa.Sample) -> dict[str, float]:
    """Where the numbers of an adversary's records are."""
    said = out.history[-1].params[""]
    inside = {r.path.removeprefix("Adversary/"): r for r in out.history[:-1]}
    found = {}
    for name in said["start"]:
        field, _, instance = name.partition("@")
        path, _, key = field.rpartition(".")
        found[name] = inside[path].params[instance][key]
    return found


@pytest.mark.quick
def test_exact_gradients_lead_to_the_corner_of_a_smooth_loss() -> None:
    """The loss grows along one side of every range: three steps of 0.4 reach its end from anywhere."""
    out = fa.Adversary(AIM, lambda s: camera_tensors(s, "CAM_FRONT")["lidar2img"][:2, 2].sum(), gradient="exact")(
        float_sample(), seed=3
    )
    said = out.history[-1].params[""]
    assert set(said["gradient"].values()) == {"exact"} and said["zero"] == said["still"] == []
    assert said["passes"] == 3 + 3 + 3 + 1 and said["losses"] == sorted(said["losses"])
    sides = ended(out)
    assert set(sides) == {"aim.x_deg@CAM_FRONT", "aim.y_deg@CAM_FRONT"} and all(abs(v) == 1 for v in sides.values())
    still = {"sensors": ["CAM_FRONT"], "z_deg": 0.0, "x": 0.0, "y": 0.0, "z": 0.0}
    corners = [{**still, "x_deg": x, "y_deg": y} for x in (-1.0, 1.0) for y in (-1.0, 1.0)]
    moved = [fa.Miscalibrate.apply_params(float_sample(), c) for c in corners]
    best = max(float(camera_tensors(m, "CAM_FRONT")["lidar2img"][:2, 2].sum()) for m in moved)
    assert said["losses"][-1] == pytest.approx(best, rel=1e-9)


@pytest.mark.quick
def test_exact_gradients_are_finite_differences() -> None:
    sample = float_sample()
    records = fa.Compose([*LIGHT.transforms, AIM, fa.RotateScene(yaw_deg=[-5, 5])])(sample, seed=3).history
    fields = [
        (0, "", "factor"),
        (1, "", "factor"),
        (2, "CAM_FRONT", "x_deg"),
        (2, "CAM_FRONT", "y_deg"),
        (3, "", "yaw_deg"),
    ]
    modes = {Number(f"{i}.{f}", i, k, f, -9.0, 9.0): "exact" for i, k, f in fields}
    ascent = Ascent(sample, Run(Keys(), Context({})), records, smooth, "", "here", modes)
    place = ascent._look(ascent.values)
    assert place.result is not None
    found = torch.autograd.grad(place.result, list(place.tensors.values()))
    for number, gradient in zip(modes, found, strict=True):
        step = 1e-4 if number.field == "factor" else 1e-3
        near = [{**ascent.values, number: ascent.values[number] + s} for s in (step, -step)]
        up, down = (ascent._look(v, last=True).loss for v in near)
        assert float(gradient) == pytest.approx((up - down) / (2 * step), rel=2e-2, abs=1e-6), number


@pytest.mark.parametrize(("mode", "passes"), [("exact", 10), ("spsa", 7), ("auto", 10)])
def test_a_replay_needs_no_loss_and_is_bit_exact(mode: str, passes: int) -> None:
    out = fa.Compose([fa.RotateScene(yaw_deg=3.0), fa.Adversary(PIPELINE, smooth, gradient=mode)])(
        float_sample(), seed=3
    )
    said = out.history[-1].params[""]
    assert said["passes"] == passes and len(said["losses"]) == 4 and said["losses"][-1] > said["losses"][0]
    assert said["losses"][-1] == pytest.approx(float(smooth(out)), rel=1e-9)
    history = fa.history_from_json(json.loads(json.dumps(fa.history_to_json(out.history))))
    again = fa.replay(float_sample(), history)
    assert_same_streams(out, again)
    assert torch.equal(out.rig.T("ego", "CAM_FRONT"), again.rig.T("ego", "CAM_FRONT"))
    assert fa.history_to_json(out.history) == fa.history_to_json(again.history)


@pytest.mark.parametrize("seed", range(3))
def test_it_starts_at_the_draw_stays_inside_and_never_falls(seed: int) -> None:
    drawn = fa.Compose({"Adversary": PIPELINE})(float_sample(), seed=seed)
    out = fa.Adversary(PIPELINE, smooth, gradient={"*Bright*": "spsa"}, steps=4)(float_sample(), seed=seed)
    said = out.history[-1].params[""]
    assert said["losses"][0] == pytest.approx(float(smooth(drawn)), rel=1e-9)
    assert said["losses"] == sorted(said["losses"])
    assert said["gradient"]["Brightness.factor"] == "spsa" and said["gradient"]["RotateScene.yaw_deg"] == "exact"
    ranges = {"Brightness.factor": (0.3, 1.5), "Contrast.factor": (0.5, 1.5), "RotateScene.yaw_deg": (-5, 5)}
    for name, value in ended(out).items():
        low, high = ranges.get(name, (-1, 1))
        assert low <= value <= high
    for before, after in zip(drawn.history, out.history, strict=False):
        moved = {n.rpartition(".")[2].partition("@")[0] for n in said["start"]}
        assert (before.path, before.applied) == (after.path, after.applied)
        for key, params in before.params.items():
            assert {k: v for k, v in params.items() if k not in moved} == {
                k: v for k, v in after.params[key].items() if k not in moved
            }


def test_a_batch_equals_the_loop() -> None:
    samples = [float_sample(n, i) for i, n in enumerate("abc")]
    pipeline = fa.Compose([fa.RotateScene(yaw_deg=[-5, 5]), fa.Adversary(PIPELINE, smooth, p=0.7)])
    batch, alone = pipeline(fa.collate(samples), seed=5), [pipeline(s, seed=5) for s in samples]
    assert len({len(s.history) for s in alone}) == 2, "one is left out"
    for u, s in enumerate(alone):
        assert [r.to_json() for r in batch.metas[u].history] == [r.to_json() for r in s.history]
        assert_same_streams(batch.take([u]), s, exact=False)


def test_the_same_bytes_with_workers() -> None:
    log: Any = MadeLog("s", gels=False)
    data = fa.AugmentedDataset(log, fa.Adversary(LIGHT, darkness, steps=1), seed=5)
    plain, parallel = (
        numbers(list(DataLoader(data, batch_size=2, collate_fn=fa.collate, num_workers=n))) for n in (0, 2)
    )
    assert plain == parallel


def test_levels_of_integers_are_moved_by_differences() -> None:
    """Of a log's own pictures, whose levels carry no gradient; the aim still has an exact one."""
    out = fa.Adversary(fa.Compose([*LIGHT.transforms, AIM]), smooth)(make_sample(gels=False), seed=3)
    assert list(out.history[-1].params[""]["gradient"].values()) == ["spsa", "spsa", "exact", "exact"]
    with pytest.raises(
        fa.DataError, match=r"sample s0: Adversary.*Brightness\.factor carries no gradient .*set gradient"
    ):
        fa.Adversary(fa.Brightness(factor=[0.5, 1.5]), smooth, gradient="exact")(make_sample(gels=False), seed=3)


def test_differences_find_the_dark() -> None:
    """One number and a monotone loss: every step gains until the end of the range."""
    out = fa.Adversary(fa.Brightness(factor=[0.2, 1.8]), darkness, gradient="spsa")(make_sample(gels=False), seed=3)
    assert out.history[0].params[""]["factor"] == 0.2 and out.history[-1].params[""]["gradient"] == {
        "Brightness.factor": "spsa"
    }


@pytest.mark.quick
@pytest.mark.parametrize("mode", ["exact", "spsa", "auto"])
def test_a_number_that_the_loss_does_not_feel_is_named(mode: str) -> None:
    def of_front(sample: fa.Sample) -> torch.Tensor:
        return sample["CAM_FRONT"].image(0).sum()  # type: ignore[attr-defined]

    aside = fa.Brightness(factor=[0.5, 1.5], cameras=["CAM_LEFT"])
    felt = fa.Contrast(factor=[0.5, 1.5], cameras=["CAM_FRONT"])
    transforms = [aside] if mode == "spsa" else [aside, felt]  # differences do not tell one number from another
    with pytest.warns(fa.ZeroGradient, match=r"s0: Adversary \(Adversary\): the loss does not change with Brightness"):
        out = fa.Adversary(transforms, of_front, gradient=mode, steps=2)(float_sample(), seed=3)
    said = out.history[-1].params[""]
    assert said["zero"] == ["Brightness.factor"]
    assert mode == "auto" or ended(out)["Brightness.factor"] == said["start"]["Brightness.factor"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fa.Adversary(fa.Brightness(factor=[0.5, 1.5]), of_front, gradient=mode)(float_sample(), seed=3)


def test_no_gradients_are_left_in_a_network() -> None:
    network = torch.nn.Linear(1, 1).double()

    def loss(sample: fa.Sample) -> torch.Tensor:
        return network(sample["CAM_FRONT"].image(0).double().mean().reshape(1, 1)).sum()  # type: ignore[attr-defined]

    sample = float_sample()
    with torch.inference_mode():
        out = fa.Adversary(LIGHT, loss)(sample, seed=3)
    assert set(out.history[-1].params[""]["gradient"].values()) == {"exact"}
    assert all(p.grad is None for p in network.parameters())


def test_what_a_sensor_has_no_part_in_is_not_moved() -> None:
    """Draws are made for every sensor of the rig; the transform is for one of them."""
    out = fa.Adversary(AIM, smooth)(float_sample(), seed=3)
    assert [*out.history[-1].params[""]["start"]] == ["aim.x_deg@CAM_FRONT", "aim.y_deg@CAM_FRONT"]


@pytest.mark.quick
def test_bounds_and_scales_of_ranges() -> None:
    assert bounds((2.0, 4.0)) == (2.0, 4.0, False) and bounds(3.0) is None and bounds((3.0, 3.0)) is None
    assert bounds({"distribution": "log_uniform", "low": 1.0, "high": 100.0}) == (1.0, 100.0, True)
    assert bounds({"distribution": "choice", "values": [1, 2]}) is None
    assert bounds({"distribution": "normal", "mean": 1.0, "std": 0.5}) == (-0.5, 2.5, False)
    assert bounds({"distribution": "normal", "mean": 1.0, "std": 0.5, "low": 0.0}) == (0.0, 2.5, False)
    log = Number("mor", 0, "", "mor", 10.0, 1000.0, log=True)
    assert log.moved(100.0, 0.5) == pytest.approx(1000.0) and log.moved(100.0, -0.25) == pytest.approx(100 / 10**0.5)
    assert log.moved(100.0, 1.0) == 1000.0 and Number("n", 0, "", "n", 0.0, 10.0, whole=True).moved(3, 0.24) == 5.0


@pytest.mark.quick
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"steps": 0}, r"Adversary\.steps: expected a whole number from 1 to 1000, got 0"),
        ({"steps": 2.0}, r"Adversary\.steps"),
        ({"step": 0}, r"Adversary\.step: expected a share of a range above 0"),
        ({"step": 1.5}, r"Adversary\.step: "),
        ({"gradient": "numeric"}, r"Adversary\.gradient: 'numeric' is not one of auto, exact, spsa"),
        (
            {"gradient": {"fog.*": "spsa"}},
            r"Adversary\.gradient: 'fog\.\*' names no field with a range \(there are bri",
        ),
        ({"loss": None}, r"Adversary\.loss: expected a function of a sample"),
        ({"transforms": [fa.Brightness(factor=0.5)]}, r"Adversary\.transforms: no number of them has a range"),
    ],
)
def test_wrong_settings_are_refused(options: dict, said: str) -> None:
    with pytest.raises(fa.ConfigError, match=said):
        fa.Adversary(**{"transforms": LIGHT, "loss": darkness, **options})


def test_a_loss_without_a_gradient_is_refused_where_it_is_wanted() -> None:
    with pytest.raises(fa.DataError, match=r"the loss carries no gradient of bright\.factor"):
        fa.Adversary(LIGHT, darkness, gradient="exact")(float_sample(), seed=3)
    assert np.isfinite(fa.Adversary(LIGHT, darkness)(float_sample(), seed=3).history[-1].params[""]["losses"]).all()


def test_a_configuration_builds_it_back() -> None:
    pipeline = fa.Compose({"adversary": fa.Adversary(LIGHT, darkness, steps=2, gradient={"soft.*": "spsa"}, step=0.3)})
    again = build_pipeline(pipeline.to_config())
    assert again.to_config() == pipeline.to_config()
    assert again(float_sample(), seed=2).history == pipeline(float_sample(), seed=2).history


def test_fog_by_exact_gradients() -> None:
    """In float pictures, of a sample without scans: to the thickest, which hides the most."""
    sample = float_sample()
    seen = sample.with_streams({n: s for n, s in sample.streams.items() if n in ("CAM_FRONT", "CAM_FRONT/depth")})
    fog = fa.Fog(mor={"distribution": "log_uniform", "low": 20.0, "high": 400.0}, scope="sample")

    def flatness(shown: fa.Sample) -> torch.Tensor:
        return -shown["CAM_FRONT"].image(0).double().var()  # type: ignore[attr-defined]

    with warnings.catch_warnings():
        warnings.simplefilter("error", fa.ZeroGradient)  # which the direction of no wind is not worth
        out = fa.Adversary(fog, flatness, gradient={"Fog.mor": "exact"})(seen, seed=3)
    said = out.history[-1].params[""]
    assert said["zero"] == ["Fog.wind_deg", "Fog.sun_azimuth_deg"]
    assert said["gradient"]["Fog.mor"] == "exact" and out.history[0].params[""]["mor"] == 20.0
    assert_same_streams(out, fa.replay(seen, out.history))


def test_the_benchmark_measures_and_replays() -> None:
    scan = make_sample(gels=False)
    kept = ("CAM_FRONT", "CAM_FRONT/depth", "lidar", "boxes", "ego")
    sample = adversaries.in_floats(scan.with_streams({n: s for n, s in scan.streams.items() if n in kept}))

    def dark(shown: fa.Sample) -> torch.Tensor:
        aims = [shown.rig.T("ego", n)[:3].sum() for n in ("CAM_FRONT", "CAM_LEFT", "CAM_RIGHT")]
        return -shown["CAM_FRONT"].image(0).double().mean() + 1e-3 * sum(aims)  # type: ignore[attr-defined]

    way = fa.Adversary(adversaries.PIPELINE, dark, steps=1, gradient=adversaries.GRADIENT)
    found = adversaries.figures(way, dark, [sample], 0)
    drawn = adversaries.figures(adversaries.PIPELINE, dark, [sample], 0)
    assert found["passes"] == 5 and found["loss"] >= drawn["loss"]
