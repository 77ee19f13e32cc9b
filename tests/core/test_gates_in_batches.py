"""A gate that lets some samples of a batch through leaves the others where they are, and copies nothing for that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from generic import assert_same_streams
from samples import make_batch

import fusion_aug as fa
from calib import CameraSensor, Rig
from fusion_aug.core.registry import TRANSFORMS, Call, handles, works_by_item
from fusion_aug.names import full_name
from fusion_aug.sample.some_of_batch import names_in, put_back, some_of
from fusion_aug.streams import Ragged, Stream, Taxels
from fusion_aug.streams.families import Fault
from fusion_aug.transforms.camera.photometric import PhotometricTransform

pytestmark = pytest.mark.quick
SIZE = 5


OF_THE_ROBOT = (
    "arm_base", "link1", "link2", "hand", "finger_left", "finger_right", "WRIST", "ft"
)  # fmt: skip


def vehicles() -> fa.Sample:
    """A batch of vehicles: the robot that each of them carries is left out."""
    batch = make_batch(SIZE, gels=False)
    for u, meta in enumerate(batch.metas):
        frames = {n: f for n, f in meta.rig.frames.items() if n not in OF_THE_ROBOT}
        rig = Rig(frames, {n: s for n, s in meta.rig.sensors.items() if s.frame in frames})
        batch = batch.with_meta(u, rig=rig, true_rig=rig)
    left_out = (Taxels, fa.JointState, fa.Wrench, fa.TactileImage, fa.BodyPose, fa.Action, fa.Keypoints3D, fa.Signal)
    streams = {n: s for n, s in batch.streams.items() if not isinstance(s, left_out) and "WRIST" not in n}
    return batch.with_streams(streams)


CHAIN = fa.Compose(
    [
        fa.RotateScene(yaw_deg=[-30, 30], p=0.5), fa.MirrorScene(axis="y", p=0.5),
        fa.ScaleScene(scale=[0.9, 1.1], p=0.5),
        fa.MirrorScene(axis="x", p=0.3, name="front"), fa.ResizeCrop(size=(24, 32), scale=[0.4, 0.6], p=0.5),
        fa.FlipImage(p=0.5), fa.Brightness(factor=[0.5, 1.5], p=0.5), fa.PointDropout(share=[0.1, 0.5], p=0.5),
        fa.RandomApply([fa.TranslateScene(x=[-1, 1]), fa.Contrast(factor=[0.5, 1.5])], p=0.5),
    ]
)  # fmt: skip


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_chain_with_gates_gives_a_batch_what_it_gives_each_sample(seed: int) -> None:
    batch = vehicles()
    together = CHAIN(batch, seed=seed)
    for i in range(SIZE):
        alone = CHAIN(batch.take([i]), seed=seed)
        own = together.take([i])
        assert own.metas[0].history == alone.history
        assert set(own.streams) == set(alone.streams)
        assert_same_streams(own, alone, exact=False)
        for name, frame in alone.rig.frames.items():
            if isinstance(frame.pose, torch.Tensor):
                assert torch.equal(frame.pose, own.rig.frames[name].pose)  # type: ignore[arg-type]
        for name, sensor in alone.rig.sensors.items():
            if isinstance(sensor, CameraSensor):
                assert torch.equal(sensor.A, own.rig.camera(name).A)


def test_no_row_of_a_cloud_is_copied_for_a_draw_or_a_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    batch, copied = vehicles(), []
    take = Ragged.take_items

    def counted(self: Ragged, index: torch.Tensor) -> Ragged:
        copied.append(type(self).__name__)
        return take(self, index)

    monkeypatch.setattr(Ragged, "take_items", counted)
    light = fa.Compose([fa.Brightness(factor=[0.5, 1.5], p=0.5), fa.RotateScene(yaw_deg=[-9, 9], p=0.5)])
    out = light(batch, seed=3)
    assert {r.applied for m in out.metas for r in m.history} == {True, False}, "the gates let all or none through"
    assert copied == []
    assert out["radar"] is not None
    untouched = fa.Brightness(factor=[0.5, 1.5], p=0.5)(batch, seed=3)
    assert untouched["lidar"] is batch["lidar"]


def test_gates_of_clouds_and_containers_take_no_batch_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = vehicles()
    chain = fa.Compose(
        [
            fa.RangeCrop(high=20.0, p=0.5), fa.RangeJitter(sigma=0.1, p=0.5), fa.RcsNoise(sigma=1.0, p=0.5),
            fa.OneOf([fa.PointDropout(share=0.5), fa.Brightness(factor=0.5), fa.RotateScene(yaw_deg=20.0)]),
            fa.RandomApply([fa.IntensityGain(gain=0.5), fa.OneOf([fa.Contrast(factor=0.5), fa.FlipImage()])]),
        ]
    )  # fmt: skip
    alone = [chain(batch.take([i]), seed=4) for i in range(SIZE)]

    def torn(*_: object) -> None:
        raise AssertionError("a batch was taken apart")

    monkeypatch.setattr("fusion_aug.core.engine.put_back", torn)
    together = chain(batch, seed=4)
    monkeypatch.undo()
    applied = {(r.name, r.applied) for m in together.metas for r in m.history}
    assert len(applied) > len({n for n, _ in applied}), "the gates let all or none through"
    for i in range(SIZE):
        assert together.metas[i].history == alone[i].history
        assert_same_streams(together.take([i]), alone[i], exact=False)


def test_one_function_may_work_by_item_for_one_kind_of_stream_alone() -> None:
    class Dim(fa.Transform, Fault):
        """A toy."""

    @handles(Dim, fa.Radar)
    @handles(Dim, fa.Lidar, by_item=True)
    def dim(stream: Stream, call: Call) -> Stream:
        return stream

    try:
        assert works_by_item(Dim, fa.Lidar) and not works_by_item(Dim, fa.Radar)
        assert not Dim.takes_rows(make_batch(2))
        assert Dim.takes_rows(make_batch(2).with_streams({"lidar": make_batch(2)["lidar"]}))
    finally:
        TRANSFORMS.pop(full_name(Dim))  # a toy: it must not show up in the discovery


def test_streams_come_and_go_in_some_samples() -> None:
    batch = vehicles()
    part = some_of(batch, [1, 3])
    assert set(names_in(part, 0)) == set(part.streams)
    camera: Stream = part.streams["CAM_FRONT"]
    gone = {n: s for n, s in part.streams.items() if n != "lidar"}
    out = put_back(batch, [1, 3], part, part.with_streams({**gone, "new": camera}))
    assert out["new"].sample_index.tolist() == [1] * int((camera.sample_index == 0).sum()) + [3] * int(
        (camera.sample_index == 1).sum()
    )
    assert set(out["lidar"].sample_index.tolist()) == {0, 2, 4}
    assert out["radar"] is batch["radar"]
    assert [m.id for m in out.metas] == [m.id for m in batch.metas]


@dataclass(frozen=True, kw_only=True)
class Level(PhotometricTransform):
    """A family whose own ``visit`` looks at the parameters of every sample."""

    factor: float = 0.5

    @classmethod
    def visit(cls, sample: fa.Sample, parameters: Any, context: Any, family_state: Any = None) -> fa.Sample:
        factors = [parameters.of(u)["factor"] for u in range(len(sample.metas))]
        return super().visit(sample, parameters, context, factors)

    @classmethod
    def change(cls, picture: torch.Tensor, params: Any, context: Any) -> torch.Tensor:
        return (picture * context.call.family_state[0]).to(picture.dtype)


def test_a_transform_with_a_visit_of_its_own_gets_only_the_samples_that_it_runs_on() -> None:
    out = Level(p=0.5)(vehicles(), seed=1)
    assert {r.applied for m in out.metas for r in m.history} == {True, False}


def test_a_sample_of_a_batch_without_items_of_its_clock_has_no_timesteps() -> None:
    batch = vehicles()
    lidar = batch["lidar"]
    fewer = lidar.take_items((lidar.sample_index != 2).nonzero()[:, 0])
    batch = batch.with_streams({**batch.streams, "lidar": fewer})
    with pytest.raises(fa.DataError, match="has no item of 'lidar'"):
        fa.Brightness(factor=0.5, scope="timestep")(batch)
