"""Matches of two views through every transform that keeps rows, against numbers that were planted in the source.

``python -m benchmarks.matched_views [LOG ...]`` with logs as ``format:folder``; by default datasets/drive and
datasets/arm. Every transform of the registry, with its example, draws two views, which are held against each other and
against the source. Planted numbers say which points are one; places in the two reference frames, projections into the
two cameras and stamps say how far off matches are. Limits: 1 mm, 0.1 px, 1e-9 rad of joints, 1 ns of stamps. In the end
a match that is planted wrong is to be caught. Prints a table and writes benchmarks/matched_views.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

import fusion_aug as fa
from calib.se3 import transform_points
from fusion_aug.core.registry import own_transforms
from fusion_aug.errors import FusionAugError
from fusion_aug.sample.history import source_name
from fusion_aug.transforms.scene.scene import scene_motion

ROOT = Path(__file__).parent.parent
ARM = {"urdf": ROOT / "datasets/arm/arm.urdf", "rig": ROOT / "datasets/arm/mcap_rig.yaml"}
LOGS = [f"nuscenes:{ROOT}/datasets/drive", f"mcap:{ROOT}/datasets/arm/mcap"]
LIMITS = {"wrong": 0, "points_mm": 1.0, "pixels_px": 0.1, "joints": 1e-9, "stamps_ns": 1}
NUMBER = "instance"  # of the planted column, which what is no object's loses
MOST_POINTS, PLACES = 4000, 300
COUNTS = ("points", "pixels", "readings", "stamps")
CONTAINERS = ("Compose", "OneOf", "RandomApply", "SomeOf")
GELS_TOO = ("Photometric", "Fault")  # families that are asked for the cameras of the world alone


def planted(sample: fa.Sample) -> fa.Sample:
    """The sample with numbered points, in float64, and with no more of them than can be looked at quickly."""
    streams = dict(sample.streams)
    for name, cloud in sample.of_type(fa.Points).items():
        whole = cloud.realized().loaded()
        keep = torch.arange(whole.rows) % max(1, whole.rows // MOST_POINTS) == 0
        part = whole.select(keep)
        streams[name] = part.with_values(xyz=part["xyz"].double(), **{NUMBER: torch.arange(part.rows) + 1})
    return sample.with_streams(streams)


def rows_of(a: fa.Sample, b: fa.Sample, exact: bool) -> tuple[int, int, float]:
    """Matched points, those of unequal numbers, and how far the others lie apart in b's reference frame, m."""
    pair, count, wrong, worst = fa.matches(a, b), 0, 0, 0.0
    for name in a.of_type(fa.Points):
        found = pair.points(name)
        if not len(found):
            continue
        first, second = (v.points(n).realized() for v, n in ((a, found.name_a), (b, found.name_b)))
        same = first[NUMBER][found.rows_a] == second[NUMBER][found.rows_b]
        count, wrong = count + len(found), wrong + int((~same).sum())
        if exact:
            there = first["xyz"][found.rows_a].double() @ pair.T_b_a[:3, :3].T + pair.T_b_a[:3, 3]
            off = (there - second["xyz"][found.rows_b]).norm(dim=1)
            worst = max([worst, *off[torch.isfinite(off)].tolist()])
    return count, wrong, worst


def pixels_of(source: fa.Sample, a: fa.Sample, b: fa.Sample) -> tuple[int, float]:
    """Matched pixels of places that both cameras see, and how far they lie from the places' projections, px.

    Places lie along the rays of the source's pixels at random distances, and are carried by each view's motion.
    """
    pair, count, worst, rng = fa.matches(a, b), 0, 0.0, torch.Generator().manual_seed(0)
    names = {source_name(n, a.history): n for n in a.of_type(fa.Camera)}
    for camera in source.of_type(fa.Camera):
        item, sensor = source.key_item(camera), source.true_rig.camera(camera)
        at = torch.rand(PLACES, 2, generator=rng, dtype=torch.float64) * torch.tensor(sensor.size[::-1])
        near, far = (0.2, 2.0) if source.of_type(fa.JointState) else (2.0, 60.0)
        distance = near * (far / near) ** torch.rand(PLACES, 1, generator=rng, dtype=torch.float64)
        places = transform_points(source.T_ref(camera, item, true_rig=True), sensor.unproject(at) * distance)
        places = places[torch.isfinite(places).all(1)]
        if camera not in names:
            continue
        in_a, in_b = (transform_points(scene_motion(v.history), places) for v in (a, b))
        mine = (a[names[camera]].item_numbers == item).nonzero()[:, 0].tolist()
        if not mine:
            continue
        pixels, seen = a.project_ref(in_a, names[camera], camera_item=mine[0], true_rig=True)
        T = a.T_ref(names[camera], mine[0], true_rig=True)
        ranges = (in_a - T[:3, 3]).norm(dim=1)  # needed where a camera was shifted
        found = pair.pixels(names[camera], pixels, item=mine[0], distance=ranges)
        if found.why or not found.camera:
            continue
        wanted, also = b.project_ref(in_b, found.camera, camera_item=found.item, true_rig=True)
        off = (found.pixels - wanted).norm(dim=1)[seen & also & found.valid]
        count, worst = count + len(off), max([worst, *off.tolist()])
    return count, worst


def joints_of(a: fa.Sample, b: fa.Sample) -> tuple[int, float]:
    """Matched joint readings, and how far positions lie apart once sign and offset are applied, rad or m."""
    count, worst = 0, 0.0
    for name, stream in a.of_type(fa.JointState).items():
        found = fa.matches(a, b).joints(name)
        if not found.name_b or not len(found.items_a) or "position" not in stream.values:
            continue
        there = stream["position"][found.items_a][:, found.joints_a].double() * found.sign + found.offset
        off = (there - b[found.name_b]["position"][found.items_b][:, found.joints_b]).abs()
        count, worst = count + off.numel(), max(worst, float(off.max()))
    return count, worst


def stamps_of(a: fa.Sample, b: fa.Sample) -> tuple[int, int]:
    """Matched items, and how many ns their true times lie apart once they are mapped."""
    pair, count, worst = fa.matches(a, b), 0, 0
    for name in a.streams:
        found = pair.items(name)
        if len(found):
            there, _ = pair.times(a[found.name_a].true_capture_times[found.rows_a])
            off = (there - b[found.name_b].true_capture_times[found.rows_b]).abs()
            count, worst = count + len(off), max(worst, int(off.max()))
    return count, worst


def figures(sample: fa.Sample, name: str, cls: Any, seed: int = 1) -> dict[str, Any]:
    """What two views by one transform give."""
    settings = dict(cls.example)
    families = {base.__name__ for base in cls.__mro__}
    if families & set(GELS_TOO) and "cameras" in cls.__dataclass_fields__:
        settings["cameras"] = [n for n in sample.of_type(fa.Camera) if "tactile" not in n]
    views = fa.views(sample, cls(**settings), seed=seed)
    noisy = {"content_identity"} & set(cls.exemptions)
    row: dict[str, Any] = {
        "transform": name, "keeps_rows": "keeps_rows" not in cls.exemptions,
        "points": 0, "pixels": 0, "readings": 0, "stamps": 0, **dict.fromkeys(LIMITS, 0.0),
    }  # fmt: skip
    for a, b in (views, (sample, views[1])):
        points, wrong, off = rows_of(a, b, exact=not noisy)
        pixels, off_pixels = pixels_of(sample, a, b)
        readings, off_joints = joints_of(a, b)
        stamps, off_stamps = stamps_of(a, b)
        for key, count in zip(COUNTS, (points, pixels, readings, stamps), strict=True):
            row[key] += count
        for key, value in zip(LIMITS, (wrong, 1e3 * off, off_pixels, off_joints, off_stamps), strict=True):
            row[key] = max(row[key], value)
    if noisy:  # points are moved on purpose
        row["points_mm"] = None
    return row


def walk(sample: fa.Sample) -> list[dict[str, Any]]:
    """The figures of every transform; of those that do not fit the sample why."""
    out = []
    for name, cls in own_transforms().items():
        if name in CONTAINERS or not cls.example:
            continue
        try:
            out.append(figures(sample, name, cls))
        except FusionAugError as error:
            out.append({"transform": name, "refused": str(error)})
    return out


def planted_wrong(sample: fa.Sample) -> dict[str, Any]:
    """What the same figures say where two matched rows, and a view's pixel map by 0.5 px, are planted wrong."""
    a, b = fa.views(sample, fa.RotateScene(yaw_deg=[-45, 45]), seed=1)
    name = next(iter(a.of_type(fa.Lidar)))
    found = b[name].realized()
    order = torch.arange(found.rows)
    order[[3, found.rows // 2]] = order[[found.rows // 2, 3]]
    swapped = found.with_values(**{c: v[order] for c, v in found.values.items() if isinstance(v, torch.Tensor)})
    _, wrong, off = rows_of(a, b.with_streams({**b.streams, name: swapped}), exact=True)
    camera = next(iter(b.of_type(fa.Camera)))
    shift = torch.eye(3, dtype=torch.float64)
    shift[0, 2] = 0.5
    sensor = b.rig.camera(camera)
    # what is matched follows a picture that is shifted, and what is measured the calibration that is not
    shifted = b.with_meta(0, true_rig=b.rig.with_sensor(camera, sensor.with_pixel_map(shift, sensor.size)))
    pixels, seen = a.project(name, camera)
    off_pixels = (fa.matches(a, shifted).pixels(camera, pixels[seen]).pixels - b.project(name, camera)[0][seen]).norm(
        dim=1
    )
    return {"rows_caught": wrong, "points_mm": 1e3 * off, "pixels_px": float(off_pixels.median())}


def open_sample(word: str) -> fa.Sample:
    """The first sample of a log, ``format:folder``."""
    kind, _, root = word.partition(":")
    log = fa.open_log(kind, root, **(ARM if kind == "mcap" and "datasets/arm" in root else {}))
    return planted(log[0])


def main() -> None:
    """Print and write the figures; exits with 1 where one is over its limit."""
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    failed = False
    for word in sys.argv[1:] or LOGS:
        sample = open_sample(word)
        rows = walk(sample)
        name = "/".join(Path(word.partition(":")[2]).parts[-2:])
        found[name] = {"rows": rows}
        print(f"\n{name}: sample {sample.id}")
        for row in rows:
            if "refused" in row:
                print(f"  {row['transform']:22} not measured: {row['refused'][:90]}")
                continue
            over = [k for k, limit in LIMITS.items() if row[k] is not None and row[k] > limit]
            failed |= bool(over) and row["keeps_rows"]
            told = ", ".join(f"{k} {row[k]:.2g}" for k in LIMITS if row[k] is not None)
            mark = " " if row["keeps_rows"] else "-"
            counts = " ".join(f"{row[k]:6} {k}" for k in COUNTS)
            print(f"{mark} {row['transform']:22} {counts}: {told} {'OVER ' + ', '.join(over) if over else ''}")
        if sample.of_type(fa.Lidar):
            found[name]["planted"] = planted_wrong(sample)
            print(f"  planted wrong: {found[name]['planted']}")
    Path(__file__).with_suffix(".json").write_text(json.dumps({"limits": LIMITS, "logs": found}, indent=1) + "\n")
    sys.exit(failed)


if __name__ == "__main__":
    main()
