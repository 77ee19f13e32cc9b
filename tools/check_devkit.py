"""What the official nuscenes-devkit makes of an augmented log. Runs in an environment without fusion_aug.

Usage: check_devkit.py SOURCE AUGMENTED [SOURCE AUGMENTED ...]
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from nuscenes.nuscenes import NuScenes
from nuscenes.utils.data_classes import Box, LidarPointCloud, RadarPointCloud
from nuscenes.utils.geometry_utils import points_in_box
from pyquaternion import Quaternion


def drawn_rate(out: Path) -> float:
    """Factor of velocities by the manifest: the scale of the scene times a constant speed."""
    if not (out / "manifest.jsonl").is_file():
        return 1.0
    record = json.loads((out / "manifest.jsonl").read_text().splitlines()[1])
    drawn = [(r["name"].rpartition(".")[2], r["params"].get("", {})) for r in record["history"] if r["applied"]]
    scales = [p["scale"] for name, p in drawn if name == "ScaleScene"]
    speeds = [p["speed"] for name, p in drawn if name == "SpeedWarp"]
    return float(np.prod(scales + speeds))


def opens(log: NuScenes) -> list[str]:
    """Open every record, render every sample; what is wrong."""
    faults, opened, rendered = [], 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for sample in log.sample:
            for channel, token in sample["data"].items():
                path, _, intrinsic = log.get_sample_data(token)
                opened += 1
                if channel.startswith("LIDAR"):
                    assert LidarPointCloud.from_file(path).points.shape[0] == 4
                elif channel.startswith("RADAR"):
                    assert RadarPointCloud.from_file(path).points.shape[0] == 18
                elif intrinsic is None or not Path(path).is_file():
                    faults.append(f"{channel}: no intrinsics or no file")
            picture = Path(folder) / f"{sample['token']}.png"
            if log.map and log.map[0]["filename"]:
                log.render_sample(sample["token"], out_path=str(picture), verbose=False)
            else:  # a log without a map file
                log.render_sample_data(
                    sample["data"]["LIDAR_TOP"], underlay_map=False, verbose=False, out_path=str(picture)
                )
            rendered += picture.is_file()
    print(f"  {len(log.sample)} samples, {opened} records opened, {rendered} samples rendered")
    return faults + ([] if rendered == len(log.sample) else ["a sample was not rendered"])


def velocities(before: NuScenes, after: NuScenes, scale: float) -> list[str]:
    """box_velocity of parked and of moving objects against the source's, scaled."""
    parked, moving, still, off = 0, 0, 0.0, 0.0
    for annotation in after.sample_annotation:
        was, now = before.box_velocity(annotation["token"]), after.box_velocity(annotation["token"])
        if np.isnan(was).any() or np.isnan(now).any():
            continue
        if np.linalg.norm(was) < 0.01:
            parked, still = parked + 1, max(still, float(np.linalg.norm(now)))
        else:
            speed = np.linalg.norm(was) * scale
            moving, off = moving + 1, max(off, float(abs(np.linalg.norm(now) - speed) / speed))
    print(f"  parked: {parked} velocities, fastest {still:.4f} m/s (limit 0.05)")
    print(f"  moving: {moving} velocities, largest deviation {100 * off:.3f} % (limit 2 %)")
    return ["box_velocity is over its limit"] if still > 0.05 or off > 0.02 else []


def radar(log: NuScenes) -> list[str]:
    """Detections that pass the default filters on moving cars, and their compensated velocity against the box's.

    The velocity of a box is the mean over a second, so only cars that keep theirs are compared.
    """
    off: list[float] = []
    for sample in log.sample:
        moving = [a for a in map(log.get_box, sample["anns"]) if a.name.startswith("vehicle")]
        for box in moving:
            box.velocity = log.box_velocity(box.token)
        moving = [b for b in moving if np.linalg.norm(b.velocity) > 1.0 and unsteadiness(log, b.token) < 0.05]
        for channel, token in sample["data"].items():
            if channel.startswith("RADAR"):
                off += on_boxes(log, token, moving)
    if not any(c.startswith("RADAR") for s in log.sample for c in s["data"]):
        print("  radar: n/a, the log has none")
        return []
    worst = max(off, default=np.inf)
    median = np.median(off) if off else np.inf
    print(f"  radar: {len(off)} detections on steadily moving cars, radial velocity off by {median:.3f} m/s (median), "
          f"{worst:.3f} (most, limit 0.1)")  # fmt: skip
    return [] if off and worst <= 0.1 else ["radar does not agree with the boxes"]


def unsteadiness(log: NuScenes, token: str) -> float:
    """How much the velocity of a box differs (m/s) before and after its keyframe; infinity at the ends of a track."""
    here = log.get("sample_annotation", token)
    if not here["prev"] or not here["next"]:
        return float("inf")
    rows = [log.get("sample_annotation", t) for t in (here["prev"], token, here["next"])]
    times = np.array([log.get("sample", r["sample_token"])["timestamp"] for r in rows]) * 1e-6
    steps = np.diff([r["translation"] for r in rows], axis=0) / np.diff(times)[:, None]
    return float(np.linalg.norm(steps[1] - steps[0]))


def on_boxes(log: NuScenes, token: str, boxes: list[Box]) -> list[float]:
    """Differences of the radial velocities (m/s) of the detections in boxes."""
    path, _, _ = log.get_sample_data(token)
    points = RadarPointCloud.from_file(path).points
    data = log.get("sample_data", token)
    mount, ego = (
        log.get("calibrated_sensor", data["calibrated_sensor_token"]),
        log.get("ego_pose", data["ego_pose_token"]),
    )
    rotation = Quaternion(ego["rotation"]).rotation_matrix @ Quaternion(mount["rotation"]).rotation_matrix
    start = Quaternion(ego["rotation"]).rotation_matrix @ mount["translation"] + ego["translation"]
    world = rotation @ points[:3] + start[:, None]
    ray = world - start[:, None]
    ray /= np.linalg.norm(ray, axis=0)
    compensated = rotation @ np.vstack([points[8:10], np.zeros(points.shape[1])])
    out = []
    for box in boxes:
        tall = Box(box.center, [box.wlh[0] + 0.4, box.wlh[1] + 0.4, 20.0], box.orientation)  # it measures no height
        # a stamp of its own: the box has moved on since its keyframe
        seconds = (data["timestamp"] - log.get("sample", data["sample_token"])["timestamp"]) * 1e-6
        tall.center = tall.center + box.velocity * seconds
        inside = points_in_box(tall, world)
        out += [float(abs((compensated[:, i] - box.velocity) @ ray[:, i])) for i in np.flatnonzero(inside)]
    return out


def walls(log: NuScenes) -> list[str]:
    """Residual (m) of planes fitted to small patches of walls in five sweeps and keyframes laid together."""
    residuals: list[float] = []
    for sample in log.sample[2:]:
        cloud, _ = LidarPointCloud.from_file_multisweep(log, sample, "LIDAR_TOP", "LIDAR_TOP", nsweeps=5)
        xyz = cloud.points[:3].T
        xyz = xyz[(xyz[:, 2] > 0.2) & (np.linalg.norm(xyz[:, :2], axis=1) < 25)]  # walls, above cars
        cells = np.floor(xyz / [1.0, 1.0, 1.0]).astype(int)
        _, where, count = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
        for k in np.flatnonzero(count >= 30):
            patch = xyz[where.ravel() == k]
            spread = np.linalg.svd(patch - patch.mean(0), compute_uv=False) / np.sqrt(len(patch))
            if spread[1] > 0.15 and spread[2] < 0.25 * spread[1]:  # flat, not a tree
                residuals.append(float(spread[2]))
    if not residuals:
        print("  multisweep: n/a, the log has no sweeps or no walls")
        return []
    print(f"  multisweep: {len(residuals)} patches of walls, plane residual {np.median(residuals):.4f} m (limit 0.05)")
    return [] if np.median(residuals) <= 0.05 else ["walls are not sharp over sweeps"]


def main() -> int:
    """Check pairs of folders."""
    words, faults = sys.argv[1:], []
    for source, out in zip(words[::2], words[1::2]):  # noqa: B905
        before, after = (NuScenes("v1.0-mini", root, verbose=False) for root in (source, out))
        for root, log in ((source, before), (out, after)):
            print(root)
            faults += opens(log) + radar(log) + walls(log)
        faults += velocities(before, after, drawn_rate(Path(out)))
    print("\n".join(faults) if faults else "the devkit agrees")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
