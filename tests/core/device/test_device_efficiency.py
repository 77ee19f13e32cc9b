"""Few kernels on a device: what usual transforms launch and move, boxes of points, compiled stages, tight rows."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from generic import assert_same_streams
from samples import make_sample

import fusion_aug as fa
from fusion_aug.core.device.compiled import compiled
from fusion_aug.errors import ConfigError
from fusion_aug.ops.box_labels import box_of_points
from fusion_aug.ops.points import points_in_boxes
from fusion_aug.sample.to_device import to_device
from fusion_aug.testing import mock_device

TOOLS = Path(__file__).resolve().parents[3] / "tools"
VEHICLE = ("lidar", "radar", "boxes", "ego", "imu", "CAM_FRONT", "CAM_LEFT", "CAM_RIGHT")


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"tool_{name}", TOOLS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # which dataclasses look for
    spec.loader.exec_module(module)
    return module


def vehicle(count: int = 2) -> fa.Sample:
    whole = fa.collate([make_sample(f"s{k}", seed=k, gels=False) for k in range(count)])
    return whole.with_streams({n: whole.streams[n] for n in whole.streams if n.split("/")[0] in VEHICLE})


def as_planned(sample: fa.Sample) -> fa.Sample:
    """A batch that goes the way of a device, though it lies on the CPU."""
    return sample.with_streams(to_device(sample.streams, torch.device("cpu")))


def five() -> fa.Compose:
    return fa.Compose([
        fa.RotateScene(yaw_deg=[-30, 30]), fa.MirrorScene(axis="y", p=0.5),
        fa.ResizeCrop(size=(48, 64), scale=[0.6, 0.9]), fa.Brightness(factor=[0.8, 1.0]),
        fa.PointDropout(share=[0.1, 0.5]),
    ])  # fmt: skip


def test_five_transforms_on_keyframes_keep_launches_and_bytes_low() -> None:
    report = tool("device_report")
    found = report.measured(report.keyframes(1), fa.Compose(report.six()[:5]))
    assert len(found.log.launches) <= 120 and not found.log.syncs and len(found.log.copies_in) == 1
    assert found.log.bytes <= 20 * found.least
    times = [report.seconds(found.log, bandwidth) for bandwidth in (1e12, 4e12)]
    assert times[0] > times[1] >= 4e-6 * len(found.log.launches)


def boxed(rows: int = 600, boxes: int = 40) -> list[torch.Tensor]:
    """Points of two items around boxes, some of them on a face, and boxes that do not count."""
    g = torch.Generator().manual_seed(1)
    yaw = torch.rand(2, boxes, generator=g, dtype=torch.float64) * 6.3
    poses = torch.eye(4, dtype=torch.float64).repeat(2, boxes, 1, 1)
    poses[..., 0, 0] = poses[..., 1, 1] = yaw.cos()
    poses[..., 1, 0], poses[..., 0, 1] = yaw.sin(), -yaw.sin()
    poses[..., :3, 3] = torch.rand(2, boxes, 3, generator=g, dtype=torch.float64) * 20
    sizes = torch.rand(2, boxes, 3, generator=g, dtype=torch.float64) * 6 + 0.5
    xyz = torch.rand(rows, 3, generator=g, dtype=torch.float64) * 20
    faces = torch.tensor([0.5, 0.0, 0.0], dtype=torch.float64) * sizes[0]
    xyz[:boxes] = (poses[0, :, :3, :3] @ faces[..., None])[..., 0] + poses[0, :, :3, 3]
    xyz[boxes] = float("nan")
    return [xyz, (torch.arange(rows) >= rows // 2).int(), poses, sizes, torch.rand(2, boxes, generator=g) > 0.2]


@pytest.mark.quick
def test_the_box_of_a_point_is_the_first_that_the_host_finds() -> None:
    xyz, item, poses, sizes, there = boxed()
    expected = torch.full((len(xyz),), -1)
    for u in range(2):
        found = points_in_boxes(xyz, poses[u], sizes[u])
        for k in reversed(range(len(found))):
            if there[u, k]:
                expected[found[k][item[found[k]] == u]] = k
    assert (expected >= 0).sum() > 50 and torch.equal(box_of_points(xyz, item, poses, sizes, there), expected)
    with mock_device() as log:
        sent = [t.to(log.device) for t in (xyz, item, poses, sizes, there)]
        log.clear()
        assert torch.equal(box_of_points(*sent).cpu(), expected)
        assert not log.copies_in and [s.what for s in log.syncs] == ["copy to the host"]
    none = box_of_points(xyz, item, poses[:, :0], sizes[:, :0], there[:, :0])
    assert bool((none == -1).all())


@pytest.mark.slow
def test_what_is_compiled_moves_little_more_than_it_must() -> None:
    fused = tool("fused_kernels")
    asked = boxed(4000)
    found = fused.fused(box_of_points, *asked)
    least = sum(t.nbytes for t in asked) + 8 * len(asked[0])
    assert found.kernels == 1 and found.bytes <= 1.05 * least
    pictures = vehicle()
    pictures = pictures.with_streams({n: pictures.streams[n] for n in ("CAM_FRONT", "CAM_LEFT", "CAM_RIGHT")})
    pipeline = fa.Compose([fa.ResizeCrop(size=(48, 64), scale=0.8), fa.Brightness(factor=0.8)])
    with fused.counting(runs=False) as cost:
        compiled(pipeline)(as_planned(pictures), seed=3)
    before, after = (s.streams.values() for s in (pictures.realized(), pipeline(pictures, seed=3).realized()))
    least = sum(p.nbytes for streams in (before, after) for s in streams for p in s.pictures)
    assert least < cost().bytes <= 3 * least


@pytest.mark.slow
def test_a_compiled_pipeline_gives_the_same_values_and_records() -> None:
    sample, pipeline = vehicle(), five()
    sample = sample.with_streams({n: sample.streams[n] for n in ("lidar", "boxes", "CAM_FRONT")})
    expected = pipeline(sample, seed=3).realized()
    out = compiled(pipeline, backend="eager")(as_planned(sample), seed=3)
    assert [m.history for m in out.metas] == [m.history for m in expected.metas]
    assert_same_streams(expected, out.to("cpu"), exact=False)
    plain = compiled(pipeline, backend="eager")(sample, seed=3)  # on the host nothing is compiled
    assert_same_streams(expected, plain.realized())


@pytest.mark.slow
def test_batches_of_many_forms_are_compiled_apart() -> None:
    whole, clip = vehicle(), fa.ImuSaturation(accel=0.5, gyro_deg=20.0)
    sample = whole.with_streams({"imu": whole["imu"]})
    for k in range(torch._dynamo.config.recompile_limit + 2):  # how often torch compiles one code anew
        own = sample["imu"].with_values(**{f"own{k}": torch.full((sample["imu"].values["accel"].shape[0],), float(k))})
        given = sample.with_streams({"imu": own})
        out = compiled(clip, backend="eager")(as_planned(given), seed=1).to("cpu")
        assert_same_streams(clip(given, seed=1), out, exact=False)


@pytest.mark.quick
@pytest.mark.parametrize(("given", "settings", "message"), [
    (3, {}, "takes a transform or a pipeline of them, not int"),
    (fa.Brightness, {}, "takes a transform or a pipeline of them, not the class Brightness"),
    (compiled(fa.Brightness(factor=0.5)), {}, "compiled: the pipeline is compiled already"),
    (fa.Brightness(factor=0.5), {"backend": ""}, "compiled.backend: '' is none of torch's; 'inductor' or 'eager'"),
    (fa.Brightness(factor=0.5), {"backend": "induct"}, "compiled.backend: 'induct' is none of torch's"),
], ids=["number", "class", "compiled", "no backend", "unknown backend"])  # fmt: skip
def test_what_cannot_be_compiled_is_refused_at_once(given: object, settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compiled(given, **settings)


@pytest.mark.slow
def test_what_torch_cannot_compile_is_told_in_a_sentence() -> None:
    with (
        mock_device() as log,
        pytest.raises(ConfigError, match=r"the backend 'eager' cannot compile this pipeline \(.+\)"),
    ):
        compiled(fa.PointDropout(share=0.3), backend="eager")(vehicle().to(log.device), seed=1)


@pytest.mark.quick
def test_dropped_rows_go_on_the_device_with_one_wait() -> None:
    sample, drop = vehicle(), fa.PointDropout(share=0.5)
    with mock_device() as log:
        there = drop(sample.to(log.device), seed=1)
        log.clear()
        tight = there.compact()
        assert len(log.syncs) == 1 and len(log.copies_in) == 1
        assert "valid" not in tight["lidar"].values and not tight["lidar"]["xyz"].is_cpu
        again = drop(tight, seed=2)
        assert tight.compact()["lidar"]["xyz"] is not None and len(tight["lidar"]["xyz"]) < sample["lidar"].rows
        first, second = tight.to("cpu"), again.to("cpu")
    once = drop(sample, seed=1)
    assert_same_streams(once, first)
    assert_same_streams(drop(once, seed=2), second)
    assert torch.equal(once["lidar"].row_keys, first["lidar"].row_keys)
    assert [m.history for m in first.metas] == [m.history for m in once.metas]


@pytest.mark.quick
def test_a_batch_that_is_there_already_stays_with_its_marks() -> None:
    with mock_device() as log:
        there = fa.PointDropout(share=0.5)(vehicle().to(log.device), seed=1)
        log.clear()
        again = there.to(log.device)
        assert not log.copies_in and not log.syncs and not log.launches
        assert again["lidar"].values.block is there["lidar"].values.block and "valid" in again["lidar"].values


@pytest.mark.quick
@pytest.mark.parametrize(
    "container",
    [
        fa.WorstOf([fa.Brightness(factor=[0.5, 1.0])], k=2, loss="fusion_aug.policy.scoring:darkness"),
        fa.Adversary([fa.Brightness(factor=[0.5, 1.0])], loss="fusion_aug.policy.scoring:darkness", steps=1),
    ],
    ids=["WorstOf", "Adversary"],
)
def test_what_decides_by_values_is_refused_by_name_before_anything_runs(container: fa.Transform) -> None:
    with mock_device() as log:
        there = vehicle().to(log.device)
        log.clear()
        with pytest.raises(ConfigError, match=f"no rule for {type(container).__name__}; run these before"):
            fa.Compose([fa.RotateScene(yaw_deg=5.0), container])(there, seed=0)
        assert not log.launches and not log.syncs and not log.copies_in
