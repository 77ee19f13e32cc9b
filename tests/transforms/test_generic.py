"""What every transform promises. None of them is named here: the registry is walked."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
import yaml
from generic import Case, assert_same_streams, build, fingerprint, only, promises, same_values
from samples import make_batch, make_sample

import fusion_aug as fa
from fusion_aug.core.promises import PROMISES
from fusion_aug.core.registry import is_invariant, own_transforms, resolve
from fusion_aug.errors import DataError
from fusion_aug.run.config import build_pipeline
from fusion_aug.sample.history import history_from_json, history_to_json
from fusion_aug.streams import Ragged
from fusion_aug.streams.base import STREAMS
from fusion_aug.streams.families import ImagePlane, Mix, Scene, Weather
from fusion_aug.transforms.mix.surroundings import UNTRUE
from fusion_aug.transforms.temporal.speed import WarpTransform


def untrue_after(case: Case) -> set[str]:
    """Kinds of streams that a mix leaves out, since they would say something of what is gone."""
    if not is_mix(case):
        return set()
    leaves_out = getattr(own_transforms()[case[0]], "leaves_out", (fa.Text, *UNTRUE))
    return {k.__name__ for k in STREAMS.values() if issubclass(k, leaves_out)}


def is_mix(case: Case) -> bool:
    return issubclass(own_transforms()[case[0]], Mix)


def test_exemptions_are_known_and_explained() -> None:
    for name, transform in own_transforms().items():
        for promise, reason in transform.exemptions.items():
            assert promise in PROMISES, name
            assert len(reason.split()) >= 4, (name, promise)


@pytest.mark.quick
def test_input_is_untouched(case: Case) -> None:
    sample = make_sample()
    before = fingerprint(sample)
    build(case)(sample, seed=1).realized()
    after = fingerprint(sample)
    assert all(same_values(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.quick
def test_p_zero_is_the_identity_and_shares_memory(case: Case) -> None:
    sample = make_sample()
    out = build(case, p=0.0)(sample, seed=1)
    assert out.rig is sample.rig and out.true_rig is sample.true_rig
    assert all(out.streams[n] is s for n, s in sample.streams.items())
    assert [r.applied for r in out.history] == [False]


def test_types_layout_and_device_are_kept(case: Case) -> None:
    sample = make_sample()
    out = build(case)(sample, seed=2).realized()
    kinds = {type(s).__name__ for s in sample.streams.values()}
    assert {type(s).__name__ for s in out.streams.values()} >= kinds - untrue_after(case)
    for name, stream in out.streams.items():
        if name not in sample.streams and type(stream).__name__ not in kinds:
            continue  # a stream that the transform brings in
        same_kind = [s for s in sample.streams.values() if type(s) is type(stream)]
        source = sample.streams[name] if type(sample.streams.get(name)) is type(stream) else same_kind[0]
        for column, value in stream.values.items():
            if isinstance(value, torch.Tensor):
                # a column may be new
                assert value.dtype == source.values.get(column, value).dtype, (name, column)
                assert value.is_contiguous(), (name, column)
        for picture in getattr(stream, "items", ()):
            assert picture.dtype == source.items[0].dtype and picture.is_contiguous(), name  # type: ignore[attr-defined]


@pytest.mark.quick
def test_rows(case: Case) -> None:
    """Rows stay, or are a subset of what was there."""
    sample = make_sample()
    out = build(case)(sample, seed=6)
    for name, stream in out.streams.items():
        if not isinstance(stream, Ragged) or name not in sample.streams:
            continue
        source = sample[name]
        if promises(case, "keeps_rows"):
            assert torch.equal(stream.bounds, source.bounds), name  # type: ignore[attr-defined]
        else:
            # a map of time changes offsets, and nothing else in the table changes them
            column = "intensity" if issubclass(own_transforms()[case[0]], fa.Temporal) else "time_offset"
            if name == "lidar":
                assert set(stream[column].tolist()) <= set(source[column].tolist()), name


@pytest.mark.quick
def test_replay_is_bit_exact_through_json(case: Case) -> None:
    sample = make_sample()
    out = build(case)(sample, seed=9)
    text = json.dumps(history_to_json(out.history), allow_nan=False)
    again = fa.replay(sample, history_from_json(json.loads(text)))
    assert_same_streams(out, again)
    for name, frame in out.rig.frames.items():
        pose = frame.pose if isinstance(frame.pose, torch.Tensor) else frame.pose.known()
        other = again.rig.frames[name].pose
        assert torch.equal(pose, other if isinstance(other, torch.Tensor) else other.known())
    assert again.history == out.history


@pytest.mark.quick
def test_config_round_trip(case: Case) -> None:
    transform = build(case, p=0.5, name="it")
    for text in (json.dumps(transform.to_config()), yaml.safe_dump(transform.to_config())):
        config = {"_target_": "fusion_aug.pipeline", "transforms": {"it": yaml.safe_load(text)}}
        assert build_pipeline(config).transforms[0] == transform


@pytest.mark.quick
@only(lambda case: own_transforms()[case[0]].inverse != "none" and not is_mix(case))
def test_inverse_from_the_history_alone(case: Case) -> None:
    sample = make_sample()
    out = build(case)(sample, seed=10)
    history = history_from_json(json.loads(json.dumps(history_to_json(out.history))))
    for kind in (fa.Boxes3D, fa.Points, fa.EgoPose, fa.Boxes2D, fa.SegmentationMask):
        for name, stream in out.of_type(kind).items():
            if kind is fa.SegmentationMask:
                continue  # resampled: tests/core/test_inversion.py
            back = fa.invert(stream.realized(), history, name=name).realized()
            head, _, tail = name.partition("/")
            swapped = history[0].before.get("names", {}).get(head, head)
            source = sample[f"{swapped}/{tail}" if tail else name].realized()
            if len(back) != len(source):
                continue  # items that are lost or repeated stay so: tests/transforms/temporal/test_clocks.py
            for column, value in source.values.items():
                if isinstance(value, torch.Tensor) and value.is_floating_point():
                    limit = 1e-4 if value.dtype == torch.float32 else 1e-8
                    assert torch.allclose(back.values[column], value, atol=limit, equal_nan=True), (name, column)
                else:
                    assert same_values(back.values[column], value), (name, column)


@only(lambda case: own_transforms()[case[0]].inverse == "none")
def test_what_cannot_be_inverted_is_refused(case: Case) -> None:
    sample = make_sample()
    out = build(case)(sample, seed=10)
    cls = own_transforms()[case[0]]
    rules = [n for n, s in out.streams.items() if resolve(cls, type(s)) and not is_invariant(cls, type(s))]
    touched = next(n for n in rules if not isinstance(out[n], cls.keeps_geometry_of))
    with pytest.raises(DataError, match="cannot be undone"):
        fa.invert(out[touched], out.history, name=touched)
    # and what it did not touch comes back as it is
    assert torch.equal(fa.invert(out.boxes(), out.history)["pose"], sample.boxes()["pose"])


def test_batch_equals_loop(case: Case) -> None:
    """The gate too: where it excludes some samples, the rest of the batch is transformed."""
    for p, size in ((1.0, 2), (0.5, 3)):
        transform = build(case, p=p)
        batch = make_batch(size)
        alone = [transform(batch.take([i]), seed=11) for i in range(size)]
        together = transform(batch, seed=11)
        for i, one in enumerate(alone):
            assert together.metas[i].history == one.history
            assert_same_streams(together.take([i]), one, exact=False)
            for name, frame in one.rig.frames.items():
                if isinstance(frame.pose, torch.Tensor):
                    assert torch.equal(frame.pose, together.metas[i].rig.frames[name].pose)  # type: ignore[arg-type]


@pytest.mark.parametrize("edge", ["empty cloud", "no boxes", "one point", "NaN point", "1x1 image", "float image"])
def test_edges(case: Case, edge: str) -> None:
    sample = make_sample(
        points={"empty cloud": 0, "one point": 1}.get(edge, 50),
        boxes=0 if edge in ("no boxes", "empty cloud", "one point") else 3,
        size=(1, 1) if edge == "1x1 image" else (48, 64),
    )
    if edge == "NaN point":
        xyz = sample["lidar"]["xyz"].clone()
        xyz[3] = float("nan")
        sample = sample.with_streams({**sample.streams, "lidar": sample["lidar"].with_values(xyz=xyz)})
    if edge == "float image":
        floats = {
            n: replace(s, items=tuple(i.float() / 255 for i in s.items)) for n, s in sample.of_type(fa.Camera).items()
        }
        sample = sample.with_streams({**sample.streams, **floats})
    out = build(case)(sample, seed=14).realized()
    # a mirror may swap names
    assert len(out.streams) >= sum(type(s).__name__ not in untrue_after(case) for s in sample.streams.values())
    for camera in out.of_type(fa.Camera).values():
        assert camera.items[0].shape[:2] == out.rig.camera(camera.frame).size
        if edge == "float image":
            assert camera.items[0].dtype == torch.float32
            assert float(camera.items[0].min()) >= 0 and float(camera.items[0].max()) <= 1 + 1e-6
    if edge == "NaN point" and promises(case, "keeps_rows"):
        assert int(torch.isnan(out["lidar"]["xyz"]).any(1).sum()) == 1


def test_unknown_stream_is_refused_by_strict_families_only(case: Case) -> None:
    class Smell(fa.Stream):
        """A stream that declares nothing about itself."""

    sample = make_sample()
    smell = Smell(frame="ref", capture_times=torch.tensor([sample.ref.time]))
    sample = sample.with_streams({**sample.streams, "nose": smell})
    cls = own_transforms()[case[0]]
    if issubclass(cls, Scene | ImagePlane | Weather | WarpTransform):
        with pytest.raises(fa.UnhandledStream, match="nose"):
            build(case)(sample, seed=15)
    else:
        out = build(case)(sample, seed=15)["nose"]
        # times and presence are no content
        assert out is smell or (issubclass(cls, fa.Temporal) and out.values == smell.values)


def test_cpu_result_does_not_depend_on_threads(case: Case) -> None:
    sample = make_sample(size=(120, 160), points=2000)
    results = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(build(case)(sample, seed=16).realized())
    finally:
        torch.set_num_threads(1)
    assert_same_streams(*results)
