"""``python -m benchmarks.sim_steps [--json FILE]``: what sensor transforms of one control step of a robot cost.

A step reads 8 joints (position, velocity, effort), a wrench, two pads of 16 taxels and an inertial unit, one reading
of each out of ten rows, under the sensor transforms of a robot. The measure beside it is 60 additions of 64 float64
numbers in the same run, in turn; what counts is the median of the time on the processor, on one thread. A reset draws
an episode and plans its kernels.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

ROUNDS, STEPS = 9, 200  # turns of each, and steps (or their measure) in a turn
PERIOD, EVERY = 2_000_000, 10  # ns between rows, and rows between two readings
ADDITIONS, NUMBERS = 60, 64
MOST_STEP, MOST_RESET = 3.0, 5.0  # of the additions; ms


def robot() -> Any:
    """A sample of one reading: eight joints in a chain, its wrench, pads and inertial unit on the last link."""
    import torch

    import fusion_aug as fa
    from calib import Frame, ImuSensor, Joint, Rig, Robot, TaxelSensor, WrenchSensor
    from calib.se3 import se3

    names = tuple(f"joint{i}" for i in range(8))
    axis, times = torch.tensor([0.0, 0, 1], dtype=torch.float64), torch.tensor([0])
    edges: dict[str, Any] = {
        f"link{i}": (
            f"link{i - 1}" if i else "base",
            Joint(name=n, kind="revolute", axis=axis, origin=se3(translation=[0.1, 0, 0.1])),
        )
        for i, n in enumerate(names)
    }
    zero = torch.zeros(1, 8, dtype=torch.float64)
    frames = Robot(root="base", edges=edges).to_frames(None, None, dict.fromkeys(names, (times, zero[:, 0])))
    frames["ft"], frames["imu"] = (Frame(parent="link7", pose=se3(translation=[0.01, 0, k])) for k in (0.02, 0.03))
    along = 0.005 * torch.arange(4.0)
    poses = se3(translation=torch.cartesian_prod(along, along, torch.zeros(1)).double())
    sensors: dict[str, Any] = {"wrench": WrenchSensor(frame="ft"), "imu": ImuSensor(frame="imu")}
    sensors |= {f"taxel_{s}": TaxelSensor(frame="link7", poses=poses) for s in ("left", "right")}
    three, pad = torch.ones(1, 3), torch.ones(1, 16)
    streams: dict[str, Any] = {
        "joints": fa.JointState(
            frame="base", capture_times=times, names=names,
            values={"position": zero.float(), "velocity": zero.float(), "effort": zero.float()},
        ),
        "wrench": fa.Wrench(frame="ft", capture_times=times, values={"force": three, "torque": three}),
        "imu": fa.Imu(frame="imu", capture_times=times, values={"gyro": three, "accel": three}),
        **{f"taxel_{s}": fa.Taxels(frame="link7", capture_times=times, values={"force": pad}, poses=poses)
           for s in ("left", "right")},
    }  # fmt: skip
    return fa.make_sample("episode_000000", ("base", 0), Rig(frames, sensors), streams)


def pipeline() -> Any:
    """Sensor transforms of a robot, all of them on."""
    import fusion_aug as fa

    return fa.Compose([
        fa.KinematicNoise(joint_deg=[-0.3, 0.3], hand_eye=[-0.002, 0.002]),
        fa.SensorBias(
            gyro_noise=1e-4, gyro_walk=1e-5, accel_noise=1e-3, accel_walk=1e-4, force_noise=0.01, force_walk=0.01,
            torque_noise=1e-4, torque_walk=1e-4,
        ),
        fa.TorqueNoise(sigma=[0.0, 0.5]), fa.ImuSaturation(), fa.TaxelCrosstalk(), fa.TaxelGain(),
        fa.TaxelDropout(share=0.1),
        fa.Latency(delay=[0.0, 0.02]), fa.Jitter(sigma=0.002),
    ])  # fmt: skip


def figures(rounds: int = ROUNDS, steps: int = STEPS) -> dict[str, float]:
    """Microseconds of a step and of the additions, their ratio, and milliseconds of a reset; medians over rounds."""
    from fusion_aug.sim.stepper import Stepper

    sample, transforms = robot(), pipeline()
    readings = {n: {c: v[0].numpy() for c, v in s.values.items()} for n, s in sample.streams.items()}
    a, b = np.ones((2, NUMBERS))
    found: dict[str, list[float]] = {"step_us": [], "additions_us": [], "reset_ms": []}
    for turn in range(rounds + 1):
        begin = time.process_time_ns()
        stepper = Stepper(transforms, sample, periods=PERIOD, seed=turn)
        drawn = time.process_time_ns()
        for step in range(steps):
            stamp = step * EVERY * PERIOD
            for name, values in readings.items():
                stepper.read(name, stamp, values)
        read = time.process_time_ns()
        for _ in range(steps * ADDITIONS):
            a + b
        added = time.process_time_ns()
        if turn:  # the first one fills caches
            found["reset_ms"].append((drawn - begin) / 1e6)
            found["step_us"].append((read - drawn) / 1e3 / steps)
            found["additions_us"].append((added - read) / 1e3 / steps)
    out = {name: float(np.median(values)) for name, values in found.items()}
    out["ratio"] = float(np.median(np.array(found["step_us"]) / np.array(found["additions_us"])))
    return out


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="file for the figures")
    given = parser.parse_args()
    found = figures()
    of = f"{found['ratio']:.2f} of {ADDITIONS} additions, {found['additions_us']:.1f} us (at most {MOST_STEP:g})"
    print(f"step {found['step_us']:.1f} us, {of}; reset {found['reset_ms']:.2f} ms (at most {MOST_RESET:g})")
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
