"""Episodes that are recorded from a simulator, and the sensor transforms on them: online and offline give the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from steps import step_words

import fusion_aug as fa
from calib import CameraSensor, Frame, ImuSensor, Pinhole, Rig, TaxelSensor, WrenchSensor
from calib.se3 import se3
from fusion_aug.cli import main
from fusion_aug.sim.model_robot import frames_of_model, pose_at
from fusion_aug.sim.recorder import Recorder, episodes
from fusion_aug.sim.stepper import Stepper
from fusion_aug.streams import ImageStream
from fusion_aug.synth.arm.parcels import draw_parcel, load_parcel
from fusion_aug.synth.arm.scene import JOINTS, mujoco

DT, EVERY, STEPS, PICTURES, T0 = (
    2_000_000,
    10,
    60,
    20,
    10**9,
)  # ns; physics steps between actions, of an episode, between pictures
SIZE = (12, 16)


def pipeline() -> fa.Compose:
    return fa.Compose([
        fa.KinematicNoise(joint_deg=[-0.3, 0.3], hand_eye=[-0.002, 0.002]),
        fa.SensorBias(gyro_noise=1e-3, gyro_walk=1e-2, accel_noise=1e-2, force_noise=0.01, force_walk=0.1),
        fa.TorqueNoise(sigma=[0.1, 0.3]), fa.TaxelGain(sigma=0.1), fa.TaxelCrosstalk(share=0.2),
        fa.RandomApply([fa.ImuSaturation(accel=9.0)], p=0.5), fa.Exposure(p=0.5), fa.GaussianNoise(sigma=0.02),
        fa.Latency(delay=[0.0, 0.1]), fa.Jitter(sigma=0.01),
    ])  # fmt: skip


class Arm:
    """The arm in MuJoCo, its sensors at every physics step."""

    def __init__(self, seed: int):
        self.model, self.data = load_parcel(draw_parcel(0, seed))
        self.rng = np.random.default_rng(seed)
        self.q = [int(self.model.joint(j).qposadr[0]) for j in JOINTS]
        self.v = [int(self.model.joint(j).dofadr[0]) for j in JOINTS]
        mujoco().mj_forward(self.model, self.data)

    def step(self, action: np.ndarray) -> None:
        self.data.ctrl[:] = action
        mujoco().mj_step(self.model, self.data)
        mujoco().mj_forward(self.model, self.data)

    def read(self) -> dict[str, dict[str, np.ndarray]]:
        """What every sensor reads now; touch and pictures are made up."""
        d = self.data
        return {
            "joints": {"position": d.qpos[self.q], "velocity": d.qvel[self.v], "effort": d.qfrc_actuator[self.v]},
            "wrench": {"force": d.sensor("ft_force").data, "torque": d.sensor("ft_torque").data},
            "imu": {"gyro": d.sensor("gyro").data, "accel": d.sensor("acc").data},
            "taxel_left": {"force": np.abs(d.qvel[:4])},
            "wrist": {"image": self.rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)},
        }

    def template(self, name: str) -> fa.Sample:
        """One reading of every stream."""
        frames = frames_of_model(self.model, self.data)
        for sensor, parent in (("ft", "hand"), ("imu", "hand"), ("wrist", "hand")):
            convention: Any = "camera" if sensor == "wrist" else "body"
            frames[sensor] = Frame(parent=parent, pose=se3(translation=[0.0, 0.01, 0.02]), axis_convention=convention)
        poses = se3(translation=torch.tensor([[0.005 * k, 0.0, 0.0] for k in range(4)], dtype=torch.float64))
        sensors: dict[str, Any] = {
            "wrench": WrenchSensor(frame="ft"), "imu": ImuSensor(frame="imu"),
            "taxel_left": TaxelSensor(frame="finger_left", poses=poses),
            "wrist": CameraSensor(frame="wrist", model=Pinhole.from_focal(14.0, 14.0, 7.5, 5.5, SIZE)),
        }  # fmt: skip
        once, first = torch.tensor([T0]), self.read()
        v = {n: {c: torch.from_numpy(x.copy())[None] for c, x in columns.items()} for n, columns in first.items()}
        streams: dict[str, fa.Stream] = {
            "joints": fa.JointState(frame="base", capture_times=once, names=JOINTS, values=v["joints"]),
            "wrench": fa.Wrench(frame="ft", capture_times=once, values=v["wrench"]),
            "imu": fa.Imu(frame="imu", capture_times=once, values=v["imu"]),
            "taxel_left": fa.Taxels(frame="finger_left", capture_times=once, values=v["taxel_left"], poses=poses),
            "wrist": fa.Camera(frame="wrist", capture_times=once, items=(v["wrist"]["image"][0],)),
        }
        return fa.make_sample(name, ("base", T0), Rig(frames, sensors), streams)


Seen = list[tuple[int, str, dict[str, np.ndarray]]]


def episode(recorder: Recorder, number: int, seed: int = 5) -> tuple[Seen, dict[int, np.ndarray]]:
    """Record an episode, and observe it at control steps as a wrapper does: (stamp, stream, float32 columns)."""
    arm = Arm(number)
    template = arm.template(f"episode_{number:06d}")
    stepper = Stepper(pipeline(), template, periods=DT, seed=seed)
    recorder.begin(template)
    seen: Seen = []
    hands = {}
    for step in range(STEPS):
        stamp = T0 + step * DT
        for name, columns in arm.read().items():
            if name == "wrist" and step % PICTURES:
                continue
            recorder.reading(name, stamp, columns)
            if step % EVERY == 0:
                told = stepper.read(name, stamp, columns)
                assert told is not None
                seen.append((stamp, name, {c: v.copy() for c, v in told.items()}))
        if step % EVERY == 0:
            action = arm.rng.uniform(-1, 1, 8)
            recorder.action(stamp, action)
            hands[stamp] = np.array(arm.data.body("hand").xpos)
        arm.step(action)
    recorder.end({"mass": [0.1, number], "outcome": "done"})
    return seen, hands


def open_recorded(root: Path, format: str, log: Path | None = None) -> Any:
    return fa.open_log(format, root, **({"rig": str((log or root) / "rig.yaml")} if format == "mcap" else {}))


@pytest.mark.parametrize("format", ["folder", "mcap"])
def test_online_and_offline_give_the_same_bytes(tmp_path: Path, format: str) -> None:
    """Every reading that was observed, float32 as observations are, is in the log after the same pipeline and seed."""
    with Recorder(tmp_path / "log", format) as recorder:
        found = [episode(recorder, k) for k in range(2)]
    log = open_recorded(tmp_path / "log", format)
    assert list(log.ids) == ["episode_000000", "episode_000001"]
    assert [e["mass"] for e in episodes(tmp_path / "log")] == [[0.1, 0], [0.1, 1]]
    for (seen, hands), sample in zip(found, log, strict=True):
        after = pipeline()(sample, seed=5)
        for stamp, name, columns in seen:
            stream = after[name]
            item = int((sample[name].capture_times == stamp).nonzero()[0, 0])
            for column, value in columns.items():
                picture = isinstance(stream, ImageStream)
                offline = stream.image(item).numpy() if picture else stream[column][item].numpy()
                online = value if picture else value.astype(np.float32)
                assert online.tobytes() == offline.astype(online.dtype).tobytes(), (name, column, stamp)
        for stamp, place in hands.items():  # links follow the readings
            T = sample.rig.T("world" if "world" in sample.rig.frames else "base", "hand", stamp)
            assert np.allclose(T[:3, 3].numpy(), place, rtol=0, atol=1e-9)


@pytest.mark.parametrize("format", ["folder", "mcap"])
def test_a_run_of_the_log_gives_the_observations(tmp_path: Path, format: str) -> None:
    """``fusion-aug run`` with the same transforms and seed writes what was observed."""
    with Recorder(tmp_path / "log", format) as recorder:
        seen, _ = episode(recorder, 0)
    steps = {name: leaf.to_config() for name, leaf in pipeline().children()}
    words = ["run", f"log={format}", f"log.root={tmp_path / 'log'}", f"out={tmp_path / 'out'}", "seed=5"]
    rig = [f"log.rig={tmp_path / 'log' / 'rig.yaml'}"] if format == "mcap" else []
    assert main([*words, *rig, *step_words(steps)]) == 0
    out = open_recorded(tmp_path / "out", format, tmp_path / "log")[0]
    before = open_recorded(tmp_path / "log", format)[0]  # a stream without headers has other stamps when it is late
    for stamp, name, columns in seen:
        item = int((before[name].capture_times == stamp).nonzero()[0, 0])
        for column, value in columns.items():
            if name != "wrist":
                offline = out[name][column][item].numpy().astype(np.float32)
                assert value.astype(np.float32).tobytes() == offline.tobytes(), (name, column, stamp)
            else:
                assert value.tobytes() == out[name].image(item).numpy().tobytes()


def test_lerobot_holds_what_there_was_at_each_action(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    with Recorder(tmp_path / "log", "lerobot", joints=JOINTS) as recorder:
        episode(recorder, 0)
    sample = fa.open_log("lerobot", tmp_path / "log")[0]
    arm = Arm(0)
    position = next(s["position"] for s in sample.of_type(fa.JointState).values() if "position" in s.values)
    assert position.shape == (STEPS // EVERY, len(JOINTS))
    assert np.allclose(position[0].numpy(), arm.read()["joints"]["position"], rtol=0, atol=1e-6)
    assert len(sample["wrist"]) == STEPS // EVERY


def test_reported_poses_while_an_episode_runs() -> None:
    """By forward kinematics of the reported links at the reported readings, as the recorded episode's rig has them."""
    arm = Arm(0)
    template = arm.template("one")
    stepper = Stepper(pipeline(), template, periods=DT, seed=1)
    told = stepper.read("joints", T0, arm.read()["joints"])
    assert told is not None
    T = pose_at(stepper.rig, "base", "wrist", dict(zip(JOINTS, told["position"].tolist(), strict=True)))
    assert np.allclose(T, stepper.rig.T("base", "wrist", T0).numpy(), rtol=0, atol=1e-12)
    assert not np.allclose(T, template.rig.T("base", "wrist", T0).numpy(), rtol=0, atol=1e-6)
    with pytest.raises(fa.DataError, match="has no reading"):
        pose_at(stepper.rig, "base", "wrist", {})
    with pytest.raises(fa.DataError, match="carries no frame"):
        pose_at(stepper.rig, "wrist", "base", {})


@pytest.mark.quick
def test_wrong_input_is_refused(tmp_path: Path) -> None:
    with pytest.raises(fa.ConfigError, match="expected folder, mcap, lerobot"):
        Recorder(tmp_path / "log", "bag")
    arm = Arm(0)
    template, readings = arm.template("one"), arm.read()
    recorder = Recorder(tmp_path / "log")
    with pytest.raises(fa.DataError, match="no episode has begun"):
        recorder.reading("imu", T0, readings["imu"])
    recorder.begin(template)
    recorder.reading("imu", T0, readings["imu"])
    for match, name, time in (("no stream 'wheel'", "wheel", T0), (f"'imu': {T0} ns is not later", "imu", T0)):
        with pytest.raises(fa.DataError, match=match):
            recorder.reading(name, time, readings["imu"])
    with pytest.raises(fa.DataError, match="no reading of 'joints'"):
        recorder.end()
    for name, columns in readings.items():
        recorder.reading(name, T0 + DT, {"gyro": columns["gyro"]} if name == "imu" else columns)
    recorder.action(T0 + DT, np.zeros(8))
    with pytest.raises(fa.DataError, match=r"'imu': expected gyro, accel"):
        recorder.end()
    recorder.__exit__(ValueError, ValueError(), None)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_of_a_log_that_was_not_finished(tmp_path: Path) -> None:
    for format in ("folder", "mcap"):
        with pytest.raises(ZeroDivisionError), Recorder(tmp_path / "log", format) as recorder:
            episode(recorder, 0)
            raise ZeroDivisionError
        assert list(tmp_path.iterdir()) == []


def test_two_episodes_of_one_name_are_refused(tmp_path: Path) -> None:
    for format in ("folder", "mcap"):
        with pytest.raises(fa.DataError, match="episode_000000"), Recorder(tmp_path / "log", format) as recorder:
            episode(recorder, 0)
            episode(recorder, 0)
