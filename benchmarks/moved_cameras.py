"""Pictures of a shifted camera against the made world seen from there: what is visible, what was hidden, ghosts.

``python -m benchmarks.moved_cameras [LOG]``. Four keyframes of the sample log (or another of street 0), two cameras,
two shifts, by LiDAR and picture alone and by true depth where the log has it; all figures are pooled over the pixels
that lie in the old view.

* ``visible``, ``hidden``: mean error in levels of what the old camera saw and of what something hid from it.
* ``black``: share of black pixels. ``ghosts``: of pixels called valid that are off by more than 60 levels.
* ``marked``: share of the hidden pixels that ``CAMERA/valid`` marks. ``invalid``: of all pixels.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import NamedTuple

import cv2
import numpy as np
import torch

import fusion_aug as fa
from fusion_aug.ops.grid import pixel_grid
from fusion_aug.synth.drive import T0
from fusion_aug.synth.sensors import take_picture
from fusion_aug.synth.town import make_town
from fusion_aug.synth.world import Scenery
from fusion_aug.transforms.mount.miscalibrate import mounting_matrix

Array = np.ndarray
FRAMES, CAMERAS = (3, 7, 12, 16), ("CAM_FRONT", "CAM_FRONT_LEFT")
SHIFTS = ({"x": 0.3}, {"x": -0.2, "y": 0.2})  # metres
STILL = {"x_deg": 0.0, "y_deg": 0.0, "z_deg": 0.0, "x": 0.0, "y": 0.0, "z": 0.0}
GHOST = 60  # levels
NEAR, SLACK = 0.995, 0.03  # share, and metres, by which something must be nearer to hide a point


class Truth(NamedTuple):
    """What the world shows to the moved camera, (H, W, 3); and (H, W) bool, what the old one saw of it or not.

    Attributes:
        hidden: by something. beyond: past the old picture's edges.
    """

    picture: Array
    hidden: Array
    beyond: Array


def truth(sample: fa.Sample, scenery: Scenery, camera: str, shift: dict[str, float]) -> Truth:
    """The picture from the shifted camera, and a ray to every point that it shows from the old one."""
    stamp, sensor = int(sample[camera].capture_times[0]), sample.rig.camera(camera)
    world, old = scenery.at((stamp - T0 * 1000) * 1e-9), sample.rig.T("world", camera, stamp)
    new = old @ mounting_matrix({**STILL, **shift})
    rays = (sensor.unproject(pixel_grid(sensor.size)) @ new[:3, :3].T).numpy().reshape(-1, 3)
    eye, old_eye = new[:3, 3].numpy(), old[:3, 3].numpy()
    far = world.cast(np.broadcast_to(eye, rays.shape).copy(), rays).distance
    way = eye + rays * np.minimum(far, 1e4)[:, None] - old_eye
    reach = np.linalg.norm(way, axis=1)
    met = world.cast(np.broadcast_to(old_eye, rays.shape).copy(), way / reach[:, None]).distance
    hidden = (met < reach * NEAR - SLACK) & np.isfinite(far)
    _, seen = sensor.project(torch.from_numpy(way) @ old[:3, :3])
    picture = take_picture(world, sensor, new.numpy()).picture
    return Truth(picture, hidden.reshape(sensor.size), ~seen.numpy().reshape(sensor.size))


def counts(out: fa.Sample, camera: str, true: Truth) -> Counter[str]:
    """What is pooled, of one picture."""
    picture, valid = out[camera].image(0).numpy(), out[f"{camera}/valid"].image(0).numpy() > 0  # type: ignore[attr-defined]
    error, inside = np.abs(picture.astype(float) - true.picture).mean(2), ~true.beyond
    sums = {
        "inside": inside, "black": inside & (picture.max(2) == 0), "invalid": inside & ~valid,
        "valid": inside & valid, "ghosts": inside & valid & (error > GHOST),
        "visible": inside & ~true.hidden, "hidden": inside & true.hidden, "marked": inside & true.hidden & ~valid,
    }  # fmt: skip
    errors = {f"{k}_error": float(error[sums[k]].sum()) for k in ("visible", "hidden")}
    return Counter({**{k: int(v.sum()) for k, v in sums.items()}, **errors})


def figures(total: Counter[str]) -> dict[str, float]:
    """The figures of pooled counts."""
    shares = {
        "visible": ("visible_error", "visible"), "hidden": ("hidden_error", "hidden"), "black": ("black", "inside"),
        "ghosts": ("ghosts", "valid"), "marked": ("marked", "hidden"), "invalid": ("invalid", "inside"),
    }  # fmt: skip
    return {name: round(total[a] / max(total[b], 1), 4) for name, (a, b) in shares.items()}


def main() -> None:
    """Print the figures, one JSON object a line."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    log = fa.open_log("nuscenes", sys.argv[1] if len(sys.argv) > 1 else "datasets/drive")
    scenery = Scenery(make_town(0))
    totals: dict[str, Counter[str]] = {"lidar": Counter(), "depth": Counter()}
    for frame in FRAMES:
        sample = log[frame]
        bare = sample.with_streams({n: s for n, s in sample.streams.items() if not n.endswith(("/depth", "/classes"))})
        for camera in CAMERAS:
            ways = {"lidar": bare} | ({"depth": sample} if f"{camera}/depth" in sample.streams else {})
            for shift in SHIFTS:
                true = truth(sample, scenery, camera, shift)
                for way, known in ways.items():
                    out = fa.Viewpoint.apply_params(known, {"sensors": [camera], **STILL, **shift})
                    totals[way] += counts(out, camera, true) + Counter(pictures=1)
    for way, total in totals.items():
        print(json.dumps({"distances": way, "pictures": total["pictures"], **figures(total)}), flush=True)


if __name__ == "__main__":
    main()
