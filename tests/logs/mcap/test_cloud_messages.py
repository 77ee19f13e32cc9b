"""PointCloud2 against NumPy: every field by its meaning under motions of the scene and of the sensor, scale and time.

The oracle reads and moves structured arrays of its own; it knows nothing of meanings.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import fusion_aug as fa
from calib import Frame, LidarSensor, Rig
from calib.se3 import rotation_from_rotvec
from fusion_aug.errors import ConfigError, Obstacle
from fusion_aug.sample import Ref, Sample, SampleMeta
from fusion_aug.streams import Lidar

pytest.importorskip("rosbags")
from bags import T0
from cloud_messages import RNG, after, message, sample_of, stream_of, table

from fusion_aug.logs.mcap.cloud_layout import packed_rows
from fusion_aug.logs.mcap.clouds import check_told_fields, write_cloud

WALK = {
    "normal_x": ("<f4", 0.6), "normal_y": ("<f4", 0.48), "normal_z": ("<f4", 0.64), "vx": ("<f4", 3.0),
    "vy": ("<f4", -2.0), "doppler": ("<f4", 4.0), "range": ("<u4", 0), "azimuth": ("<f4", 0), "elevation": ("<f4", 0),
    "curvature": ("<f4", 0.5), "intensity": ("u1", 77), "ring": ("<u2", 5), "rgb": ("<u4", 0xFF00AA),
    "t": ("<u4", np.arange(60) * 1_000_000), "label": ("<i4", 3),
}  # fmt: skip


def walked() -> np.ndarray:
    rows = table(60, **WALK)
    return with_derived(rows)


def with_derived(rows: np.ndarray) -> np.ndarray:
    """Distances in mm, and azimuths clockwise from y in degrees, as drivers work them out of the coordinates."""
    x, y, z = (rows[a].astype(float) for a in "xyz")
    rows["range"] = np.round(np.sqrt(x * x + y * y + z * z) * 1000)
    rows["azimuth"] = np.degrees(np.arctan2(x, y)) % 360
    rows["elevation"] = np.degrees(np.arctan2(z, np.hypot(x, y)))
    return rows


def expected(rows: np.ndarray, M: np.ndarray, speed: float = 1.0) -> np.ndarray:
    """All fields after a similarity (3, 3) of the scanner's own axes and a change of speed, by the book."""
    s = np.cbrt(abs(np.linalg.det(M)))
    out = rows.copy()
    for names, factor in ((("x", "y", "z"), 1.0), (("normal_x", "normal_y", "normal_z"), 1 / s)):
        moved = np.stack([rows[n].astype(float) for n in names], 1) @ M.T * factor
        for k, n in enumerate(names):
            out[n] = moved[:, k]
    v = np.stack([rows["vx"], rows["vy"], np.zeros(len(rows))], 1) @ M.T * speed
    out["vx"], out["vy"] = v[:, 0], v[:, 1]
    out["doppler"] = rows["doppler"] * s * speed
    out["t"] = np.round(rows["t"] / speed)
    return with_derived(out)


def assert_same(found: np.ndarray, right: np.ndarray) -> None:
    for name in right.dtype.names or ():
        off = np.abs(found[name].astype(float) - right[name].astype(float))
        if name == "azimuth":
            off = np.minimum(off, 360 - off)
        limit = 1 if name == "range" else 2e-4
        assert off.max() <= limit, (name, off.max())


MIRROR = np.diag([1.0, -1.0, 1.0])
TURN = rotation_from_rotvec(torch.tensor([0.0, 0.0, np.radians(30.0)])).numpy()


@pytest.mark.parametrize(
    ("transform", "M", "speed"),
    [
        (fa.MirrorScene(axis="y", p=1.0), MIRROR, 1.0),
        (fa.ScaleScene(scale=1.25), 1.25 * np.eye(3), 1.0),
        (fa.RotateScene(yaw_deg=40.0), np.eye(3), 1.0),  # of the scanner with the scene
        (fa.Viewpoint(sensors=["points"], z_deg=30.0), TURN.T, 1.0),
        (fa.SpeedWarp(speed=2.0), np.eye(3), 2.0),
        (fa.Compose([fa.MirrorScene(axis="y", p=1.0), fa.SpeedWarp(speed=0.5)]), MIRROR, 0.5),
    ],
)  # fmt: skip
def test_every_field_follows_its_law(transform: Any, M: np.ndarray, speed: float) -> None:
    rows = walked()
    assert_same(after(transform, rows), expected(rows, M, speed))


def test_a_moved_scanner_measures_other_rays() -> None:
    """A shift: places, distances and angles from the new place; a standing target has the same Doppler of 0."""
    rows = walked()
    rows["doppler"][::2] = 0
    shift = np.array([0.4, -0.2, 0.1])
    found = after(fa.Viewpoint(sensors=["points"], x=0.4, y=-0.2, z=0.1), rows)
    kept = found[np.isin(found["t"], rows["t"])]
    old = rows[kept["t"] // 1_000_000]
    xyz = np.stack([old[a] for a in "xyz"], 1).astype(float)
    right = old.copy()
    for k, a in enumerate("xyz"):
        right[a] = (xyz - shift)[:, k]
    cosine = (xyz * (xyz - shift)).sum(1) / np.linalg.norm(xyz, axis=1) / np.linalg.norm(xyz - shift, axis=1)
    right["doppler"] = old["doppler"] * cosine
    assert len(kept) > 40
    assert_same(kept, with_derived(right))


# --- what nothing changes --------------------------------------------------------------------------------------------
def bits(points: np.ndarray, name: str) -> bytes:
    return np.ascontiguousarray(points[name]).tobytes()


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_change_of_intensity_leaves_every_other_bit(order: str) -> None:
    """Float64 coordinates of a map, NaN with bits of their own, fill between fields and after rows, big numbers."""
    far = table(60, f"{order}f8", (448262.123, 5411932.456, 110.0), intensity=(f"{order}f4", 50))
    kind = np.dtype({
        "names": ["x", "y", "z", "intensity", "rgb", "stamp", "who"],
        "formats": [f"{order}f8"] * 3 + [f"{order}f4", f"{order}f4", f"{order}f8", f"{order}u4"],
        "offsets": [0, 8, 16, 28, 32, 40, 48], "itemsize": 60,
    })  # fmt: skip
    data = RNG.integers(0, 256, (60, 60), dtype=np.uint8)
    rows = data.reshape(-1).view(kind)
    for a in ("x", "y", "z", "intensity"):
        rows[a] = far[a]
    rows["x"][7] = np.nan
    template = message(rows, 6, 16)
    template.data = _with_noise_as_fill(template, data)
    told = {"who": "scalar", "stamp": "scalar"}
    found = fa.IntensityGain(gain=0.5)(_scaled(sample_of(stream_of(template, **told))), seed=1)["points"]
    written = write_cloud(found, template, 0)
    after, before = (packed_rows(m, "test") for m in (written, template))
    assert np.allclose(after["intensity"], 25)
    changed = np.asarray(written.data) != np.asarray(template.data)
    assert set(np.flatnonzero(changed) % (10 * 60 + 16) % 60) <= {28, 29, 30, 31}
    for name in ("x", "y", "z", "rgb", "stamp", "who"):
        assert bits(after, name) == bits(before, name)
    same = ("height", "width", "point_step", "row_step", "is_bigendian", "is_dense")
    assert [getattr(written, n) for n in same] == [getattr(template, n) for n in same]


def _with_noise_as_fill(template: Any, data: np.ndarray) -> np.ndarray:
    """The bytes of a message of 6 rows of 10 points, where what is no field is noise."""
    whole = np.full((6, 10 * 60 + 16), 0xAA, np.uint8)
    whole[:, :600] = data.reshape(6, 600)
    return whole.reshape(-1)


def _scaled(sample: Sample) -> Sample:
    rig = Rig(sample.rig.frames, {"points": LidarSensor(frame="lidar", intensity_scale=255.0)})
    return sample.with_meta(0, rig=rig, true_rig=rig)


@pytest.mark.parametrize("lost", [fa.PointDropout(share=0.5), fa.RangeCrop(low=0.0, high=15.0)])
def test_points_that_stay_keep_their_bits(lost: Any) -> None:
    far = (1.1e7, 4e6, 3.0) if isinstance(lost, fa.PointDropout) else (0, 0, 0)
    stamps = ("<f8", T0 * 1e-9 + np.arange(60) * 1e-3)
    rows = table(60, "<f8", far, stamp=stamps, q=("<f4", 0.1), mark=("<u4", np.arange(60)))
    template = message(rows, 6)
    found = after(lost, rows, template, stamp="time", q="scalar", mark="scalar")
    assert 5 < len(found) < 60 and np.array_equal(found, rows[found["mark"]])


def test_far_coordinates_move_within_a_millimetre() -> None:
    """A cloud in coordinates of a map, 1e7 m away, which a motion of its own frame moves."""
    rows = table(60, "<f8", (1e7, -4e6, 300.0))
    motion = torch.eye(4, dtype=torch.float64)
    motion[:3, :3] = rotation_from_rotvec(torch.tensor([0.1, -0.2, 0.7], dtype=torch.float64)) * 1.1
    motion[:3, 3] = torch.tensor([5.0, 6.0, 7.0])
    template = message(rows)
    moved = stream_of(template).moved(motion[None])
    found = packed_rows(write_cloud(moved, template, 0), "test")
    m = motion.numpy().astype(np.longdouble)
    right = np.stack([rows[a] for a in "xyz"], 1).astype(np.longdouble) @ m[:3, :3].T + m[:3, 3]
    assert max(np.abs(found[a] - right[:, k]).max() for k, a in enumerate("xyz")) < 1e-7
    both = Lidar.concat([moved, stream_of(message(table(5)))], [torch.zeros(1), torch.ones(1)])
    assert both["xyz"].dtype == torch.float64 and torch.equal(both["xyz"][:60], moved["xyz"])


# --- what nobody knows -----------------------------------------------------------------------------------------------
PLANTED = {"foo": ("<f4", 1.5), "bar": ("u1", 3)}
MOVES = [fa.MirrorScene(axis="y", p=1.0), fa.Viewpoint(sensors=["points"], z_deg=3.0)]


@pytest.mark.parametrize("transform", [*MOVES, fa.ScaleScene(scale=1.2), fa.SpeedWarp(speed=2.0)])
@pytest.mark.parametrize("field", PLANTED)
def test_a_field_of_unknown_meaning_stops_what_might_change_it(transform: Any, field: str) -> None:
    rows = table(20, **{field: PLANTED[field]})
    if field == "bar" and transform not in MOVES:  # a byte holds no length and no rate
        assert (after(transform, rows)[field] == 3).all()
    else:
        with pytest.raises(Obstacle, match=rf"/points.*{field}.*log.fields='{{/points: {{{field}: MEANING}}}}'"):
            after(transform, rows)
    assert (after(transform, rows, **{field: "scalar"})[field] == PLANTED[field][1]).all()


HARMLESS = [fa.RotateScene(yaw_deg=30.0), fa.RangeJitter(sigma=0.1), fa.PointDropout(share=0.3)]


@pytest.mark.parametrize("transform", HARMLESS)
def test_a_field_of_unknown_meaning_is_kept_under_all_else(transform: Any) -> None:
    found = after(transform, table(40, **PLANTED))
    assert (found["foo"] == 1.5).all() and (found["bar"] == 3).all()


def test_a_frame_that_is_itself_turned_stops_at_unknown_fields() -> None:
    rig = Rig({"base": Frame()}, {"points": LidarSensor(frame="base")})
    stream = replace(stream_of(message(table(9, foo=("<f4", 1)))), frame="base")
    meta = SampleMeta(id="a", scene="a", ref=Ref("base", T0), rig=rig, true_rig=rig)
    with pytest.raises(Obstacle, match="foo"):
        fa.RotateScene(yaw_deg=30.0)(Sample(metas=(meta,), streams={"points": stream}), seed=1)


def test_an_angle_from_elsewhere_stops_a_mirror() -> None:
    rows = table(60, azimuth=("<f4", RNG.uniform(0, 360, 60)))
    with pytest.raises(Obstacle, match=r"azimuth.*does not follow from its x, y, z"):
        after(MOVES[0], rows)
    assert (after(fa.RotateScene(yaw_deg=30.0), rows)["azimuth"] == rows["azimuth"]).all()


def test_what_the_user_says_of_fields() -> None:
    rows = table(30, a=("<f4", 1), b=("<f4", 2), c=("<f4", 3), w_x=("<f4", 1), w_y=("<f4", 2), w_z=("<f4", 3),
                 q=("<f4", 2.5), doppler=("<f4", 4))  # fmt: skip
    told = {"a+b+c": "velocity", "w": "axial", "q": "length", "doppler": "scalar"}
    mirrored = after(MOVES[0], rows, **told)
    assert [mirrored[n][0] for n in "abc"] == [1, -2, 3]
    assert [mirrored[f"w_{n}"][0] for n in "xyz"] == [-1, 2, -3]  # a pseudo-vector
    bent = after(fa.ScaleScene(scale=2.0), rows, **{**told, "q": "curvature"})
    assert bent["q"][0] == 1.25
    scaled = after(fa.Compose([fa.ScaleScene(scale=2.0), fa.SpeedWarp(speed=3.0)]), rows, **told)
    assert [scaled[n][0] for n in "abc"] == pytest.approx([6, 12, 18])
    assert scaled["q"][0] == 5 and scaled["doppler"][0] == 4 and scaled["w_x"][0] == 1
    with pytest.raises(ConfigError, match=r"log.fields.*'speedy' is no meaning; they are position, direction"):
        check_told_fields({"*": {"q": "speedy"}})
    with pytest.raises(ConfigError, match=r"log.fields.*w_x: is no field that can be a velocity"):
        stream_of(message(rows), w_x="velocity")
