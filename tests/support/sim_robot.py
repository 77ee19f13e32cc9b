"""A small simulated robot: eight joints, a wrench, an inertial unit, 32 taxels, two cameras, and lit marks."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
import mujoco
import numpy as np

MARKS = 12  # spheres that shine by themselves, of a colour each
SMALL = 0.004  # metres, radius of a mark
BOXES = {"link1": (0.03, 0.04, 0.15), "link2": (0.02, 0.03, 0.15), "hand": (0.04, 0.05, 0.02)}
MASS = {"link1": 2.0, "link2": 1.0, "hand": 0.5}
RIG = {
    "streams": {
        "joints": {"kind": "joints", "joints": [f"j{k}" for k in range(8)], "columns": ["position", "velocity"]},
        "wrench": {"kind": "wrench", "force": "force", "torque": "torque"},
        "imu": {"kind": "imu", "gyro": "gyro", "accel": "accel"},
        "pad": {"kind": "taxels", "sensors": [f"taxel_{k}" for k in range(32)]},
    },
    "parts": {"state": {"joints.position": [0, 8]}},
}


def mark_places() -> np.ndarray:
    """(MARKS, 3) metres in the world, before the cameras."""
    return np.random.default_rng(5).uniform([0.45, -0.2, 0.05], [0.75, 0.2, 0.4], (MARKS, 3))


def xml(masses: dict[str, float] | None = None, scales: dict[str, float] | None = None, com: float = 0.0,
        rows: int = 8, marks: bool = False, timestep: float = 0.002) -> str:  # fmt: skip
    """The model as MJCF, with masses and sizes of links as they may be drawn."""
    masses, scales = masses or {}, scales or {}

    def box(name: str) -> str:
        s = scales.get(name, 1.0)
        size = " ".join(f"{v * s!r}" for v in BOXES[name])
        mass = MASS[name] * masses.get(name, 1.0)
        place = f"{0.01 * s!r} 0 {BOXES[name][2] * s!r}"
        shape = f'<geom name="{name}" type="box" size="{size}" pos="{place}" mass="{mass!r}"/>'
        extra = (
            f'<geom type="sphere" size="{0.02 * s!r}" pos="0 {0.05 * s!r} 0" mass="{0.2 * masses.get(name, 1.0)!r}"/>'
        )
        return shape + extra

    taxels = "".join(
        f'<site name="taxel_{k}" type="box" size=".005 .005 .002" '
        f'pos="{0.01 * (k % 8) - 0.035:.3f} {0.01 * (k // 8) - 0.015:.3f} 0.04"/>'
        for k in range(32)
    )
    touch = "".join(f'<touch name="taxel_{k}" site="taxel_{k}"/>' for k in range(32))
    fingers = "".join(
        f'<body name="finger{k}" pos="0 {0.02 * k - 0.05:.2f} 0.04"><joint name="j{k + 2}" type="slide" axis="0 0 1" '
        f'range="0 0.03" damping="2"/><geom type="box" size=".004 .004 .01" mass="0.02"/></body>'
        for k in range(6)
    )
    shining = "".join(
        f'<geom name="mark{k}" type="sphere" size="{SMALL}" contype="0" conaffinity="0" pos="{x!r} {y!r} {z!r}" '
        f'material="mark"/>'
        for k, (x, y, z) in enumerate(mark_places().tolist())
    )
    unlit = 'emission="0" rgba="0 0 0 1"' if marks else ""
    dark = '<headlight ambient="0 0 0" diffuse="0 0 0" specular="0 0 0"/>' if marks else ""
    light = "" if marks else '<light name="lamp" pos="0 0 2" dir="0 0 -1" diffuse=".5 .5 .5"/>'
    return f"""<mujoco><option timestep="{timestep}"/><compiler angle="radian" autolimits="true"/>
    <visual><global offwidth="320" offheight="240"/>{dark}<quality offsamples="8"/></visual>
    <asset><material name="mark" rgba="1 1 1 1" emission="1" specular="0" shininess="0"/>
      <texture name="checker" type="2d" builtin="checker" rgb1=".8 .6 .4" rgb2=".3 .4 .6" width="64" height="64"/>
      <material name="floor" texture="checker" texrepeat="4 4" {unlit}/></asset>
    <worldbody>{light}{shining if marks else ""}
      <geom name="floor" type="plane" size="2 2 .1" pos="0 0 -0.4" material="floor"/>
      <camera name="front" pos="1.5 0.1 0.5" xyaxes="0 1 0 -0.3 0 1" fovy="45"/>
      <body name="link1" pos="0 0 0">{box("link1")}
        <joint name="j0" axis="0 1 0" range="-1.5 1.5" damping="1" armature="0.01"/>
        <body name="link2" pos="0 0 0.3">{box("link2")}
          <joint name="j1" axis="0 1 0" range="-1.5 1.5" damping="1" frictionloss="0.1"/>
          <body name="hand" pos="0 0 0.3">{box("hand")}<site name="ft"/><site name="imu" pos="0.01 0 0.02"/>{taxels}
            <camera name="wrist" pos="0.06 0 0.05" xyaxes="0 -1 0 0.9 0 0.5" fovy="75"/>{fingers}</body></body></body>
    </worldbody>
    <actuator><position name="m0" joint="j0" kp="200" kv="20" ctrlrange="-1.5 1.5"/>
      <position name="m1" joint="j1" kp="100" kv="10" ctrlrange="-1.5 1.5"/></actuator>
    <sensor><force name="force" site="ft"/><torque name="torque" site="ft"/><gyro name="gyro" site="imu"/>
      <accelerometer name="accel" site="imu"/>{touch}</sensor></mujoco>"""


class SmallRobot(gym.Env):
    """The robot, in the form that ``Randomized`` asks of one's own environments.

    Observation: a dictionary of ``state`` (10,) joint positions and the last action, and ``clock``, control steps.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}

    def __init__(self, rate: float = 50.0, timestep: float = 0.002, marks: bool = False, length: int = 10**6):
        self.model = mujoco.MjModel.from_xml_string(xml(marks=marks, timestep=timestep))
        self.data = mujoco.MjData(self.model)
        self.physics_steps = round(1 / rate / timestep)
        self.length = length
        self.action_space = gym.spaces.Box(-1, 1, (2,), np.float32)
        self.observation_space = gym.spaces.Dict(
            {
                "state": gym.spaces.Box(-np.inf, np.inf, (10,), np.float64),
                "clock": gym.spaces.Box(0, np.inf, (1,), np.float64),
            }
        )

    def apply_action(self, action: np.ndarray) -> None:
        self.data.ctrl[:] = action
        self.sent = np.array(action, np.float64)

    def physics_step(self) -> None:
        mujoco.mj_step(self.model, self.data)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[dict, dict]:
        super().reset(seed=seed)
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:2] = self.np_random.uniform(-0.2, 0.2, 2)
        mujoco.mj_forward(self.model, self.data)
        self.count, self.sent = 0, np.zeros(2)
        return self._observation(), {}

    def step(self, action: np.ndarray) -> tuple[dict, float, bool, bool, dict]:
        self.apply_action(action)
        for _ in range(self.physics_steps):
            self.physics_step()
        self.count += 1
        return self._observation(), float(-np.abs(self.data.qpos[:2]).sum()), False, self.count >= self.length, {}

    def _observation(self) -> dict:
        return {
            "state": np.concatenate([self.data.qpos[:8], self.sent]),
            "clock": np.array([self.count], np.float64),
        }


def actions(count: int, seed: int = 0) -> np.ndarray:
    """(count, 2) smooth targets."""
    rng = np.random.default_rng(seed)
    phase, t = rng.uniform(0, 6, 2), np.arange(count)[:, None]
    return (0.5 * np.sin(0.2 * t + phase)).astype(np.float32)
