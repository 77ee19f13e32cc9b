"""Containers, draws, rows of a batch, and donors from other samples."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from samples import make_batch, make_sample

import fusion_aug as fa
from fusion_aug.core.parameters import ParameterRows
from fusion_aug.core.random import Keys
from fusion_aug.core.registry import TRANSFORMS
from fusion_aug.names import full_name
from fusion_aug.streams.families import Mix

pytestmark = pytest.mark.quick


def applied(sample: fa.Sample, index: int = 0) -> list[str]:
    return [r.path for r in sample.metas[index].history if r.applied]


def test_one_of_follows_its_weights() -> None:
    choice = fa.OneOf([fa.FlipImage(), fa.RotateScene(yaw_deg=5)], weights=[3, 1])
    sample = make_sample(gels=False, size=(24, 32))
    counts = Counter(applied(choice(sample, seed=s))[0] for s in range(400))
    assert 260 < counts["FlipImage"] < 340 and sum(counts.values()) == 400


def test_some_of_runs_a_subset_in_order() -> None:
    parts = [fa.Brightness(factor=1.1), fa.Contrast(factor=1.1), fa.Gamma(gamma=1.1)]
    some = fa.SomeOf(parts, n=[0, 3])
    sample, sizes = make_sample(gels=False, size=(24, 32)), set()
    for seed in range(60):
        paths = applied(some(sample, seed=seed))
        sizes.add(len(paths))
        assert paths == [p for p in ("Brightness", "Contrast", "Gamma") if p in paths]
    assert sizes == {0, 1, 2, 3}


def test_random_apply_is_all_or_nothing() -> None:
    both = fa.RandomApply([fa.FlipImage(), fa.Gamma(gamma=1.2)], p=0.5)
    sample = make_sample(gels=False, size=(24, 32))
    sizes = Counter(len(applied(both(sample, seed=s))) for s in range(100))
    assert set(sizes) == {0, 2} and 30 < sizes[2] < 70
    assert fa.RandomApply([fa.FlipImage()]).p == 0.5


def test_paths_join_names_and_number_twins() -> None:
    chain = fa.Compose(
        [
            fa.FlipImage(),
            fa.FlipImage(),
            fa.OneOf([fa.Gamma(gamma=2, name="dark")], name="tone"),
            fa.FlipImage(name="last"),
        ]
    )
    assert applied(chain(make_sample(gels=False))) == ["FlipImage", "FlipImage#2", "tone/dark", "last"]


def test_inserting_a_transform_leaves_named_draws_alone() -> None:
    sample = make_sample(gels=False)
    a = fa.Compose({"yaw": fa.RotateScene(yaw_deg=[-45, 45]), "grain": fa.GaussianNoise(sigma=[0.01, 0.1])})
    b = fa.Compose({"yaw": a.transforms[0], "new": fa.Hue(angle_deg=[-5, 5]), "grain": a.transforms[1]})
    drawn = [{r.path: r.params for r in t(sample, seed=3).history} for t in (a, b)]
    assert drawn[0]["yaw"] == drawn[1]["yaw"] and drawn[0]["grain"] == drawn[1]["grain"]


def test_draws_depend_on_seed_epoch_sample_and_path_only() -> None:
    yaw = fa.RotateScene(yaw_deg=[-45, 45])

    def angle(sample: fa.Sample, t: fa.Transform = yaw, **k: int) -> float:
        return t(sample, **k).history[0].params[""]["yaw_deg"]

    one = make_sample("a")
    base = angle(one, seed=1)
    assert base == angle(one, seed=1) == angle(make_sample("a", seed=9), seed=1)
    others = [angle(one, seed=2), angle(one, seed=1, epoch=1), angle(make_sample("b"), seed=1)]
    others.append(angle(one, replace(yaw, name="other"), seed=1))
    assert len({base, *others}) == 5


def test_global_random_state_is_neither_read_nor_written() -> None:
    chain = fa.Compose([fa.RotateScene(yaw_deg=[-45, 45]), fa.GaussianNoise(sigma=0.1), fa.PointDropout(share=0.3)])
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    a = chain(make_sample(gels=False), seed=1).realized()
    assert np.array_equal(before[0], np.random.get_state()[1]) and torch.equal(before[1], torch.get_rng_state())  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    b = chain(make_sample(gels=False), seed=1).realized()
    assert torch.equal(a["CAM_FRONT"].images, b["CAM_FRONT"].images)


def test_keys_are_pinned() -> None:
    """A change of the key would silently change every seed of every user."""
    rng = Keys(7, 1).generator("scene/000008", "yaw", "params")
    assert rng.random(3).tolist() == pytest.approx(PINNED)


PINNED = [0.7674804290947767, 0.630276668603196, 0.38317686529233175]


def test_scope_log_shares_over_a_scene() -> None:
    yaw = fa.RotateScene(yaw_deg=[-45, 45], scope="scene")
    same = [yaw(make_sample(i, scene="one"), seed=1).history[0].params for i in ("a", "b")]
    assert same[0] == same[1] != yaw(make_sample("a", scene="two"), seed=1).history[0].params


def test_scope_step_changes_at_the_clock() -> None:
    """Steps are the intervals of the clock stream; an item belongs to the last step at or before it."""
    light = fa.Brightness(factor=[0.2, 2.0], scope="timestep")
    sample = make_sample(gels=False)
    out = light(sample, seed=1)
    stamps = [str(t) for t in sample["lidar"].capture_times.tolist()]
    assert list(out.history[0].params) == stamps
    # every camera is later than the second LiDAR stamp
    factor = out.history[0].params[stamps[1]]["factor"]
    bright = fa.Brightness(factor=factor)(sample)
    assert torch.equal(out["CAM_FRONT"].images, bright["CAM_FRONT"].images)


def test_a_batch_of_mixed_choices_equals_the_loop() -> None:
    chain = fa.Compose(
        [
            fa.OneOf([fa.MirrorScene(), fa.RotateScene(yaw_deg=[-45, 45]), fa.ScaleScene(scale=1.1)]),
            fa.SomeOf([fa.ResizeCrop(scale=[0.9, 1.2]), fa.PointDropout(share=0.3), fa.Gamma(gamma=[0.8, 1.3])], n=2),
            fa.RandomApply([fa.TranslateScene(x=[-1, 1]), fa.GaussianNoise(sigma=0.02)]),
        ]
    )
    batch = make_batch(6, gels=False)
    together = chain(batch, seed=2)
    assert len({tuple(applied(together, u)) for u in range(6)}) > 3, "the samples differ in what was chosen"
    for u in range(6):
        alone = chain(batch.take([u]), seed=2).realized()
        mine = together.take([u]).realized()
        assert alone.history == together.metas[u].history
        for name in alone.streams:
            for column, value in alone[name].values.items():
                if isinstance(value, torch.Tensor):
                    assert torch.allclose(value, mine[name].values[column], atol=1e-5, equal_nan=True)
            for a, b in zip(getattr(alone[name], "items", ()), getattr(mine[name], "items", ()), strict=True):
                assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("build", "part"),
    [
        (lambda: fa.OneOf([]), "OneOf.transforms"),
        (lambda: fa.OneOf([fa.FlipImage()], weights=[1, 2]), "OneOf.weights"),
        (lambda: fa.SomeOf([fa.FlipImage()], n=2), "SomeOf.n"),
        (lambda: fa.Compose(["flip"]), "not a transform"),
        (lambda: fa.Compose([fa.FlipImage()], weights=[1]), "unknown parameter 'weights'"),
        (lambda: fa.RotateScene(yaw_deg=[3, 1]), "RotateScene.yaw_deg"),
        (lambda: fa.RotateScene(yaw_deg=float("nan")), "RotateScene.yaw_deg"),
        (lambda: fa.RotateScene(yaw_deg={"distribution": "cauchy"}), "cauchy"),
        (lambda: fa.RotateScene(yaw_deg={"distribution": "normal", "mean": 0}), "std"),
        (lambda: fa.ScaleScene(scale=-1), "ScaleScene.scale"),
        (lambda: fa.ScaleScene(scale=[0.5, 1e9]), "ScaleScene.scale"),
        (lambda: fa.Brightness(factor=1, p=2), "Brightness.p"),
        (lambda: fa.RotateScene(scope="sensor"), "RotateScene.scope"),
        (lambda: fa.Resize(size=(0, 5)), "Resize.size"),
        (lambda: fa.Resize(size=5), "Resize.size"),
        (lambda: fa.Pad(left=-1), "Pad.left"),
        (lambda: fa.RangeCrop(low=5, high=1), "RangeCrop"),
        (lambda: fa.PerspectiveImage(strength=0.5), "PerspectiveImage.strength"),
        (lambda: fa.FlipImage(name="a/b"), "FlipImage.name"),
    ],
)
def test_wrong_settings_are_named(build: Any, part: str) -> None:
    with pytest.raises(fa.ConfigError, match=part.replace(".", r"\.")):
        build()


# --- a donor transform: points of a box of another sample ---
@dataclass(frozen=True, kw_only=True)
class PasteBox(fa.Transform, Mix):
    """Paste one labelled box of another sample, with its LiDAR points, at the same place of the reference frame."""

    bank: str = "bank"

    exemptions: ClassVar[dict[str, str]] = {
        "keeps_rows": "it adds a box and points",
        "invertible": "it adds what was not there",
    }

    def sample_params(self, rng: np.random.Generator, sample: fa.Sample, context: fa.Context) -> dict[str, Any]:
        """The partner is drawn from the keyed stream and recorded by id and hash."""
        bank = context.resource(self.bank, "PasteBox")
        donor = bank[int(rng.integers(len(bank)))]
        box = int(rng.integers(donor.boxes().rows))
        raw = donor["lidar"]["xyz"].numpy().tobytes()
        return {"bank": self.bank, "donor": donor.id, "box": box, "hash": hashlib.blake2b(raw).hexdigest()}

    @classmethod
    def apply(cls, sample: fa.Sample, parameters: ParameterRows, context: fa.Context) -> fa.Sample:
        """Append the donor's points and box to every unit."""
        from fusion_aug.ops.points import points_in_boxes

        parts = []
        for u in range(len(sample.metas)):
            p, one = parameters.of(u), sample.take([u])
            donor = next(d for d in context.resource(p["bank"], "PasteBox") if d.id == p["donor"])
            raw = donor["lidar"]["xyz"].numpy().tobytes()
            if hashlib.blake2b(raw).hexdigest() != p["hash"]:
                raise fa.DataError(f"PasteBox: donor {p['donor']!r} is not what it was when this was recorded")
            index = torch.tensor([p["box"]])
            chosen = donor.boxes().select(torch.arange(donor.boxes().rows) == index)
            cloud = donor.points("lidar")
            inside = points_in_boxes(cloud["xyz"], chosen["pose"], chosen["size"])[0]
            T = torch.linalg.inv(one.T_ref("lidar"))
            mine, key = one["lidar"].realized(), one.key_item("lidar")
            end = int(mine.bounds[key + 1])
            values = {}
            for name, v in mine.values.items():
                extra = cloud[name][inside]
                if name == "xyz":
                    extra = (extra.double() @ T[:3, :3].T + T[:3, 3]).to(v.dtype)
                values[name] = torch.cat([v[:end], extra, v[end:]])
            offsets = mine.bounds.clone()
            offsets[key + 1 :] += len(inside)
            boxes = one.boxes()
            joined = fa.Boxes3D.concat([boxes, chosen], [boxes.sample_index, chosen.sample_index])
            joined = replace(boxes, values=joined.values, offsets=torch.tensor([0, joined.rows]))
            parts.append(
                one.with_streams(
                    {**one.streams, "lidar": replace(mine, values=values, offsets=offsets), "boxes": joined}
                )
            )
        return fa.merge(parts)


TRANSFORMS.pop(full_name(PasteBox))  # a toy: it must not show up in the discovery


@pytest.fixture
def donors() -> Any:
    TRANSFORMS[full_name(PasteBox)] = PasteBox
    yield [make_sample(f"donor{i}", seed=40 + i) for i in range(3)]
    TRANSFORMS.pop(full_name(PasteBox))


def test_a_donor_is_drawn_recorded_and_replayed(donors: list[fa.Sample]) -> None:
    sample = make_sample()
    paste = PasteBox()
    out = paste(sample, seed=4, resources={"bank": donors})
    params = out.history[0].params[""]
    assert params["donor"] in {d.id for d in donors} and len(params["hash"]) == 128
    assert out.boxes().rows == sample.boxes().rows + 1 and out["lidar"].rows > sample["lidar"].rows
    again = fa.replay(sample, out.history, resources={"bank": donors})
    assert torch.equal(again["lidar"]["xyz"], out["lidar"]["xyz"])
    assert (
        len({paste(sample, seed=s, resources={"bank": donors}).history[0].params[""]["donor"] for s in range(12)}) == 3
    )
    with pytest.raises(fa.ConfigError, match="'bank'"):
        paste(sample)
    changed = [
        d.with_streams({**d.streams, "lidar": d["lidar"].with_values(xyz=d["lidar"]["xyz"] + 1)}) for d in donors
    ]
    with pytest.raises(fa.DataError, match="is not what it was"):
        fa.replay(sample, out.history, resources={"bank": changed})


def test_a_donor_in_a_batch_equals_the_loop(donors: list[fa.Sample]) -> None:
    batch, resources = make_batch(3), {"bank": donors}
    together = PasteBox(p=0.6)(batch, seed=5, resources=resources)
    for u in range(3):
        alone = PasteBox(p=0.6)(batch.take([u]), seed=5, resources=resources)
        assert alone.history == together.metas[u].history
        assert torch.equal(alone["lidar"]["xyz"], together.take([u])["lidar"]["xyz"])


def test_what_cannot_run_has_no_effect() -> None:
    bent, grown = fa.PerspectiveImage(strength=0.1), fa.ScaleScene(scale=2)
    both = {"pixel_map": "PerspectiveImage", "homography": "PerspectiveImage.strength", "scale": "ScaleScene.scale"}
    assert fa.OneOf([bent, grown], weights=[1, 1]).effects() == both
    assert fa.OneOf([bent, grown], weights=[0, 1]).effects() == {"scale": "ScaleScene.scale"}
    assert fa.SomeOf([bent], n=0).effects() == {} and fa.RandomApply([bent], p=0).effects() == {}
