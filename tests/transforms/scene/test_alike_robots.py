"""What samples of one robot share is worked out once, and gives what it gives alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from samples import make_sample

import fusion_aug as fa
from calib import JointPose, symmetry
from calib.remembered import Remembered
from fusion_aug.errors import DataError
from fusion_aug.transforms.robot.rig_errors import error_matrix
from fusion_aug.transforms.scene import state


def with_readings(sample: fa.Sample, shift: float) -> fa.Sample:
    """The sample with every joint ``shift`` further."""
    frames = {
        n: replace(f, pose=replace(f.pose, readings=f.pose.readings + shift)) if isinstance(f.pose, JointPose) else f
        for n, f in sample.rig.frames.items()
    }
    rig = type(sample.rig)(frames, sample.rig.sensors)
    return sample.with_meta(0, rig=rig, true_rig=rig)


def poses(sample: fa.Sample) -> dict[str, Any]:
    """Frame -> its pose in numbers."""
    return {
        n: [f.parent, *((f.pose.readings, f.pose.joint.origin, f.pose.joint.tail) if isinstance(f.pose, JointPose) else
                        (f.pose,) if isinstance(f.pose, torch.Tensor) else (f.pose.poses,))]
        for n, f in sample.rig.frames.items()
    }  # fmt: skip


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of other samples is known."""
    monkeypatch.setattr(symmetry, "_MIRRORS", Remembered(64))
    monkeypatch.setattr(state, "_STATES", Remembered(64))


def test_a_mirror_after_others_is_the_mirror_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    sample, mirror = make_sample(), fa.MirrorRobot()
    still = {n: replace(f, pose=f.pose.poses[0]) if f.pose_kind == "known" else f for n, f in sample.rig.frames.items()}
    sample = sample.with_meta(0, rig=type(sample.rig)(still, sample.rig.sensors))
    sample = sample.with_meta(0, true_rig=sample.rig)
    samples = [with_readings(sample, shift) for shift in (0.0, 0.01, -0.02)]
    alone = []
    for one in samples:
        forget(monkeypatch)
        alone.append(mirror(one))
    forget(monkeypatch)
    after = [mirror(one) for one in samples]
    maps = [m for s, _ in state._STATES._values.values() for m in s.mirrors.values()]
    assert len(maps) == 1 and maps[0].moved is not None  # they were found to be alike
    for a, b in zip(alone, after, strict=True):
        assert a.history == b.history
        for name, (parent, *numbers) in poses(a).items():
            other, *theirs = poses(b)[name]
            assert parent == other and all(torch.equal(x, y) for x, y in zip(numbers, theirs, strict=True)), name
    assert not torch.equal(*(poses(s)["link1"][1] for s in after[:2]))


def test_a_robot_of_other_lengths_is_another_one() -> None:
    sample, mirror = make_sample(), fa.MirrorRobot()
    mirror(sample)
    frame = sample.rig.frames["link2"]
    joint = frame.pose.joint  # type: ignore[union-attr]
    moved = joint.origin.clone()
    moved[1, 3] += 0.05  # beside its plane of symmetry
    rig = sample.rig.with_pose("link2", replace(frame.pose, joint=replace(joint, origin=moved)))  # type: ignore[type-var]
    with pytest.raises(DataError, match="not left-right symmetric"):
        mirror(sample.with_meta(0, rig=rig, true_rig=rig))
    limited = sample.rig.with_pose("link1", replace(  # type: ignore[type-var]
        sample.rig.frames["link1"].pose, joint=replace(sample.rig.frames["link1"].pose.joint, upper=9.0)  # type: ignore[union-attr]
    ))  # fmt: skip
    out = mirror(sample.with_meta(0, rig=limited, true_rig=limited))
    assert out.rig.frames["link1"].pose.joint.upper == 9.0  # type: ignore[union-attr]


def test_the_oldest_is_forgotten() -> None:
    known: Remembered[int] = Remembered(2)
    asked: list[int] = []

    def make(key: int) -> int:
        asked.append(key)
        return 10 * key

    found = [known.get(key, lambda key=key: make(key)) for key in (1, 2, 1, 3, 2, 1)]  # type: ignore[misc]
    assert found == [10, 20, 10, 30, 20, 10] and asked == [1, 2, 3, 1]


@pytest.mark.parametrize("degrees", [0.0, 1e-9, 0.3, 5.0, 180.0, 700.0])
def test_errors_of_mountings_are_rotations_to_the_last_bits(degrees: float) -> None:
    from scipy.spatial.transform import Rotation

    for six in np.random.default_rng(3).uniform(-1, 1, (20, 6)) * degrees:
        expected = Rotation.from_rotvec(np.radians(six[3:])).as_matrix()
        T = error_matrix(six.tolist()).numpy()
        assert np.allclose(T[:3, :3], expected, rtol=0, atol=4e-15) and T[:3, 3].tolist() == six[:3].tolist()
        assert T[3].tolist() == [0, 0, 0, 1]
