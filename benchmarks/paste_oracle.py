"""Pasted objects against a world that really has them: pictures, scans and detections are made anew with the car there.

``python -m benchmarks.paste_oracle [--pastes N] [--cache DIR]``. Two streets have the same road and other houses and
parked cars. Every object of the one that ``PasteObjects`` puts into the other is put into the other world too, at the
same place, which is then rendered and scanned again. Compared are the pixels of the object (by a depth stream of both
samples, and by LiDAR and picture alone), levels in it and on the ground beside it, the returns it has and those it
hides, and detections of radars. Objects are at least 60 px wide. Prints the figures and writes
benchmarks/paste_oracle.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import fusion_aug as fa
from fusion_aug.logs.core.whole import whole_folder
from fusion_aug.ops.grid import pixel_grid
from fusion_aug.synth import drive as made
from fusion_aug.synth.drive import Drive, Size, seconds
from fusion_aug.synth.sensors import detect, scan, take_masks, take_picture
from fusion_aug.synth.tables import Tables
from fusion_aug.synth.town import Town, make_town
from fusion_aug.synth.world import Scenery, World
from fusion_aug.transforms.mix.paste import PasteObjects
from fusion_aug.transforms.mix.paste_objects import Boxed, Solid
from fusion_aug.transforms.mix.paste_pictures import meetings_of

Array = np.ndarray
WIDEST, RING, LEAST_POINTS = (
    60,
    0.5,
    50,
)  # px, metres of ground beside an object, returns of a box that counts are about
FRAMES, EVERY = 5, 1.9
SIZE = Size((396, 704), 360)
CLOUD = "LIDAR_TOP"


class Blank(Drive):
    """A drive whose pictures are drawn later, those that are needed."""

    def camera(self, name: str, sample: str, keyframe: int, measured: bool, extra: Any) -> None:
        """An empty picture."""
        if name != "FISHEYE_FRONT":
            sensor, _, delay = self.mounted[name]
            stamp = keyframe + round(delay * 1e6)
            ego = self.ego(seconds(stamp))
            path = self.tables.data(name, sample, stamp, True, ".jpg", sensor.size, ego)  # type: ignore[attr-defined]
            made.write_image(torch.zeros((*sensor.size, 3), dtype=torch.uint8), path, 50)  # type: ignore[attr-defined]


@dataclass
class Street:
    """A street and its log without pictures."""

    drive: Drive
    log: Any

    @staticmethod
    def made(folder: Path, seed: int) -> Street:
        """Of a seed; it is made where it is not there yet."""
        name, town = f"drive-{seed:04d}", make_town(seed)
        if not folder.exists():
            with whole_folder(folder) as part:
                drive = Blank(Tables(part, name, seed), town, SIZE, True, "sun", EVERY)
                made._write(drive, FRAMES, set(), lambda done, of: None)
        drive = Blank(Tables(folder, name, seed), town, SIZE, True, "sun", EVERY)
        return Street(drive, fa.open_log("nuscenes", folder))

    def body(self, instance: str) -> int:
        """Number of the body of a box."""
        tokens = [self.drive.tables.token("instance", n) for n in range(len(self.drive.town.bodies))]
        return tokens.index(instance)


DRAWN: dict[tuple[str, str], dict[str, fa.Stream]] = {}  # what was drawn of a keyframe's cameras, of the last few


def with_picture(sample: fa.Sample, street: Street, name: str, depth: bool) -> fa.Sample:
    """A sample with a camera's picture, and its depth where asked for."""
    key = (sample.id, name)
    if key not in DRAWN:
        DRAWN[key] = _drawn(sample, street, name)
    while len(DRAWN) > 40:
        DRAWN.pop(next(iter(DRAWN)))
    return sample.with_streams({**sample.streams, **{n: s for n, s in DRAWN[key].items() if depth or n == name}})


def _drawn(sample: fa.Sample, street: Street, name: str) -> dict[str, fa.Stream]:
    sensor, T, _ = street.drive.mounted[name]
    stamp = int(sample[name].capture_times[0])
    world = street.drive.scenery.at(seconds(stamp // 1000))
    seen = take_picture(world, sensor, street.drive.ego(world.time) @ T)  # type: ignore[arg-type]
    camera = replace(sample[name], items=(torch.from_numpy(seen.picture),))
    depth = fa.Depth(
        frame=name, camera=name, capture_times=camera.capture_times, items=(torch.from_numpy(seen.depth),), measure="z"
    )
    return {name: camera, f"{name}/depth": depth}


def pastes(here: Street, there: Street) -> Iterator[tuple[fa.Sample, fa.Sample, Solid]]:
    """Every object of the second street that can be pasted into the first, one by one."""
    transform = PasteObjects()
    for a, b in zip(here.log, there.log, strict=True):
        mine, theirs = Boxed(a), Boxed(b)
        for row in range(theirs.boxes.rows):
            found = transform._placed(theirs, mine, row, [], np.random.default_rng(0))
            if isinstance(found, Solid):
                yield a, b, found


class Figures:
    """Sums of what is compared."""

    def __init__(self) -> None:
        self.values: dict[str, list[float]] = defaultdict(list)
        self.objects = 0

    def add(self, name: str, *values: float) -> None:
        """One object's figures."""
        self.values[name] += values

    def told(self) -> dict[str, Any]:
        """Figures of all."""
        v = {n: np.array(x) for n, x in self.values.items()}
        out: dict[str, Any] = {"objects": self.objects, "pictures": len(v.get("iou depth", ()))}
        for how in ("depth", "completion"):
            for what, worst in (("iou", np.min), ("levels inside", np.max), ("levels on the ring", np.max)):
                x = v.get(f"{what} {how}", np.zeros(0))
                if len(x):
                    figures = {"mean": x.mean(), "median": np.median(x), "worst": worst(x)}
                    out[f"{what}, {how}"] = {k: round(float(q), 3) for k, q in figures.items()}
        points = np.array(self.values["points"]).reshape(-1, 2)
        many = points[points[:, 1] >= LEAST_POINTS]
        ours, world = (int(n) for n in many.sum(0))
        out[f"returns of objects with {LEAST_POINTS}"] = {"ours": ours, "world": world, "boxes": len(many)}
        both, ours, world = (int(n) for n in np.array(self.values["hidden"]).reshape(-1, 3).sum(0))
        share = round(both / max(ours + world - both, 1), 4)
        out["hidden returns"] = {"both": both, "ours": ours, "world": world, "share of the union": share}
        radar = np.array(self.values["detections"]).reshape(-1, 2).sum(0)
        out["detections of objects"] = {"ours": int(radar[0]), "world": int(radar[1])}
        for name in ("detection m", "detection m/s"):
            x = v.get(name, np.zeros(0))
            if len(x):
                out[name] = {"median": round(float(np.median(x)), 4), "p95": round(float(np.quantile(x, 0.95)), 4)}
        return out


def compare(here: Street, there: Street, a: fa.Sample, b: fa.Sample, solid: Solid, figures: Figures) -> bool:
    """Compare one paste; whether the object is wide enough in some picture."""
    town, body = here.drive.town, there.drive.town.bodies[there.body(str(Boxed(b).boxes["instance"][solid.row]))]
    number = len(town.bodies)
    scenery = Scenery(Town(town.road, (*town.bodies, body)), "sun")
    wide = [n for n in made.CAMERAS if _is_wide(here, scenery, a, n, number, meetings_of(a, b, n, [solid])[0])]
    if not wide:
        return False
    for name in wide:
        for how in ("depth", "completion"):
            x, y = (with_picture(s, street, name, how == "depth") for s, street in ((a, here), (b, there)))
            _pictures(here, scenery, x, y, name, solid, number, how, figures)
    plan = {"objects": [solid.to_json()], "captions": "drop"}
    bare = [s.with_streams({n: x for n, x in s.streams.items() if not isinstance(x, fa.ImageStream)}) for s in (a, b)]
    out = PasteObjects.mixed(*bare, plan)
    _scans(here, scenery, a, out, number, figures)
    for name in made.RADARS:
        _detections(here, scenery, a, out, name, number, figures)
    return True


def _world(here: Street, scenery: Scenery, sample: fa.Sample, name: str) -> tuple[World, Any, Array]:
    sensor, T, _ = here.drive.mounted[name]
    world = scenery.at(seconds(int(sample[name].capture_times[sample.key_item(name)]) // 1000))
    return world, sensor, here.drive.ego(world.time) @ T


def _is_wide(here: Street, scenery: Scenery, sample: fa.Sample, name: str, number: int, met: Any) -> bool:
    if met is None or met.where.size[1] < WIDEST:
        return False
    world, sensor, T = _world(here, scenery, sample, name)
    seen = take_masks(world, _cropped(sensor, met.where), T)[1] == number + 1
    columns = np.flatnonzero(seen.any(0))
    return bool(len(columns) and np.ptp(columns) + 1 >= WIDEST)


def _cropped(sensor: Any, where: Any) -> Any:
    shift = torch.tensor([[1.0, 0, -where.left], [0, 1, -where.top], [0, 0, 1]], dtype=torch.float64)
    return sensor.with_pixel_map(shift, where.size)


def _pictures(
    here: Street, scenery: Scenery, a: fa.Sample, b: fa.Sample, name: str, solid: Solid, number: int, how: str,
    figures: Figures,
) -> None:  # fmt: skip
    met = meetings_of(a, b, name, [solid])[0]
    assert met is not None
    world, sensor, T = _world(here, scenery, a, name)
    crop = _cropped(sensor, met.where)
    truth = take_picture(world, crop, T)
    body = take_masks(world, crop, T)[1]
    mask = body == number + 1
    ours = np.zeros_like(mask)
    for patch in met.patches:
        ours |= patch.mask
    picture = met.painted(a[name].image(0)).numpy()[met.where.slices]
    error = np.abs(picture.astype(float) - truth.picture).mean(-1)
    figures.add(f"iou {how}", float((ours & mask).sum() / max(int((ours | mask).sum()), 1)))
    figures.add(f"levels inside {how}", float(error[mask].mean()))
    rays = crop.unproject(pixel_grid(crop.size)).numpy()
    places = (
        met.here.T_ref_cam[:3, 3]
        + (rays * np.minimum(truth.depth / rays[..., 2], 1e3)[..., None]) @ met.here.T_ref_cam[:3, :3].T
    )
    local = solid.within(places, 0.0)
    beside = np.hypot(*np.moveaxis((np.abs(local[..., :2]) - solid.size[:2] / 2).clip(min=0), -1, 0))
    ring = (body == 0) & (beside < RING) & (np.abs(local[..., 2] - solid.ground) < 0.2)
    if ring.sum() > 20:
        figures.add(f"levels on the ring {how}", float(error[ring].mean()))


def _scans(here: Street, scenery: Scenery, a: fa.Sample, out: fa.Sample, number: int, figures: Figures) -> None:
    sensor, T, _ = here.drive.mounted[CLOUD]
    stamp, rng = seconds(a.ref.time // 1000), np.random.default_rng(0)
    found = scan(scenery, sensor, lambda t: here.drive.ego(t) @ T, stamp, SIZE.columns, made.TURN, rng)  # type: ignore[arg-type]
    world = set(map(tuple, _beams(found["ring"], found["time_offset"])[found["body"] == number]))
    item = a.key_item(CLOUD)
    before, after = a[CLOUD].loaded(), out[CLOUD].loaded()  # type: ignore[attr-defined]
    mine, ours = before.item_slice(item), after.item_slice(item)
    beams = _beams(before["ring"][mine].numpy(), before["time_offset"][mine].numpy())
    kept = set(after.row_numbers[ours].tolist())
    hidden = {tuple(b) for k, b in enumerate(beams) if k not in kept}
    real = world & set(map(tuple, beams))
    figures.add("points", float((after.row_numbers[ours] < 0).sum()), float(len(world)))
    figures.add("hidden", float(len(hidden & real)), float(len(hidden)), float(len(real)))


def _beams(ring: Array, offset: Array) -> Array:
    columns = np.round(offset.astype(float) / made.TURN * SIZE.columns)
    beams: Array = np.stack([ring.astype(int), columns.astype(int)], 1)
    return beams


def _detections(
    here: Street, scenery: Scenery, a: fa.Sample, out: fa.Sample, name: str, number: int, figures: Figures
) -> None:
    world, sensor, T = _world(here, scenery, a, name)
    h = 1e-3
    own = ((here.drive.ego(world.time + h) - here.drive.ego(world.time - h)) @ here.drive.mounted[name][1])[:3, 3] / (
        2 * h
    )
    found = detect(world, sensor, T, own)
    real = found["body"] == number
    item = out.key_item(name)
    cloud = out[name].loaded()  # type: ignore[attr-defined]
    rows = cloud.item_slice(item)
    ours = (cloud.row_numbers[rows] < 0).numpy()
    figures.add("detections", float(ours.sum()), float(real.sum()))
    xyz, raw = cloud["xyz"][rows].numpy()[ours], cloud["velocity"][rows].numpy()[ours]
    for place, velocity in zip(xyz, raw, strict=True):
        if real.any():
            gaps = np.linalg.norm(found["xyz"][real] - place, axis=1)
            nearest = int(gaps.argmin())
            figures.add("detection m", float(gaps[nearest]))
            figures.add("detection m/s", float(np.linalg.norm(found["velocity"][real][nearest] - velocity)))


def measure(count: int, cache: Path) -> dict[str, Any]:
    """Figures of a number of pastes, of as many pairs of streets as they need."""
    figures, begin = Figures(), time.process_time()
    for pair in range(50):
        here, there = (Street.made(cache / f"street-{seed}", seed) for seed in (2 * pair, 2 * pair + 1))
        for a, b, solid in pastes(here, there):
            figures.objects += compare(here, there, a, b, solid, figures)
            told = figures.told() | {"pairs of streets": pair + 1, "cpu_s": round(time.process_time() - begin)}
            (cache / "so_far.json").write_text(json.dumps(told, indent=1) + "\n")
            if figures.objects >= count:
                return told
    return figures.told()


def main() -> None:
    """Print and write the figures."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pastes", type=int, default=100)
    parser.add_argument("--cache", type=Path)
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as fresh:
        found = measure(words.pastes, words.cache or Path(fresh))
    print(json.dumps(found, indent=1))
    Path(__file__).with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
