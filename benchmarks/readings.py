"""``python -m benchmarks.readings [--against FOLDER] [--rounds N] [--json FILE]``: pipeline ``robot`` on small samples.

Three samples: *one reading* is made on the spot (an arm of five joints, two pictures of 84x84), *the arm* is the
episode of ``datasets/arm``, *the Panda* a window of one second of the real log. All are in memory before the clock
runs. ``--against`` is the folder of another checkout: both run in processes of their own, a few draws of one and of the
other in turn, and the ratio is the median of those of the turns. What counts is the time on the processor, on one
thread.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import calls

HERE = Path(__file__).resolve().parents[1]
DATA = HERE.parent / "shared" / "data"
MOST = 0.25  # of the time of a reading in the other checkout
JOINTS, SIZE = 5, (84, 84)
DRAWS = {"one reading": 100, "the arm": 1, "the Panda": 1}  # in a turn


# --- the samples ------------------------------------------------------------------------------------------------------
def one_reading() -> tuple[Any, float]:
    """An arm of five joints in its own mirror plane, with a camera beside it and one on its hand; and 1, a reading."""
    import torch

    import fusion_aug as fa
    from calib import CameraSensor, Frame, Joint, Pinhole, Rig, Robot
    from calib.se3 import rotation_about, se3

    names, axes = [f"joint{i}" for i in range(JOINTS)], [[0.0, 0, 1], *[[0.0, 1, 0]] * 3, [1.0, 0, 0]]
    links: dict[str, Any] = {}
    for i, (name, axis) in enumerate(zip(names, axes, strict=True)):
        place = se3(translation=[0.1, 0, 0.2])
        joint = Joint(name=name, kind="revolute", axis=torch.tensor(axis, dtype=torch.float64), origin=place)
        links[f"link{i}"] = (f"link{i - 1}" if i else "base", joint)
    times, q = torch.tensor([10**9]), torch.linspace(-0.4, 0.5, JOINTS, dtype=torch.float64)[None]
    robot = Robot(root="base", edges=links)
    frames = robot.to_frames(None, None, {n: (times, q[:, i]) for i, n in enumerate(names)})
    forward = rotation_about("z", -np.pi / 2) @ rotation_about("x", -np.pi / 2)
    for camera, parent, at in (("front", "base", [-1.0, 0, 0.5]), ("wrist", f"link{JOINTS - 1}", [0.05, 0, 0.05])):
        frames[camera] = Frame(parent=parent, pose=se3(forward, at), axis_convention="camera")
    model = Pinhole.from_focal(80.0, 80.0, (SIZE[1] - 1) / 2, (SIZE[0] - 1) / 2, SIZE)
    cameras = {n: CameraSensor(frame=n, model=model) for n in ("front", "wrist")}
    pictures = np.random.default_rng(0).integers(0, 256, (2, *SIZE, 3), dtype=np.uint8)
    streams: dict[str, Any] = {
        n: fa.Camera(frame=n, capture_times=times, items=(torch.from_numpy(p),))
        for n, p in zip(cameras, pictures, strict=True)
    }
    streams["joints"] = fa.JointState(
        frame="base", capture_times=times, names=tuple(names), values={"position": q, "velocity": 0.1 * q}
    )
    rig = Rig(frames, cameras)
    return fa.make_sample("reading", ("base", 10**9), rig, streams, clock="joints"), 1.0


def arm_episode() -> tuple[Any, float]:
    """The episode of the arm, and its seconds."""
    import fusion_aug as fa

    arm = HERE / "datasets" / "arm"
    return _in_memory(fa.open_log("mcap", arm / "mcap", rig=str(arm / "mcap_rig.yaml"))[0])


def panda_window(data: Path) -> tuple[Any, float]:
    """One second of the Panda's log, and its seconds."""
    import fusion_aug as fa

    sys.path.append(str(HERE / "tests" / "support"))
    from panda import rig_file

    with tempfile.TemporaryDirectory() as folder:
        rig = rig_file(data, Path(folder), "mcap")
        return _in_memory(fa.open_log("mcap", data / "panda_lift" / "panda_lift_mcap", rig=str(rig), window=1.0)[0])


def _in_memory(sample: Any) -> tuple[Any, float]:
    times = [t for s in sample.streams.values() if len(s) for t in (int(s.capture_times[0]), int(s.capture_times[-1]))]
    return sample.realized(), (max(times) - min(times)) * 1e-9


# --- a process that measures ------------------------------------------------------------------------------------------
def serve(tree: Path, data: Path) -> None:
    """Answer every line ``NAME`` with a turn: milliseconds and Python calls per reading or second of recording."""
    sys.path.insert(0, str(tree))
    import cv2
    import torch

    import fusion_aug as fa

    if tree not in Path(fa.__file__).parents:
        raise SystemExit(f"{tree}: the package was imported from {fa.__file__} instead")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    makers = {"one reading": one_reading, "the arm": arm_episode, "the Panda": lambda: panda_window(data)}
    chain, made, turn = fa.preset("robot"), {}, dict.fromkeys(makers, 0)
    for line in sys.stdin:
        name = line.strip()
        if name not in made:
            made[name] = makers[name]()
            for k in range(20 if name == "one reading" else 2):  # what is made once
                _draw(chain, made[name][0], k)
        sample, unit = made[name]
        seeds = range(DRAWS[name] * turn[name], DRAWS[name] * (turn[name] + 1))
        turn[name] += 1
        start = time.process_time()
        for k in seeds:
            _draw(chain, sample, k)
        spent = 1e3 * (time.process_time() - start) / len(seeds) / unit
        print(json.dumps([spent, calls(partial(_draw, chain, sample, seeds[0])) / unit]), flush=True)


def _draw(chain: Any, sample: Any, seed: int) -> None:
    tensors(chain(sample, seed=seed))


def tensors(sample: Any) -> int:
    """Ask for all values, as whoever feeds a network does; returns their number."""
    return sum(len(getattr(s, "pictures", ())) + len(tuple(s.values.values())) for s in sample.streams.values())


class Checkout:
    """A process that measures one checkout.

    Args:
        tree: its folder. data: folder of real sensor data.
    """

    def __init__(self, tree: Path, data: Path):
        words = [sys.executable, "-m", "benchmarks.readings", "--serve", str(tree.resolve()), "--data", str(data)]
        env = os.environ | {"OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            words, cwd=HERE, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def turn(self, name: str) -> tuple[float, float]:
        """Milliseconds and Python calls of one turn."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{name}: the process that measures ended with {self.process.wait()}")
        spent, called = json.loads(answer)
        return spent, called


def main(words: Sequence[str]) -> int:
    """Measure and print; 1 where a reading costs more than ``MOST`` of the other checkout's."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.readings", description=__doc__)
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="another checkout")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--only", choices=[n.split()[-1] for n in DRAWS])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.serve:
        serve(options.serve, options.data)
        return 0
    trees = [HERE, *([options.against] if options.against else [])]
    checkouts, found = [Checkout(tree, options.data) for tree in trees], {}
    for name in DRAWS:
        if (options.only and not name.endswith(options.only)) or (name == "the Panda" and not options.data.is_dir()):
            continue
        turns = np.array([[c.turn(name) for c in checkouts] for _ in range(options.rounds)])  # (rounds, trees, 2)
        ms, called = np.median(turns, 0).T
        unit = "reading" if name == "one reading" else "second"
        found[name] = {"ms": ms[0], "calls": called[0]}
        text = f"{name:<12} {ms[0]:.3g} ms and {called[0]:.0f} Python calls per {unit}"
        if options.against:
            ratio = float(np.median(turns[:, 0, 0] / turns[:, 1, 0]))
            found[name] |= {"ms before": ms[1], "calls before": called[1], "ratio": ratio}
            text += f"; before {ms[1]:.3g} ms and {called[1]:.0f} calls: {ratio:.3f}"
        print(text, flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0 if found.get("one reading", {}).get("ratio", 0.0) <= MOST else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
