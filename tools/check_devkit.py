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
from nuscenes.utils.data_classes import LidarPointCloud, RadarPointCloud


def drawn_scale(out: Path) -> float:
    """Scale of the scene that the manifest records."""
    record = json.loads((out / "manifest.jsonl").read_text().splitlines()[1])
    scales = [r["params"][""]["scale"] for r in record["history"] if r["name"] == "ScaleScene" and r["applied"]]
    return float(np.prod(scales)) if scales else 1.0


def check(source: str, out: str) -> list[str]:
    """Open both logs, go through every sample, and return what is wrong."""
    before, after = (NuScenes("v1.0-mini", root, verbose=False) for root in (source, out))
    scale, faults, opened = drawn_scale(Path(out)), [], 0
    for sample in after.sample:
        for channel, token in sample["data"].items():
            path, _, intrinsic = after.get_sample_data(token)
            opened += 1
            if channel.startswith("LIDAR"):
                assert LidarPointCloud.from_file(path).points.shape[0] == 4
            elif channel.startswith("RADAR"):
                assert RadarPointCloud.from_file(path).points.shape[0] == 18
            elif intrinsic is None or not Path(path).is_file():
                faults.append(f"{channel}: no intrinsics or no file")
        with tempfile.TemporaryDirectory() as folder:
            lidar = sample["data"]["LIDAR_TOP"]
            picture = Path(folder) / "lidar.png"
            after.render_sample_data(lidar, underlay_map=False, verbose=False, out_path=str(picture))
            if not picture.is_file():
                faults.append(f"{sample['token']}: nothing was rendered")
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
    print(f"{out}: {len(after.sample)} samples, {opened} records opened, every LiDAR keyframe rendered")
    print(f"  parked: {parked} velocities, fastest {still:.4f} m/s (limit 0.05)")
    print(f"  moving: {moving} velocities, largest deviation {100 * off:.3f} % (limit 2 %)")
    if still > 0.05 or off > 0.02:
        faults.append("box_velocity is over its limit")
    return faults


def main() -> int:
    """Check pairs of folders."""
    words = sys.argv[1:]
    faults = [f for source, out in zip(words[::2], words[1::2]) for f in check(source, out)]  # noqa: B905
    print("\n".join(faults) if faults else "the devkit agrees")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
