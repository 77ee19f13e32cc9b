"""Scripted demonstrations of moving parcels, as a LeRobotDataset v3.0 without pictures.

OUT/arm.urdf         links, joints, inertias
OUT/lerobot/         an episode for each parcel, 50 frames a second
OUT/rig.yaml         frames, taxels and the wrench sensor, and what the vectors mean (log.rig)
OUT/parcels.json     what each parcel was, and how its episode went
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from calib import Rig
from calib.urdf_writing import robot_to_urdf
from fusion_aug.logs.core.whole import whole_folder
from fusion_aug.logs.lerobot.stats import vector_stats
from fusion_aug.synth.arm.make import check_packages, write_rig
from fusion_aug.synth.arm.motion import pads_at
from fusion_aug.synth.arm.parcel_world import TICK, TICKS, Outcome, ParcelWorld
from fusion_aug.synth.arm.parcels import Parcel, draw_parcel
from fusion_aug.synth.arm.recording import sensors
from fusion_aug.synth.arm.scene import JOINTS, load_arm, robot_of
from fusion_aug.synth.arm.script import LOW, Steering, script
from fusion_aug.synth.arm.to_lerobot import DATA, WRENCH, write_meta, write_table

FPS = round(1 / TICK)
TASK = "Put the parcel on the other side"
TAXELS = [f"taxel_{k}" for k in range(16)]
NAMES: dict[str, list[str]] = {
    "observation.state": list(JOINTS), "observation.wrench": WRENCH, "observation.taxel_left": TAXELS,
    "observation.taxel_right": TAXELS, "observation.place": ["x", "y", "z", "roll", "pitch", "yaw"],
    "action": list(JOINTS),
}  # fmt: skip
PARTS: dict[str, Any] = {
    "observation.state": {"position": [0, 8]},
    "observation.place": {"position": [0, 3], "rpy": [3, 6], "tool": "base"},  # of a parcel: no joint moves it
    "action": {"joint_position": [0, 8]},
}
SWAY = np.array([0.010, 0.010, 0.012, 0.06, 0.00015])  # metres and rad: of the pads, their turn and the fingers
STEADY = 0.05  # metres above the table's grip, below which hands sway less
RHYTHM = (1.5, 5.0)  # rad/s


def demonstrate(seed: int, number: int) -> tuple[Parcel, dict[str, np.ndarray], Outcome]:
    """Move a parcel by the script, with hands that sway: what is recorded is the command, not how it was disturbed.

    Returns:
        The parcel; feature -> rows (n, k) float32, one for each tick; and how it went.
    """
    parcel = draw_parcel(seed, number)
    world, steering, swayed = ParcelWorld(parcel), Steering(), Steering()
    rng = np.random.default_rng([seed, number, 1])
    rhythm, phase = rng.uniform(*RHYTHM, 5), rng.uniform(0, 2 * np.pi, 5)
    rows: dict[str, list[np.ndarray]] = {name: [] for name in NAMES}
    x, y, yaw = parcel.told
    for tick in range(TICKS):
        if world.over():
            break
        read = world.observe()
        speed, position = script(read, parcel.told), read["position"]
        command = steering(position, speed)
        record = {
            "observation.state": position, "observation.wrench": read["wrench"], "action": command,
            "observation.taxel_left": read["taxel_left"], "observation.taxel_right": read["taxel_right"],
            "observation.place": np.array([x, y, 0.0, 0.0, 0.0, yaw]),
        }  # fmt: skip
        for name, value in record.items():
            rows[name].append(value)
        steady = 0.25 + 0.75 * min(max(float(pads_at(position)[2]) - LOW, 0.0) / STEADY, 1.0)
        world.step(swayed(position, speed, steady * SWAY * np.sin(rhythm * tick * TICK + phase)))
    return parcel, {n: np.array(v, np.float32) for n, v in rows.items()}, world.outcome()


def make_demonstrations(
    out: Path | str, episodes: int, seed: int = 0, progress: Callable[[int, int], None] = lambda done, of: None
) -> Path:
    """Write the log; it is there whole or not at all, and the same bytes every time on one machine.

    Episodes that did not succeed are left out, about two in five: hands that sway crush light parcels.

    Args:
        out: folder, made if missing. episodes: how many. seed: of the parcels and the shaking.
        progress: called with the number of finished episodes and of all.

    Raises:
        MissingPackage: one of the packages that simulate and write it is not installed; nothing is written.
        DataError: there is something in the folder.
    """
    out = Path(out)
    check_packages()
    with whole_folder(out) as folder:
        made: list[tuple[Parcel, dict[str, np.ndarray], Outcome]] = []
        number = 0
        while len(made) < episodes:
            tried, number = demonstrate(seed, number), number + 1
            if tried[2].success:  # nobody should learn from the others
                made.append(tried)
                progress(len(made), episodes)
        model, _ = load_arm()
        (folder / "arm.urdf").write_text(robot_to_urdf(robot_of(model)), encoding="utf-8")
        _write_set([rows for _, rows, _ in made], folder / "lerobot")
        write_rig(_rig(model), folder / "rig.yaml", {"parts": PARTS})
        told = [{"parcel": asdict(p), "outcome": {**asdict(o), "success": o.success}} for p, _, o in made]
        (folder / "parcels.json").write_text(json.dumps(told, indent=1, default=float) + "\n", encoding="utf-8")
    return out


def _rig(model: Any) -> Rig:
    """What is read here: taxels and wrench, and the frames that they need."""
    whole = sensors(model)
    found = {n: s for n, s in whole.sensors.items() if s.kind in ("taxels", "wrench")}
    return Rig({n: whole.frames[n] for n in ("world", "base", "ft")}, found)


def _write_set(episodes: list[dict[str, np.ndarray]], root: Path) -> None:
    """One table of all episodes, and the tables about them."""
    features: dict[str, Any] = {n: {"dtype": "float32", "shape": [len(k)], "names": k} for n, k in NAMES.items()}
    counted = []
    for number, rows in enumerate(episodes):
        count, before = len(rows["action"]), sum(len(r["action"]) for r in episodes[:number])
        frames = np.arange(count)
        counted.append({**rows, "timestamp": frames / FPS, "frame_index": frames, "index": before + frames,
                        "episode_index": np.full(count, number), "task_index": np.zeros(count, dtype=int)})  # fmt: skip
    for name in ("timestamp", "frame_index", "index", "episode_index", "task_index"):
        features[name] = {"dtype": "float32" if name == "timestamp" else "int64", "shape": [1], "names": None}
    joined = {n: np.concatenate([e[n] for e in counted]) for n in features}
    stats = [{n: vector_stats(e[n].astype(float)) for n in features} for e in (*counted, joined)]
    write_table({n: v.tolist() for n, v in joined.items()}, features, root / DATA.format(chunk_index=0, file_index=0))
    lengths = [len(e["action"]) for e in counted]
    write_meta(root / "meta", features, stats[:-1], stats[-1], lengths, fps=FPS, task=TASK)
