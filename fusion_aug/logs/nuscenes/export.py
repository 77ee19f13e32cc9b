"""nuScenes: writer for samples of other logs, and for mixed ones, which makes all tables anew.

Tokens are digests of ids, so the same samples give the same bytes. ``fusion_aug/ids.json`` maps them to the ids of the
manifest. What the tables have no place for goes to the sidecar.

A mixed keyframe is a scene of its own: readers take velocities and tracks from the keyframes before and after it, which
know nothing of what was mixed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import torch

from calib import CameraSensor
from calib.nuscenes import record_from_pose
from fusion_aug.core.compose import Compose
from fusion_aug.core.mixing.transform import is_mixed
from fusion_aug.core.transform import Transform
from fusion_aug.errors import DataError
from fusion_aug.logs.core.bake import bake
from fusion_aug.logs.core.box_counts import points_of_boxes
from fusion_aug.logs.core.capture_writer import CaptureTimeWriter
from fusion_aug.logs.core.files import inside, write_picture
from fusion_aug.logs.core.residual import residual
from fusion_aug.logs.core.sidecar import write_ids, write_sidecar
from fusion_aug.logs.core.writer import Problem
from fusion_aug.logs.nuscenes.clouds import LIDAR_COLUMNS, RADAR_COLUMNS, encode_lidar, encode_radar
from fusion_aug.logs.nuscenes.export_tables import write_tables
from fusion_aug.logs.nuscenes.form import (
    EGO,
    channels_of,
    in_frames,
    intrinsic,
    modality_of,
    mounting,
    records_of,
    table_form,
)
from fusion_aug.logs.nuscenes.held import BOXES, SCALE, token_of
from fusion_aug.logs.nuscenes.tables import MICRO, Row
from fusion_aug.logs.nuscenes.tracks import tracks_called
from fusion_aug.logs.nuscenes.writer import NuscenesWriter, on_canvas, visibility_token
from fusion_aug.ops.radar import VELOCITIES
from fusion_aug.sample import Sample
from fusion_aug.sample.ego import with_both_velocities
from fusion_aug.streams import Boxes3D, Camera, Lidar, Points, Radar

PICTURES = (".jpg", ".jpeg", ".png")
MOST_OF_A_SCENE = 60  # characters, of up to 4 bytes each, in a name of a file
NO_PLACE = "nuScenes' tables have no place for it"


class NuscenesExporter(CaptureTimeWriter):
    """Writes keyframes with sweeps, calibration, poses and boxes of any log."""

    unsupported_effects: ClassVar[Mapping[str, tuple[str, str]]] = {
        k: v for k, v in NuscenesWriter.unsupported_effects.items() if k != "mix"
    }
    derived = NuscenesWriter.derived
    loss_reasons: ClassVar[Mapping[str, str]] = {
        "": NO_PLACE, EGO: "the tables hold a pose for every file", BOXES: "the tables annotate every keyframe",
    }  # fmt: skip

    def cameras(self, sample: Sample) -> list[str]:
        """The cameras that become channels."""
        return [n for n in channels_of(in_frames(sample)) if isinstance(sample[n], Camera)]

    def can_express(self, transform: Transform, sample: Sample | None = None) -> list[Problem]:
        """Return what the devkit would read wrongly: also lenses and perspectives that the sample has by itself.

        Raises:
            DataError: the sample lacks what the files have to hold.
        """
        if sample is None:
            return super().can_express(transform)
        found = self._problems(transform, sample)
        if not found:
            self.as_read_back(sample, sample)
        return found

    def _problems(self, transform: Transform, sample: Sample) -> list[Problem]:
        found = super().can_express(transform, sample)
        cameras = {n: sample.rig.camera(sample[n].instance(n)) for n in self.cameras(sample)}
        straight = {f"camera {n}" for n, c in cameras.items() if not bool((c.model.distortion != 0).any())}
        found = [p for p in found if p.effect != "distortion" or p.field not in straight]
        for name, camera in cameras.items():
            last = intrinsic(camera)[2]
            if not torch.allclose(last / last[2], torch.tensor([0.0, 0.0, 1.0], dtype=last.dtype), atol=1e-9):
                found.append(Problem("homography", f"camera {name}", *self.unsupported_effects["homography"]))
        return found

    def notes(self, sample: Sample, pipeline: Transform) -> list[str]:
        """What a user should know of how samples like this one are written."""
        channels, out = channels_of(in_frames(sample)), []
        if sample.rig.root_of(sample.ref.frame) == sample.ref.frame:
            out.append("the log knows no pose of the vehicle in the world, so it stands still at the world's origin")
        rest = [n for n in sample.streams if n not in (*channels, BOXES, EGO)]
        if rest:
            out.append(f"nuScenes' tables have no place for {', '.join(rest)}: in the sidecar fusion_aug/")
        out += velocity_notes(sample, [n for n in channels if isinstance(sample[n], Radar)])
        if "mix" in pipeline.effects():
            out.append("every mixed keyframe is a scene of its own: it has no velocities of boxes, maps and attributes")
        flat = [n for n in channels if isinstance(sample[n], Lidar) and "ring" not in sample[n].values]
        if flat:
            out.append(f"{', '.join(flat)}: no ring is known: -1")
        return out

    def intensity_scales(self, of_log: Mapping[str, float | None]) -> dict[str, float | None]:
        """That of nuScenes, for all."""
        return dict.fromkeys(of_log, SCALE)

    def as_read_back(self, sample: Sample, source: Sample, *, standalone: bool = False) -> Sample:
        """Return the sample in the form of the tables, see ``form``."""
        sample = alone_if_mixed(super().as_read_back(sample, source, standalone=standalone))
        return table_form(_with_visibility(sample, source))

    def stage(self, sample: Sample, source: Sample, out_id: str, folder: Path) -> dict[str, Any]:
        """Write clouds, sweeps and pictures of one keyframe, and its sidecar.

        Returns:
            ``scene`` and ``suffix``, which ends tokens and names of a copy; rows of a ``sample``, of its ``channels``
            (name, modality, calibration), ``data`` (with the channel and the pose of the vehicle), and ``boxes`` (with
            category and instance); with ``lossy`` the ``residual``.

        Raises:
            DataError: the sample holds what nuScenes cannot; the first sample of a log is looked at while planning.
        """
        problems = [] if self.lossy else self._problems(Compose([]), sample)
        if problems:
            raise DataError(f"sample {source.id!r}: {problems[0]}")
        suffix = out_id[len(source.id) :]
        moved = in_frames(alone_if_mixed(super().as_read_back(sample, source)))
        nominal, held = in_frames(source), self.as_read_back(sample, source)
        channels = channels_of(moved)
        rows: dict[str, Any] = {"scene": moved.meta.scene, "suffix": suffix}
        rows["sample"] = [token_of("sample", source.id) + suffix, held.ref.time // MICRO]
        rows["channels"] = [self._channel(moved, nominal, n) for n in channels]
        rows["data"] = self._files(moved, nominal, held, channels, suffix, folder)
        rows["boxes"] = _annotations(held, suffix)
        columns = {Lidar: LIDAR_COLUMNS, Radar: RADAR_COLUMNS}
        stored = {n: next((c for k, c in columns.items() if isinstance(held[n], k)), None) for n in channels}
        write_sidecar(tracks_called(held, suffix), {**stored, BOXES: None, EGO: None}, out_id, folder, self.link)
        return rows | ({"residual": residual(sample, self.cameras(sample))} if self.lossy else {})

    @staticmethod
    def _channel(sample: Sample, source: Sample, name: str) -> list[Any]:
        """Name, modality and calibration of a channel. A LiDAR keeps its nominal mounting, to which its points go."""
        stream = sample[name]
        pose = mounting(sample, name)
        if isinstance(stream, Lidar):
            time, lidar = int(stream.capture_times[0]), source.rig.sensors.get(name)
            pose = source.rig.T(source.ref.frame, lidar.frame if lidar else stream.frame, time, time)
        camera = sample.rig.sensors.get(stream.instance(name))
        matrix = intrinsic(camera).tolist() if isinstance(camera, CameraSensor) else []
        return [name, modality_of(stream), record_from_pose(pose) | {"camera_intrinsic": matrix}]

    def _files(
        self, sample: Sample, source: Sample, held: Sample, channels: list[str], suffix: str, folder: Path
    ) -> list[Row]:
        """Write the files of all channels; returns their records, with the channel and the pose of the vehicle."""
        rows: list[Row] = []
        start = f"{log_name(sample.meta.scene)}-{token_of('sample', source.id)[:8]}{suffix}"
        baked = {n: bake(sample, source, n).realized() for n in channels if isinstance(sample[n], Lidar)}
        for record in records_of(sample, channels):
            name, item, time = record.channel, record.item, record.time // MICRO
            key = item == sample.key_item(name)
            stream, size, ending = held[name], (0, 0), ".pcd" if isinstance(sample[name], Radar) else ".pcd.bin"
            if isinstance(stream, Camera):
                ending, size = picture_ending(sample, source, name, item), held.rig.camera(name).size
            place = f"{'samples' if key else 'sweeps'}/{quote(name, safe=' ')}"
            stem = f"{place}/{start}__{quote(name, safe=' ')}__{time}"
            filename = f"{stem}{ending}"
            if any(row["filename"] == filename for row in rows):  # two within one microsecond
                filename = f"{stem}-{item}{ending}"
            path = inside(folder, filename, "channel")
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(stream, Camera):
                write_picture(stream, item, path, self.link)
            else:
                assert isinstance(stream, Points)
                path.write_bytes(_encoded(stream, item, baked.get(name)))
            rows.append({
                "token": record.token + suffix, "channel": name, "timestamp": time, "is_key_frame": key,
                "filename": filename, "fileformat": ending.split(".")[1], "height": size[0], "width": size[1],
                "pose": record_from_pose(record.pose),
            })  # fmt: skip
        return rows

    def finish(self, rows: Iterable[dict[str, Any]], ids: Sequence[tuple[str, str]]) -> None:
        """Write the 13 tables, an empty map, and the ids of the samples."""
        write_tables(rows, self.out)
        tokens = (part["sample"][0] for part in rows)
        write_ids(self.out, dict(zip(tokens, (out for out, _ in ids), strict=True)))


def velocity_notes(sample: Sample, radars: Sequence[str]) -> list[str]:
    """What the velocities of radars are that do not have both a raw and a compensated one."""
    words: dict[str, list[str]] = {}
    for name in radars:
        missing = [c for c in VELOCITIES if c not in sample[name].values]
        told = len(missing) == 1 and bool(torch.isfinite(with_both_velocities(sample, name)[missing[0]]).all())
        kind = {"velocity": "raw", "velocity_comp": "compensated"}.get(missing[0], "") if missing else ""
        if len(missing) == 2:
            words.setdefault("no velocity is known: 0, with dyn_prop 4 (unknown)", []).append(name)
        elif missing and told:
            words.setdefault(f"{kind} velocities are worked out from the vehicle's poses", []).append(name)
        elif missing:
            words.setdefault(f"{kind} velocities are not known, as the vehicle's motion is not: 0", []).append(name)
    return [f"{', '.join(names)}: {word}" for word, names in words.items()]


def log_name(scene: str) -> str:
    """What a scene is called in names of files."""
    return "".join(c if c.isalnum() or c in "+-" else "-" for c in scene)[:MOST_OF_A_SCENE].strip("-") or "log"


def picture_ending(sample: Sample, source: Sample, name: str, item: int) -> str:
    """That of the picture's own file, also where it changed; .png where it has none."""
    for stream in (sample[name], source.streams.get(name)):
        picture = stream.items[item] if isinstance(stream, Camera) and item < len(stream) else None
        suffix = getattr(getattr(picture, "path", None), "suffix", "")
        if suffix.lower() in PICTURES:
            return str(suffix)
    return ".png"


def alone_if_mixed(sample: Sample) -> Sample:
    """A mixed sample in a scene of its own, where no velocity of a box is known; any other one as it is."""
    if not is_mixed(sample):
        return sample
    boxes = sample.streams.get(BOXES)
    if isinstance(boxes, Boxes3D) and "velocity" in boxes.values:
        unknown = torch.full_like(boxes["velocity"], float("nan"))
        sample = sample.with_streams({**sample.streams, BOXES: boxes.with_values(velocity=unknown)})
    return sample.with_meta(0, scene=f"{sample.meta.scene}-{sample.id}")


def _encoded(stream: Points, item: int, baked: Points | None) -> bytes:
    """Bytes of one cloud; of a LiDAR with the places of the baked one, which has the same rows."""
    columns = stream.realized_items()[item]
    if baked is None:
        return encode_radar(columns)
    return encode_lidar(columns | {"xyz": baked["xyz"][baked.item_slice(item)]})


def _annotations(held: Sample, suffix: str) -> list[Row]:
    """Records of the boxes, with category and instance."""
    boxes = held.boxes()
    world = held.rig.T("world", EGO, held.ref.time) @ boxes["pose"]
    counts = {
        kind: points_of_boxes(held, [n for n, s in held.of_type(cls).items() if s.records])
        for kind, cls in (("lidar", Lidar), ("radar", Radar))
    }
    rows = []
    for i, record in enumerate(map(str, boxes["record"])):
        length, width, height = boxes["size"][i].tolist()
        rows.append({
            "token": record + suffix, "instance": str(boxes["instance"][i]) + suffix,
            "category": str(boxes["category"][i]), **record_from_pose(world[i]), "size": [width, length, height],
            "num_lidar_pts": counts["lidar"][record], "num_radar_pts": counts["radar"][record],
            "visibility_token": visibility_token(float(boxes["visible"][i])),
        })  # fmt: skip
    return rows


def _with_visibility(sample: Sample, source: Sample) -> Sample:
    """The sample with the visible share of its boxes less by what left the pictures."""
    boxes, before = sample.streams.get(BOXES), source.streams.get(BOXES)
    if sample is source or not isinstance(boxes, Boxes3D) or not isinstance(before, Boxes3D):
        return sample
    key = next((k for k in ("record", "instance") if k in boxes.values and k in before.values), None)
    if key is None or "visible" not in boxes.values:
        return sample
    now, then = (on_canvas(with_channels(s), s.boxes()) for s in (sample, source))
    place = {str(name): i for i, name in enumerate(before[key])}
    index = torch.tensor([place.get(str(name), -1) for name in boxes[key]], dtype=torch.int64)
    old = torch.where(index >= 0, torch.cat([then, then.new_zeros(1)])[index], 0.0)
    share = torch.where(old > 0, (now / old.clamp(min=1e-9)).clamp(max=1.0), torch.ones(len(index)).double())
    changed = boxes.with_values(visible=boxes["visible"] * share)
    return sample.with_streams({**sample.streams, BOXES: changed})


def with_channels(sample: Sample) -> Sample:
    """The sample without the cameras that the tables do not hold."""
    channels = channels_of(in_frames(sample))
    kept = {n: s for n, s in sample.streams.items() if not isinstance(s, Camera) or n in channels}
    return sample.with_streams(kept)
