"""Topics that are called by a side: a mirror renames them together with their frames, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ros_pictures import T0, K, Message, bag, changed, header, image, info, make, picture, tf
from scipy.spatial.transform import Rotation

import fusion_aug as fa

pytest.importorskip("mcap")
BASELINE = 0.2
P_LEFT = np.column_stack([np.array(K), np.zeros(3)])
P_RIGHT = P_LEFT - np.outer([1, 0, 0], [0, 0, 0, K[0][0] * BASELINE])
MIRROR = fa.MirrorScene(axis="y", p=1.0)


def scan(frame: str, ranges: list[float]) -> Any:
    return make(
        "sensor_msgs/LaserScan", header=header(T0, frame), angle_min=-0.1, angle_max=0.1, angle_increment=0.1,
        time_increment=0.0, scan_time=0.1, range_min=0.05, range_max=30.0, ranges=np.array(ranges, np.float32),
        intensities=np.zeros(0, np.float32),
    )  # fmt: skip


def places(out: dict[str, list[Any]]) -> dict[str, np.ndarray]:
    """T_base_frame (4, 4) of every frame."""
    found = {}
    for t in (t for message in out["/tf_static"] for t in message.transforms):
        found[t.child_frame_id] = np.eye(4)
        q, p = t.transform.rotation, t.transform.translation
        found[t.child_frame_id][:3, :3] = Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix()
        found[t.child_frame_id][:3, 3] = p.x, p.y, p.z
    return found


@pytest.mark.parametrize("space", ["", "/stereo"])
def test_a_mirrored_pair_stands_where_its_baseline_says(tmp_path: Path, space: str) -> None:
    messages: list[Message] = []
    for seed, (side, P) in enumerate({"left": P_LEFT, "right": P_RIGHT}.items()):
        messages += [(f"{space}/{side}/image_raw", T0, image(picture(seed=seed), "rgb8", frame=f"{side}_optical")),
                     (f"{space}/{side}/camera_info", T0, info(p=P, frame=f"{side}_optical")),
                     ("/tf_static", T0, tf("base_link", f"{side}_optical", y=-BASELINE * seed))]  # fmt: skip
    out = changed(fa.open_log("mcap", bag(tmp_path / "log", messages)), tmp_path / "out", MIRROR)
    frames = [out[f"{space}/{side}/image_raw"][0].header.frame_id for side in ("left", "right")]
    left, right = (places(out)[f] for f in frames)
    told = out[f"{space}/right/camera_info"][0]
    assert told.header.frame_id == frames[1]
    assert np.allclose((np.linalg.inv(left) @ right)[:3, 3], [-told.p[3] / told.p[0], 0, 0], atol=1e-9)
    for seed, frame in enumerate(("left_optical", "right_optical")):  # what is seen from the mirrored place of a frame
        place = places(out)[frame][:3, 3]
        assert np.allclose(place, [0, BASELINE * seed, 0], atol=1e-9)
        shown = out[f"{space}/{('left', 'right')[frames.index(frame)]}/image_raw"][0]
        assert np.array_equal(shown.data.reshape(24, 32, 3), picture(seed=seed)[:, ::-1])


def test_scanners_on_both_sides_keep_their_frames(tmp_path: Path) -> None:
    messages: list[Message] = [("/scan_left", T0, scan("laser_left", [1.0, 2.0, 3.0])),
                               ("/scan_right", T0, scan("laser_right", [4.0, 5.0, 6.0])),
                               ("/tf_static", T0, tf("base_link", "laser_left", y=0.3)),
                               ("/tf_static", T0, tf("base_link", "laser_right", y=-0.3))]  # fmt: skip
    out = changed(fa.open_log("mcap", bag(tmp_path / "log", messages)), tmp_path / "out", MIRROR)
    for side, y, ranges in (("left", 0.3, [1.0, 2.0, 3.0]), ("right", -0.3, [4.0, 5.0, 6.0])):
        message = out[f"/scan_{side}"][0]
        assert message.header.frame_id == f"laser_{side}"
        assert np.allclose(places(out)[f"laser_{side}"][:3, 3], [0, -y, 0], atol=1e-9)
        assert sorted(message.ranges.tolist()) == ranges
