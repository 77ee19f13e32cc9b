"""What a run wrote, as the official layout says it, against what source and manifest say it should be."""

from __future__ import annotations

import filecmp
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from calib import CalibrationError
from fusion_aug.check.air import FogProbe, drawn_weather
from fusion_aug.check.geometry import UNCALIBRATED, calibrated, key_cloud, lidars
from fusion_aug.check.measurement import Row
from fusion_aug.core.engine import replay
from fusion_aug.errors import USER_ERRORS
from fusion_aug.logs.core.files import JPEG_QUALITY
from fusion_aug.logs.core.log import Log
from fusion_aug.logs.core.sidecar import ids_in_manifest
from fusion_aug.logs.core.writer import PARTS_FOLDER, Writer
from fusion_aug.ops.color import jpeg_coded
from fusion_aug.sample import Sample
from fusion_aug.sample.manifest import Entry, Manifest, tree_digest
from fusion_aug.streams import (
    Action,
    BodyPose,
    Boxes2D,
    Camera,
    EgoPose,
    ImageStream,
    Imu,
    JointState,
    Odometry,
    Points,
    Radar,
    Stream,
    TactileImage,
    Taxels,
    Wrench,
)  # fmt: skip

PIXEL_LIMIT = 0.05
POINT_LIMIT = 2e-3  # metres: float32 on disk
JPEG_LIMIT = 4.0  # levels, mean over a picture
MAX_POINTS = 4000
ROBOT_LIMIT = 1e-5  # float32 on disk
ROBOT_UNITS = {"position": "rad", "velocity": "rad/s", "effort": "Nm", "force": "N", "torque": "Nm"}
MOTION_UNITS = {"gyro": "rad/s", "accel": "m/s^2", "velocity": "m/s", "angular_velocity": "rad/s"}


def compare_run(source: Log, written: Log, manifest: Manifest) -> Iterator[list[Row]]:
    """Rows of every sample of a manifest, and of its weathers at the end."""
    probe = FogProbe()
    writer = source.writer(written.root, manifest.header["output"], lossy=bool(manifest.header["lossy"]))
    for entry in manifest.entries:
        before = source.read(entry.source)
        expected = replay(before, entry.history)
        yield [
            compare_files(expected, before, writer, entry),
            *compare_sample(writer.as_read_back(expected, before, standalone=entry.id != entry.source), written, entry),
        ]
        for params in drawn_weather(entry.history):
            probe.add(before, params)
    yield probe.table()


def compare_files(expected: Sample, before: Sample, writer: Writer, entry: Entry) -> Row:
    """The files that the sample has, against the digest that the manifest holds: anything that was changed since."""
    with tempfile.TemporaryDirectory() as folder:
        stage = Path(folder)
        writer.stage(expected, before, entry.id, stage)
        staged = sorted(p for p in stage.rglob("*") if p.is_file())
        # what a writer joins at the end is compared by content, stream by stream
        pairs = [(p, writer.out / p.relative_to(stage)) for p in staged if p.relative_to(stage).parts[0] != PARTS_FOLDER]
        same = tree_digest(stage) == entry.digest and all(
            q.is_file() and filecmp.cmp(p, q, shallow=False) for p, q in pairs
        )
    return Row("files changed since", "all", "samples", 0, np.array([0.0 if same else 1.0]))


def compare_sample(expected: Sample, written: Log, entry: Entry) -> list[Row]:
    """Compare one written sample with the one that it should be."""
    try:
        ids = {out: read for read, out in ids_in_manifest(written.root).items()}
        found = written.read(ids.get(entry.id, entry.id))
    except USER_ERRORS as error:
        return [Row("unreadable", entry.id, "samples", 0, np.array([1.0]), str(error))]
    rows: list[Row] = []
    for name in expected.streams:
        if name not in found.streams:
            rows.append(Row("streams", name, "missing", 0, np.array([1.0])))
    names = [n for n in expected.streams if n in found.streams]
    rows.append(Row("stamps", "sample", "ms", 1e-3, np.array([abs(expected.ref.time - found.ref.time) * 1e-6])))
    for name in names:
        stream = expected[name]
        rows.append(_stamps(expected, found, name))
        if isinstance(stream, Camera):
            rows += [_calibration(expected, found, name), _picture(expected, found, name)]
        elif isinstance(stream, Points):
            rows += _points(expected, found, name)
        elif isinstance(stream, EgoPose):
            rows.append(_ego(expected, found, name))
        elif isinstance(stream, ImageStream):
            rows.append(_labels(expected, found, name))
            rows += _gel(stream, found[name], name) if isinstance(stream, TactileImage) else []
        elif isinstance(stream, Imu | Odometry):
            rows += [_column(expected, found, name, c, MOTION_UNITS[c]) for c in stream.values]
        elif isinstance(stream, JointState | Wrench | Taxels | BodyPose | Action):
            rows += [_column(expected, found, name, c, ROBOT_UNITS.get(c, "1"), ROBOT_LIMIT) for c in stream.values]
    if "boxes" in names:
        rows += _boxes(expected, found)
    rows += [_boxes2d(expected, found, name) for name in names if isinstance(expected[name], Boxes2D)]
    return rows


def _stamps(expected: Sample, found: Sample, name: str) -> Row:
    a, b = expected[name].capture_times, found[name].capture_times
    if len(a) != len(b):
        return Row(f"items ({len(a)} expected, {len(b)} found)", name, "items", 0, np.array([abs(len(a) - len(b))]))
    off = (a - b).abs().numpy() * 1e-6
    return Row("stamps", name, "ms", 1e-3, off)


def _calibration(expected: Sample, found: Sample, name: str) -> Row:
    """The same points of the reference frame through both rigs."""
    if not calibrated(expected, name):
        return Row("calibration", name, "px", PIXEL_LIMIT, reason=UNCALIBRATED)
    if reason := unplaced(expected, name):
        return Row("calibration", name, "px", PIXEL_LIMIT, reason=reason)
    clouds = lidars(expected)
    if clouds:
        xyz = key_cloud(expected, clouds[0])
        xyz = xyz[:: max(1, len(xyz) // MAX_POINTS)]
    else:
        camera = expected.rig.camera(name)
        height, width = camera.size
        grid = torch.cartesian_prod(torch.linspace(0, width - 1, 9), torch.linspace(0, height - 1, 9))
        rays = torch.cat([camera.unproject(grid) * d for d in (5.0, 20.0)])
        T = expected.T_ref(name)
        xyz = rays @ T[:3, :3].T + T[:3, 3]
    uv, visible = expected.project_ref(xyz, name)
    again = found.project_ref(xyz, name)[0]
    off = (uv - again).norm(dim=1)[visible].numpy()
    if expected.rig.camera(name).size != found.rig.camera(name).size:
        off = np.append(off, np.inf)
    return Row("calibration", name, "px", PIXEL_LIMIT, off, "no LiDAR point in view")


def _picture(expected: Sample, found: Sample, name: str) -> Row:
    a, b = expected[name], found[name]
    off = []
    for i in range(min(len(a), len(b))):
        x, y = a.pictures[i], b.pictures[i]  # type: ignore[attr-defined]
        if x.shape != y.shape:
            off.append(np.inf)
            continue
        # noise loses more than the limit in the files' coding, so that is done to what is expected too
        off.append(min(float((z.float() - y.float()).abs().mean()) for z in (x, jpeg_coded(x, JPEG_QUALITY))))
    return Row("picture", name, "levels", JPEG_LIMIT, np.array(off))


def _labels(expected: Sample, found: Sample, name: str) -> Row:
    """Pictures of depth, classes or validity, which are written exactly: the share of pixels that differ."""
    a, b = expected[name], found[name]
    off = []
    for i in range(min(len(a), len(b))):
        x, y = a.pictures[i], b.pictures[i]  # type: ignore[attr-defined]
        off.append(float((x != y).double().mean()) if x.shape == y.shape else 1.0)
    return Row("pixels that differ", name, "share", 0, np.array(off))


def _gel(expected: TactileImage, found: Stream, name: str) -> list[Row]:
    """The background and the lights that are told of a gel, of its first picture, in levels."""
    if not isinstance(found, TactileImage) or not (expected.gels and expected.backgrounds and found.gels):
        return []
    ground = (expected.backgrounds[0].float() - found.backgrounds[0].float()).abs().max()
    lights = (expected.gels[0].lights - found.gels[0].lights).abs().max()
    return [Row("gel: background, lights", name, "levels", 1e-3, np.array([float(ground), float(lights)]))]


def _column(expected: Sample, found: Sample, name: str, column: str, unit: str, limit: float = 1e-6) -> Row:
    """A column of numbers that is written exactly."""
    a, b = expected[name][column], found[name].realized().values.get(column)
    if b is None or a.shape != b.shape:
        return Row(column, name, unit, limit, np.array([np.inf]))
    return Row(column, name, unit, limit, (a.double() - b.double()).abs().reshape(-1).numpy(), "no value")


def unplaced(sample: Sample, name: str) -> str:
    """Why the rig does not tell where a sensor was at its told stamps; empty where it does.

    So it is at the ends of a log with a clock that is off.
    """
    try:
        for i in range(len(sample[name])):
            sample.T_ref(name, i)
    except CalibrationError as error:
        return str(error)
    return ""


def _points(expected: Sample, found: Sample, name: str) -> list[Row]:
    if reason := unplaced(expected, name):
        return [Row("points", name, "m", POINT_LIMIT, reason=reason)]
    a, b = expected.points(name), found.points(name)
    if a.counts.tolist() != b.counts.tolist():
        return [Row("points", name, "m", POINT_LIMIT, np.array([np.inf]))]
    finite = torch.isfinite(a["xyz"]).all(1)
    rows = [
        Row("points", name, "m", POINT_LIMIT, (a["xyz"] - b["xyz"]).norm(dim=1)[finite].numpy(), "the cloud is empty")
    ]
    if "time_offset" in expected[name].values:
        rows.append(_column(expected, found, name, "time_offset", "s"))
    if isinstance(a, Radar):
        for column in ("velocity", "velocity_comp"):
            off = (expected[name][column] - found[name][column]).norm(dim=1).numpy()
            rows.append(Row(f"Doppler ({column})", name, "m/s", 1e-3, off, "no detection"))
    return rows


def _ego(expected: Sample, found: Sample, name: str) -> Row:
    a, b = expected[name]["pose"], found[name]["pose"]
    off = (a - b).abs().amax((1, 2)).numpy() if a.shape == b.shape else np.array([np.inf])
    return Row("ego pose", name, "m", 1e-4, off)


def _boxes(expected: Sample, found: Sample) -> list[Row]:
    """Corners of every written box against the nearest expected one; formats may drop boxes by their own rule."""
    a, b = expected.boxes(), found.boxes()
    if len(b["pose"]) == 0:
        return [Row("boxes", "boxes", "m", POINT_LIMIT, reason="no box was written")]
    nearest = torch.cdist(b["pose"][:, :3, 3], a["pose"][:, :3, 3]).argmin(1)
    corners = (a.corners()[nearest] - b.corners()).norm(dim=2).amax(1).numpy()
    rows = [Row("boxes", "boxes", "m", POINT_LIMIT, corners)]
    if all("record" in s.values for s in (a, b)):
        rows.append(Row("boxes missing", "boxes", "boxes", 0, np.array([abs(len(a["pose"]) - len(b["pose"]))], float)))
    return rows


def _boxes2d(expected: Sample, found: Sample, name: str) -> Row:
    """Written rectangles against the expected ones, cut at the canvas."""
    a, b = expected[name], found[name]
    height, width = expected.rig.camera(a.instance(name)).size
    limit = torch.tensor([width - 1.0, height - 1.0], dtype=torch.float64).repeat(2)
    whole = torch.minimum(a.rectangles().clamp(min=0), limit)  # type: ignore[attr-defined]
    written = torch.minimum(b.rectangles().clamp(min=0), limit)  # type: ignore[attr-defined]
    if len(written) == 0 or len(whole) == 0:
        return Row("boxes on the image", name, "px", PIXEL_LIMIT, reason="no box on the image was written")
    return Row("boxes on the image", name, "px", PIXEL_LIMIT, torch.cdist(written, whole).amin(1).numpy())
