"""The recorded arm: both formats against the simulator's ground truth, before and after transforms of robots."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from arm_log import SEEN_BY_CAMERA, body_poses, ground_truth, mask_hits, open_arm, truth_rows, with_masks
from places import ARM

import fusion_aug as fa
from calib import load_urdf
from calib.splines import seconds, spline

pytest.importorskip("mcap")
pytest.importorskip("pyarrow")
KINDS = ("mcap", "lerobot")


@pytest.fixture(scope="module")
def samples() -> dict[str, fa.Sample]:
    return {k: open_arm(k) for k in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_every_sensor_is_there(samples: dict[str, fa.Sample], kind: str) -> None:
    sample = samples[kind]
    for side in ("left", "right"):
        gel = sample[f"tactile_{side}"]
        assert isinstance(gel, fa.TactileImage) and len(gel.gels) == len(gel) == len(gel.backgrounds) == 46
        assert isinstance(sample[f"tactile_{side}/height"], fa.HeightMap)
        assert isinstance(sample[f"taxel_{side}"], fa.Taxels)
        assert 0.0005 < float(sample[f"tactile_{side}/height"].images.max()) < 0.003
    assert isinstance(sample["wrist/depth"], fa.Depth) and sample["wrist/depth"].camera == "wrist"
    assert {f.pose.joint.name for f in sample.rig.frames.values() if hasattr(f.pose, "joint")} >= {"j1", "slide_left"}


@pytest.mark.parametrize("kind", KINDS)
def test_cameras_and_links_are_where_the_simulator_has_them(samples: dict[str, fa.Sample], kind: str) -> None:
    sample, known = samples[kind], ground_truth()
    for name in SEEN_BY_CAMERA:
        rows = truth_rows(sample[name], known)
        ours = sample.rig.T_at_times("world", name, sample[name].capture_times)
        assert float((ours - torch.from_numpy(known[f"{name}/T_world_camera"][rows])).abs().max()) <= 1e-6
    for body in ("link3", "hand", "finger_left"):
        ours = sample.rig.T_at_times("world", body, sample["wrist"].capture_times)
        assert float((ours - body_poses(body, known)[rows]).abs().max()) <= 1e-6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "change",
    [
        None,
        fa.KinematicNoise(joint_deg=[-0.3, 0.3], hand_eye=[-0.003, 0.003], hand_eye_deg=[-1, 1], mode="truth"),
        fa.MirrorRobot(),
        fa.TimeWarp(slowest=0.55, fastest=1.45, period=1.5),
    ],
    ids=["before", "KinematicNoise", "MirrorRobot", "TimeWarp"],
)
def test_the_hand_is_where_its_mask_is(samples: dict[str, fa.Sample], kind: str, change: fa.Transform | None) -> None:
    sample = samples[kind]
    if isinstance(change, fa.KinematicNoise):  # its pictures are re-rendered: every fifth is enough
        few = [n for n in sample.streams if n.split("/")[0] in SEEN_BY_CAMERA]
        thin = {n: sample[n].take_items(torch.arange(0, len(sample[n]), 5)) for n in few}
        sample = sample.with_streams({**sample.streams, **thin})
    before = with_masks(sample)
    after = before if change is None else change(before, seed=3)
    for camera in SEEN_BY_CAMERA:
        inside, seen = mask_hits(after, camera)
        assert seen.all() and len(seen) >= (10 if isinstance(change, fa.KinematicNoise) else 46)
        assert inside.all(), (camera, float(inside.mean()))
    if isinstance(change, fa.KinematicNoise):
        assert not torch.equal(after["wrist/mask"].image(0), before["wrist/mask"].image(0))  # type: ignore[attr-defined]


def test_a_mirrored_press_is_seen_by_the_other_gel(samples: dict[str, fa.Sample]) -> None:
    """The dot beside the rib is on the left only; mirrored it is on the right, under the right gel's lights."""
    sample = samples["mcap"]
    mirrored = fa.MirrorRobot()(sample)
    pressed = int(torch.stack([h.max() for h in sample["tactile_left/height"].images]).argmax())
    left, right = (sample[f"tactile_{s}/height"].image(pressed) for s in ("left", "right"))  # type: ignore[attr-defined]
    assert not torch.allclose(left.flip(1), right, atol=5e-5)
    assert torch.equal(mirrored["tactile_right/height"].image(pressed), left.flip(1))  # type: ignore[attr-defined]
    new, own = mirrored["tactile_right"], sample["tactile_right"]
    assert new.gels[pressed] is own.gels[pressed] and torch.equal(new.backgrounds[0], own.backgrounds[0])  # type: ignore[attr-defined]
    # where nothing presses it shows the right gel's background, not the left one's mirrored
    off = (new.image(0).float() - own.backgrounds[0].float()).abs()  # type: ignore[attr-defined]
    assert float(off.mean()) < 1.5
    wrong = (sample["tactile_left"].image(0).flip(1).float() - own.backgrounds[0].float()).abs()  # type: ignore[attr-defined]
    assert float(wrong.mean()) > 5


def test_the_description_is_the_simulated_robot() -> None:
    from fusion_aug.synth.arm.scene import load_arm, robot_of

    pytest.importorskip("mujoco")
    described, made = load_urdf(ARM / "arm.urdf"), robot_of(load_arm()[0])
    q = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (5, 8)))
    for link, T in made.forward(q, made.joints).items():
        assert float((described.forward(q, made.joints)[link] - T).abs().max()) < 1e-12
    assert float((described.gravity_torque(q, made.joints) - made.gravity_torque(q, made.joints)).abs().max()) < 1e-9
    assert {n: e.lower for n, (_, e) in described.edges.items() if hasattr(e, "lower")} == {
        n: e.lower for n, (_, e) in made.edges.items() if hasattr(e, "lower")
    }


def test_taxels_and_wrench_measure_the_same_force(samples: dict[str, fa.Sample]) -> None:
    """Both pads squeeze the parcel alike, up to what its motion and their friction take."""
    left, right = (samples["mcap"][f"taxel_{s}"]["force"].sum(1) for s in ("left", "right"))
    held = left > 3
    assert bool(held.any()) and float((left - right)[held].abs().median()) < 0.5


def test_it_is_small() -> None:
    assert sum(p.stat().st_size for p in ARM.rglob("*") if p.is_file()) < 6e6


def test_efforts_at_another_speed_are_what_the_masses_ask_for(samples: dict[str, fa.Sample]) -> None:
    """MuJoCo's inverse dynamics of the faster motion, before the grip. What is left is the joints' damping."""
    mujoco = pytest.importorskip("mujoco")
    from fusion_aug.physics.timewarp import Warp
    from fusion_aug.streams.resample import read_at
    from fusion_aug.synth.arm.scene import JOINTS, load_arm

    model, data = load_arm()
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONTACT
    places = [int(model.joint(j).qposadr[0]) for j in JOINTS]
    rates = [int(model.joint(j).dofadr[0]) for j in JOINTS]
    sample = samples["mcap"]
    params = {"mean": 1.0, "waves": [[0.45, 1 / 1.5, 0.0]]}
    out = fa.TimeWarp.apply_params(sample, params)["joint_states"]
    curve, t = spline(out.capture_times, out["position"]), seconds(out.capture_times, out.capture_times[0])
    q, v, a = (curve(t, k) for k in range(3))
    wanted = np.zeros((600, 8))
    for k in range(600):  # 1.2 s
        data.qpos[places], data.qvel[rates], data.qacc[rates] = q[k], v[k], a[k]
        mujoco.mj_inverse(model, data)
        wanted[k] = data.qfrc_inverse[rates]
    effort, warp = (
        out["effort"].numpy(),
        Warp(int(sample["joint_states"].capture_times[0]), 1.0, [(0.45, 1 / 1.5, 0.0)]),
    )
    old = sample["joint_states"]
    alone = read_at(
        old["effort"], old.column_table()["effort"], old.capture_times, warp.old(out.capture_times[:600])
    ).numpy()
    right, wrong = (np.sqrt(((e - wanted)[20:, :6] ** 2).mean()) for e in (effort[:600], alone))
    assert right < 0.06 and wrong > 4 * right, (right, wrong)


def test_a_grip_does_not_scale_with_the_speed(samples: dict[str, fa.Sample]) -> None:
    """The fingers' motors hold the parcel as hard at another speed."""
    out = fa.SpeedWarp(speed=1.4)(samples["mcap"])
    before, after = (s["joint_states"]["effort"][:, 6:].min() for s in (samples["mcap"], out))
    assert float(before) < -8 and abs(float(after) - float(before)) < 0.05 * abs(float(before))
