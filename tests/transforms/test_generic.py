"""What every transform promises. None of them is named here: the registry is walked."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from cases import CASES
from samples import make_batch, make_sample

import fusion_aug as fa
from calib.sensors import apply_homography
from fusion_aug.check.dots import MAX_LIMIT, MEAN_LIMIT, dot_errors, scene_map, with_dots
from fusion_aug.check.geometry import key_cloud, pixel_route
from fusion_aug.check.velocity import world_tracks
from fusion_aug.errors import DataError
from fusion_aug.families import ImagePlane, Mount, Photometric, Scene
from fusion_aug.history import history_from_json, history_to_json
from fusion_aug.ops.points import points_in_boxes
from fusion_aug.registry import TRANSFORMS
from fusion_aug.run.config import build_pipeline
from fusion_aug.show.tables import own_transforms
from fusion_aug.streams import ImageStream, Ragged
from fusion_aug.transforms.base import PROMISES
from fusion_aug.transforms.engine import run

Case = tuple[str, dict]


def build(case: Case, **more) -> fa.Transform:
    name, kwargs = case
    return TRANSFORMS[name](**{**kwargs, **more})


def promises(case: Case, promise: str) -> bool:
    return promise not in TRANSFORMS[case[0]].waives


def fingerprint(sample: fa.Sample) -> list:
    """Every number of a sample, to compare it with itself later."""
    out: list = [u.rig for u in sample.units]
    for name, stream in sample.streams.items():
        out += [name, stream.times.clone(), stream.present.clone()]
        out += [v.clone() if isinstance(v, torch.Tensor) else v.copy() for v in stream.values.values()]
        out += [p.clone() for p in getattr(stream, "items", ())]
    return out


def same(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a.nan_to_num(7e7), b.nan_to_num(7e7))
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    return a is b or a == b


def assert_same_streams(a: fa.Sample, b: fa.Sample, exact: bool = True) -> None:
    assert list(a.streams) == list(b.streams)
    for name in a.streams:
        x, y = a[name].realized(), b[name].realized()
        assert torch.equal(x.times, y.times) and torch.equal(x.sample_index, y.sample_index), name
        for column in x.values:
            if exact or not isinstance(x.values[column], torch.Tensor):
                assert same(x.values[column], y.values[column]), (name, column)
            else:
                assert torch.allclose(x.values[column], y.values[column], atol=1e-5, rtol=0, equal_nan=True), (
                    name,
                    column,
                )
        if isinstance(x, ImageStream):
            for p, q in zip(x.items, y.items, strict=True):
                if exact:
                    assert torch.equal(p, q), name
                else:
                    close = (p.double() - q.double()).abs() <= (1 if p.dtype == torch.uint8 else 1e-5)
                    assert close.double().mean() >= 0.999, name


def test_every_transform_has_a_case() -> None:
    assert set(CASES) == set(own_transforms()), "tests/support/cases.py and the registry differ"


def test_waived_promises_are_known_and_explained() -> None:
    for name, transform in own_transforms().items():
        for promise, reason in transform.waives.items():
            assert promise in PROMISES, name
            assert len(reason.split()) >= 4, (name, promise)


def test_input_is_untouched(case: Case) -> None:
    sample = make_sample()
    before = fingerprint(sample)
    build(case)(sample, seed=1).realized()
    after = fingerprint(sample)
    assert all(same(a, b) for a, b in zip(before, after, strict=True))


def test_p_zero_is_the_identity_and_shares_memory(case: Case) -> None:
    sample = make_sample()
    out = build(case, p=0.0)(sample, seed=1)
    assert out.rig is sample.rig and out.truth is sample.truth
    assert all(out.streams[n] is s for n, s in sample.streams.items())
    assert [r.applied for r in out.history] == [False]


def test_types_layout_and_device_are_kept(case: Case) -> None:
    sample = make_sample()
    out = build(case)(sample, seed=2).realized()
    kinds = {type(s).__name__ for s in sample.streams.values()}
    assert {type(s).__name__ for s in out.streams.values()} == kinds
    for name, stream in out.streams.items():
        source = next(s for s in sample.streams.values() if type(s) is type(stream))
        for column, value in stream.values.items():
            if isinstance(value, torch.Tensor):
                assert value.dtype == source.values[column].dtype, (name, column)
                assert value.is_contiguous(), (name, column)
        for picture in getattr(stream, "items", ()):
            assert picture.dtype == source.items[0].dtype and picture.is_contiguous(), name  # type: ignore[attr-defined]


def test_projection_identity(case: Case) -> None:
    """Source pixels carried by the drawn pixel maps are where the new rig projects the moved points."""
    for dtype, limit in ((torch.float64, 1e-6), (torch.float32, 1e-3)):
        if not promises(case, "keeps_rows") or not promises(case, "content_identity"):
            return
        sample = make_sample(dtype=dtype)
        out = build(case)(sample, seed=3)
        H = scene_map(out)
        checked = 0
        for camera in sample.of_type(fa.Camera):
            P, new = pixel_route(out.history, camera)
            before, after = key_cloud(sample, "lidar"), key_cloud(out, "lidar")
            if not isinstance(build(case), Mount):
                # what moved is what the drawn motion says
                assert torch.allclose(
                    after, before @ H[:3, :3].T + H[:3, 3], atol=1e-9 if dtype == torch.float64 else 2e-5
                )
            uv, visible = sample.project_ref(before, camera, truth=True)
            # the truth of what the data obey; a belief may be off
            at = sample.units[0].T_ref("lidar", sample.ref.time)
            xyz = (before - at[:3, 3]) @ at[:3, :3] if isinstance(build(case), Mount) else None
            found = out.project_ref(before if xyz is not None else after, new, truth=True)[0]
            off = (apply_homography(P, uv) - found).norm(dim=1)[visible]
            checked += len(off)
            assert float(off.max()) <= limit, (camera, float(off.max()))
        assert checked > 60


def test_content_identity(case: Case) -> None:
    """Dots drawn at projected points are found where the augmented rig puts the points."""
    if not promises(case, "content_identity") or issubclass(TRANSFORMS[case[0]], Photometric):
        return
    sample, points = with_dots(make_sample(size=(240, 320), points=3000))
    scaled = {k: tuple(5 * v for v in x) if k == "size" else x for k, x in case[1].items()}
    out = TRANSFORMS[case[0]](**scaled)(sample, seed=4)
    found = dot_errors(sample, out, points)
    errors = np.concatenate(list(found.values()))
    assert len(errors) >= 20, "too few dots to say anything"
    assert np.isfinite(errors).all(), "a dot is missing"
    assert errors.mean() <= MEAN_LIMIT and errors.max() <= MAX_LIMIT, (errors.mean(), errors.max())


def test_point_in_box_counts(case: Case) -> None:
    """Points of every box stay in it; where points may go, counts never grow."""
    sample = make_sample(points=500)
    out = build(case)(sample, seed=5)
    if isinstance(build(case), Mount):
        return  # what is told of the LiDAR moves, the boxes do not: that is its purpose

    def counts(s: fa.Sample) -> list[int]:
        boxes = s.boxes()
        return [len(i) for i in points_in_boxes(key_cloud(s, "lidar"), boxes["pose"], boxes["size"])]

    before, after = counts(sample), counts(out)
    assert sum(before) > 100
    if promises(case, "keeps_counts"):
        assert before == after
    elif not promises(case, "keeps_rows"):
        assert all(b >= a for b, a in zip(before, after, strict=True))


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
            for i in range(len(stream)):
                mine = set(stream["intensity"][stream.rows_of(i)].tolist()) if name == "lidar" else set()
                theirs = set(source["intensity"][source.rows_of(i)].tolist()) if name == "lidar" else set()  # type: ignore[attr-defined]
                assert mine <= theirs, name


def test_velocity_is_the_derivative_of_position(case: Case) -> None:
    """Two keyframes half a second apart, one draw for the scene: boxes move by their velocity in the world."""
    if not issubclass(TRANSFORMS[case[0]], Scene):
        return
    step = 500_000_000
    first = make_sample("a", boxes=6)
    later = make_sample("b", time=first.ref.time + step, boxes=6)
    # the same boxes, carried in the world by their velocity
    T0, T1 = (s.rig.T("world", "ego", s.ref.time) for s in (first, later))
    v_world = first.boxes()["velocity"] @ T0[:3, :3].T
    pose = T0 @ first.boxes()["pose"]
    pose[:, :3, 3] += v_world * step * 1e-9
    moved = first.boxes().with_values(pose=torch.linalg.inv(T1) @ pose, velocity=v_world @ T1[:3, :3])
    later = later.with_streams({**later.streams, "boxes": replace(moved, times=later["boxes"].times)})
    transform = build(case, scope="log")
    out = [transform(s, seed=7) for s in (first, later)]
    for track in world_tracks(out).values():
        (t0, p0, v0), (t1, p1, v1) = track
        assert np.allclose((p1 - p0) / ((t1 - t0) * 1e-9), v0, atol=1e-9)
        assert np.allclose(v0, v1, atol=1e-9)


def test_doppler_is_the_projection_of_the_velocity(case: Case) -> None:
    sample = make_sample(boxes=8)
    out = build(case)(sample, seed=8)
    if not promises(case, "keeps_rows") or isinstance(build(case), Mount):
        return
    radar, boxes = out["radar"], out.boxes()
    T = out.T_ref("radar")
    ray = radar["xyz"].double() / radar["xyz"].double().norm(dim=1, keepdim=True)
    velocity = boxes["velocity"] @ T[:3, :3]
    told = (radar["velocity_comp"].double() * ray).sum(1)
    assert torch.allclose(told, (velocity * ray).sum(1), atol=1e-5)


def test_replay_is_bit_exact_through_json(case: Case) -> None:
    sample = make_sample()
    out = build(case)(sample, seed=9)
    text = json.dumps(history_to_json(out.history), allow_nan=False)
    again = fa.replay(sample, history_from_json(json.loads(text)))
    assert_same_streams(out, again)
    for name, frame in out.rig.frames.items():
        pose = frame.pose if isinstance(frame.pose, torch.Tensor) else frame.pose.poses
        other = again.rig.frames[name].pose
        assert torch.equal(pose, other if isinstance(other, torch.Tensor) else other.poses)
    assert again.history == out.history


def test_config_round_trip(case: Case) -> None:
    transform = build(case, p=0.5, name="it")
    for text in (json.dumps(transform.to_config()), yaml.safe_dump(transform.to_config())):
        config = {"_target_": "fusion_aug.pipeline", "transforms": {"it": yaml.safe_load(text)}}
        assert build_pipeline(config).transforms[0] == transform


def test_inverse_from_the_history_alone(case: Case) -> None:
    sample = make_sample()
    out = build(case)(sample, seed=10)
    history = history_from_json(json.loads(json.dumps(history_to_json(out.history))))
    for kind in (fa.Boxes3D, fa.Points, fa.EgoPose, fa.Boxes2D, fa.SegmentationMask):
        for name, stream in out.of_type(kind).items():
            if TRANSFORMS[case[0]].inverse == "none":
                continue
            if kind is fa.SegmentationMask:
                continue  # resampled: tests/transforms/test_inversion.py
            back = fa.invert(stream.realized(), history, name=name).realized()
            head, _, tail = name.partition("/")
            swapped = history[0].before.get("names", {}).get(head, head)
            source = sample[f"{swapped}/{tail}" if tail else name].realized()
            for column, value in source.values.items():
                if isinstance(value, torch.Tensor) and value.is_floating_point():
                    limit = 1e-4 if value.dtype == torch.float32 else 1e-8
                    assert torch.allclose(back.values[column], value, atol=limit, equal_nan=True), (name, column)
                else:
                    assert same(back.values[column], value), (name, column)


def test_what_cannot_be_undone_says_so(case: Case) -> None:
    if TRANSFORMS[case[0]].inverse != "none":
        return
    sample = make_sample()
    out = build(case)(sample, seed=10)
    touched = "CAM_FRONT" if issubclass(TRANSFORMS[case[0]], Photometric) else "lidar"
    with pytest.raises(DataError, match="cannot be undone"):
        fa.invert(out[touched], out.history, name=touched)
    # and what it did not touch comes back as it is
    assert torch.equal(fa.invert(out.boxes(), out.history)["pose"], sample.boxes()["pose"])


def test_batch_equals_loop(case: Case) -> None:
    """The gate too: where it says no to some samples, the rest of the batch runs on."""
    for p in (1.0, 0.5):
        transform = build(case, p=p)
        batch = make_batch(4)
        alone = [transform(batch.take([i]), seed=11) for i in range(4)]
        together = transform(batch, seed=11)
        for i, one in enumerate(alone):
            assert together.units[i].history == one.history
            assert_same_streams(together.take([i]), one, exact=False)
            for name, frame in one.rig.frames.items():
                if isinstance(frame.pose, torch.Tensor):
                    assert torch.equal(frame.pose, together.units[i].rig.frames[name].pose)  # type: ignore[arg-type]


def test_fused_equals_eager(case: Case) -> None:
    """Pending maps carried out at the end, or after every transform: same calibration, dots at the same places."""
    if issubclass(TRANSFORMS[case[0]], Photometric) or not promises(case, "keeps_rows"):
        return
    sample, points = with_dots(make_sample(size=(240, 320), points=3000))
    scaled = {k: tuple(5 * v for v in x) if k == "size" else x for k, x in case[1].items()}
    chain = fa.Compose(
        [
            fa.RotateScene(yaw_deg=20.0),
            TRANSFORMS[case[0]](**scaled),
            fa.MirrorScene(p=0.99),
            fa.RotateImage(angle_deg=6.0),
            fa.ResizeCrop(scale=1.1),
        ]
    )
    fused, eager = run(chain, sample, seed=12), run(chain, sample, seed=12, eager=True)
    for name, frame in fused.rig.frames.items():
        other = eager.rig.frames[name].pose
        if isinstance(frame.pose, torch.Tensor):
            assert torch.allclose(frame.pose, other, atol=1e-9)  # type: ignore[arg-type]
    for name in sample.of_type(fa.Camera):
        a, b = fused.rig.camera(name), eager.rig.camera(name)
        assert torch.allclose(a.A, b.A, atol=1e-9) and torch.allclose(a.model.K, b.model.K, atol=1e-9)
    assert torch.allclose(fused["lidar"]["xyz"], eager["lidar"]["xyz"], atol=1e-4)
    if promises(case, "content_identity"):
        for out in (fused, eager):
            errors = np.concatenate(list(dot_errors(sample, out, points).values()))
            assert len(errors) >= 15 and np.isfinite(errors).all()
            assert errors.mean() <= MEAN_LIMIT and errors.max() <= MAX_LIMIT, (errors.mean(), errors.max())


def test_gradcheck(case: Case) -> None:
    """Extrinsics, pixel maps and points have gradients in every drawn number."""
    cls = TRANSFORMS[case[0]]
    if not promises(case, "differentiable"):
        return
    sample = make_sample(points=6, boxes=2, dtype=torch.float64)
    record = build(case)(sample, seed=13).history[0]
    instance = next(iter(record.params))
    drawn = {k: v for k, v in record.params[instance].items() if isinstance(v, float) or k == "shifts"}
    if not drawn:
        return
    keys = list(drawn)

    def outcome(*values: torch.Tensor) -> torch.Tensor:
        params = {**record.params[instance], **dict(zip(keys, values, strict=True))}
        rows = dict.fromkeys(record.params, params)
        from fusion_aug.registry import Context
        from fusion_aug.transforms.engine import apply_rows

        out = apply_rows(cls, sample, [rows], Context({}))
        in_ref = key_cloud(out, "lidar")[:3] if not issubclass(cls, Mount) else key_cloud(sample, "lidar")[:3]
        camera = out.rig.camera("FISHEYE")
        parts = [in_ref.flatten(), camera.A.flatten(), out.rig.T("ego", "FISHEYE").flatten()]
        return torch.cat([*parts, out.boxes()["pose"].flatten(), out.boxes()["velocity"].flatten()])

    inputs = [torch.tensor(drawn[k], dtype=torch.float64, requires_grad=True) for k in keys]
    assert torch.autograd.gradcheck(outcome, inputs, eps=1e-6, atol=1e-5)


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
    assert len(out.streams) == len(sample.streams)  # a mirror may swap names
    for camera in out.of_type(fa.Camera).values():
        assert camera.items[0].shape[:2] == out.rig.camera(camera.frame).size
        if edge == "float image":
            assert camera.items[0].dtype == torch.float32
            assert float(camera.items[0].min()) >= 0 and float(camera.items[0].max()) <= 1 + 1e-6
    if edge == "NaN point" and promises(case, "keeps_rows"):
        assert int(torch.isnan(out["lidar"]["xyz"]).any(1).sum()) == 1


def test_unknown_stream_is_refused_by_strict_families_only(case: Case) -> None:
    class Smell(fa.Stream):
        """A stream that says nothing about itself."""

    sample = make_sample()
    smell = Smell(frame="ref", times=torch.tensor([sample.ref.time]))
    sample = sample.with_streams({**sample.streams, "nose": smell})
    cls = TRANSFORMS[case[0]]
    if issubclass(cls, Scene | ImagePlane):
        with pytest.raises(fa.UnhandledStream, match="nose"):
            build(case)(sample, seed=15)
    else:
        assert build(case)(sample, seed=15)["nose"] is smell


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
