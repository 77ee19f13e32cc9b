"""nuScenes: writer.

A record follows its data: where a mirror swaps the names of two cameras, the picture of the left one is written as a
picture of the right one and keeps its own record, stamp and ego pose. Point counts are the source's, less what left the
boxes. Visibility is the old share times the share of the box's surface points that are still on a canvas.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeGuard

import torch
from torch import Tensor

from calib import CameraSensor
from calib.nuscenes import record_from_pose
from fusion_aug.errors import DataError
from fusion_aug.logs.core.bake import bake
from fusion_aug.logs.core.box_counts import counts_after
from fusion_aug.logs.core.capture_writer import LINKED_KEYFRAME_EFFECTS, CaptureTimeWriter
from fusion_aug.logs.core.files import copy_file, inside, write_picture
from fusion_aug.logs.core.residual import residual
from fusion_aug.logs.core.sidecar import write_sidecar
from fusion_aug.logs.nuscenes.clouds import LIDAR_COLUMNS, encode_lidar, encode_radar
from fusion_aug.logs.nuscenes.grids import write_grid
from fusion_aug.logs.nuscenes.labels import as_labels_are_held, check_classes, check_label_files, write_labels
from fusion_aug.logs.nuscenes.maps import location_change, map_files
from fusion_aug.logs.nuscenes.merge import merge_tables
from fusion_aug.logs.nuscenes.reader import VISIBILITY, VISIBLE
from fusion_aug.logs.nuscenes.roads import map_in_place
from fusion_aug.logs.nuscenes.tables import Row, nanoseconds, with_stamp
from fusion_aug.logs.nuscenes.tracks import tracks_called
from fusion_aug.sample import Sample
from fusion_aug.streams import Boxes3D, Camera, EgoPose, Lidar, Points, Radar
from fusion_aug.streams.source import Source

KINDS = {"lidar": Lidar, "radar": Radar}  # num_lidar_pts, num_radar_pts


class NuscenesWriter(CaptureTimeWriter):
    """Writes tables, clouds and pictures; streams that nuScenes has no place for go to the sidecar."""

    unsupported_effects: ClassVar[Mapping[str, tuple[str, str]]] = {
        **LINKED_KEYFRAME_EFFECTS,
        "homography": (
            "a perspective of the image fits no camera_intrinsic, since the depth that readers divide by would change",
            "use Resize, Crop, FlipImage or RotateImage",
        ),
        "distortion": (
            "the format's camera matrix holds no lens distortion",
            "undistort the pictures first, or write the folder format",
        ),
    }

    loss_reasons: ClassVar[Mapping[str, str]] = {
        **CaptureTimeWriter.loss_reasons,
        "ego": "a pose goes with its picture or sweep",
    }
    copied_whole: ClassVar[tuple[str, ...]] = ("*/*.json",)

    derived: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "boxes": ("velocity",),
        "ego": ("velocity", "angular_velocity"),
    }

    def __init__(self, log: Any, out: Path, **options: Any):
        super().__init__(log, out, **options)
        self._maps = map_files(log.files)  # before the first byte is written
        check_classes(log.files.labels, log.classes, log.options.unlabelled)

    def cameras(self, sample: Sample) -> list[str]:
        """The cameras that the tables hold."""
        return [n for n, s in sample.of_type(Camera).items() if _is_record_stream(s)]

    def as_read_back(self, sample: Sample, source: Sample, *, standalone: bool = False) -> Sample:
        """Return the sample as the tables store it: one stamp per item, an ego pose per record, visibility in levels.

        Ego poses whose picture or sweep was removed are left out, since the tables tie each pose to a record.
        """
        check_label_files(source.of_type(Lidar))
        sample = super().as_read_back(sample, source, standalone=standalone)
        records = {r for s in sample.streams.values() if _is_record_stream(s) for r in s.records}
        known = {str(self.log.tables.get("sample_data", r)["ego_pose_token"]) for r in records}
        keep = torch.tensor([r in known for r in sample["ego"].records])
        ego = sample["ego"] if bool(keep.all()) else sample["ego"].take_items(keep.nonzero()[:, 0])
        boxes = sample.boxes()
        levels = [VISIBILITY.get(token, VISIBLE) for token in self._visibility_tokens(sample, source)]
        given = self.log.options
        held = {
            n: as_labels_are_held(s, self.log.files.labels, given.unlabelled, given.air_label)
            for n, s in sample.of_type(Lidar).items() if s.records
        }  # fmt: skip
        visible = torch.tensor(levels, dtype=torch.float64)
        boxes = boxes if torch.equal(visible, boxes["visible"]) else boxes.with_values(visible=visible)
        return sample.with_streams({**sample.streams, **held, "boxes": boxes, "ego": ego})

    def _visibility_tokens(self, sample: Sample, source: Sample) -> list[str]:
        """Token of every box's level of visibility; the source's where its table does not have the level."""
        boxes = sample.boxes()
        visible = boxes["visible"] * visible_share(sample, boxes, source, source.boxes())
        known = {str(r["token"]) for r in self.log.tables.rows("visibility")}
        tokens = []
        for share, record in zip(visible.tolist(), boxes["record"], strict=True):
            before = self.log.tables.get("sample_annotation", str(record)).get("visibility_token", "")
            level = visibility_token(share)
            tokens.append(level if level in known else str(before))
        return tokens

    def stage(self, sample: Sample, source: Sample, out_id: str, folder: Path) -> dict[str, Any]:
        """Write clouds, sweeps and pictures of one keyframe, and its sidecar.

        Returns:
            rows by table: sample, calibrated_sensor, sample_data, ego_pose, sample_annotation, and those of labels of
            points; ``scene_of``,
            ``suffix``, which ends the tokens of a copy, and ``location``, what is added to the scene's; with ``lossy``
            the ``residual``.

        Raises:
            DataError: a file that the tables name is missing.
        """
        sample = self.as_read_back(sample, source)
        self._check_files(sample)
        suffix = out_id[len(source.id) :]
        stored = {n for n, s in sample.streams.items() if _is_record_stream(s)} | {"boxes", "ego"}
        rows: dict[str, Any] = {"sample": [self._sample(source.id, suffix, sample.ref.time - source.ref.time)]}
        rows |= {"scene_of": self.log.scene_of(source.id), "suffix": suffix}
        rows["location"] = location_change(sample.history)
        rows["calibrated_sensor"], rows["sample_data"] = [], []
        rows |= {table: [] for table in self.log.files.labels.there}
        keys: dict[str, str] = {}  # channel -> record of its keyframe
        for name in sorted(stored - {"boxes", "ego"}):
            mounted, data = self._channel(sample, source, name, suffix, folder, rows)
            rows["calibrated_sensor"].append(mounted)
            rows["sample_data"] += data
            keys.update((name, row["token"]) for row in data if row["is_key_frame"])
        ego = sample["ego"]
        assert isinstance(ego, EgoPose)
        rows["ego_pose"] = [
            with_stamp({**self.log.tables.get("ego_pose", token), "token": token + suffix}, int(time))
            | record_from_pose(pose)
            for token, time, pose in zip(ego.records, ego.capture_times, ego["pose"], strict=True)
        ]
        rows["sample_annotation"] = self._annotations(sample, source, suffix)
        index = {"data": keys, "anns": [row["token"] for row in rows["sample_annotation"]]}
        rows["sample"] = [row | {k: v for k, v in index.items() if k in row} for row in rows["sample"]]
        held = (*LIDAR_COLUMNS, *self.log.files.labels.columns)
        columns = {n: held if isinstance(sample.streams.get(n), Lidar) else None for n in stored}
        columns |= map_in_place(self.log, sample, rows["scene_of"])
        columns |= write_grid(self.log.tables, sample, source, suffix, folder, self.link)
        write_sidecar(tracks_called(sample, suffix), columns, out_id, folder, self.link)
        return rows | ({"residual": residual(sample, self.cameras(sample))} if self.lossy else {})

    def _sample(self, token: str, suffix: str, moved: int) -> Row:
        row = dict(self.log.tables.get("sample", token))
        row = with_stamp(row, nanoseconds(row) + moved)
        return row | {k: row[k] + suffix if row[k] else "" for k in ("token", "prev", "next", "scene_token")}

    def _channel(
        self, sample: Sample, source: Sample, name: str, suffix: str, folder: Path, labels: dict[str, list[Row]]
    ) -> tuple[Row, list[Row]]:
        """The calibration record and the data records of one channel, files written; rows of labels are appended."""
        tables, stream = self.log.tables, sample[name]
        own = tables.get("sample_data", source[name].records[0])["calibrated_sensor_token"]
        mounted = dict(tables.get("calibrated_sensor", own)) | {"token": own + suffix}
        sensor = sample.rig.sensors[name]
        if isinstance(stream, Camera | Radar):
            mounted |= record_from_pose(sample.rig.T("ego", stream.frame))
        if isinstance(sensor, CameraSensor):
            mounted["camera_intrinsic"] = (sensor.A @ sensor.model.K).tolist()
        cloud = bake(sample, source, name) if isinstance(stream, Lidar) else stream
        data = []
        for item, token in enumerate(stream.records):
            row = dict(tables.get("sample_data", token))
            old = tables.channel(row)[0]
            filename = self._filename(str(row["filename"]), old, name, suffix)
            path = inside(folder, filename, tables.where("sample_data", token))
            self._file(cloud, item, path)
            if isinstance(cloud, Lidar) and "label" in cloud.values:
                own_rows, unlabelled = self.log.files.labels.rows_of(token), self.log.options.unlabelled
                written = write_labels(cloud, item, own_rows, token, suffix, folder, self.link, unlabelled)
                for table, one in written.items():
                    labels[table].append(one)
            row |= {
                k: row[k] + suffix if row[k] else ""
                for k in ("token", "prev", "next", "sample_token", "ego_pose_token")
            }
            row |= {"calibrated_sensor_token": mounted["token"], "filename": filename}
            row = with_stamp(row, int(stream.capture_times[item]))
            if "channel" in row:
                row["channel"] = name
            if isinstance(sensor, CameraSensor):
                row |= {"height": sensor.size[0], "width": sensor.size[1]}
            data.append(row)
        return mounted, data

    @staticmethod
    def _filename(filename: str, old: str, new: str, suffix: str) -> str:
        """Path of a file under another channel, with the suffix of a copy before its ending."""
        if old != new:
            parts = [new if p == old else p.replace(f"__{old}__", f"__{new}__") for p in Path(filename).parts]
            filename = "/".join(parts)
        if not suffix:
            return filename
        head, tail = filename.rsplit("/", 1) if "/" in filename else ("", filename)
        ending = ".pcd.bin" if tail.endswith(".pcd.bin") else Path(tail).suffix
        return f"{head}/{tail[: len(tail) - len(ending)]}{suffix}{ending}"

    def _file(self, stream: Any, item: int, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(stream, Camera):
            write_picture(stream, item, path, self.link)
            return
        if stream.sources is not None:
            copy_file(stream.sources[item], path, self.link)
            return
        columns = stream.realized_items()[item]
        path.write_bytes(encode_radar(columns) if isinstance(stream, Radar) else encode_lidar(columns))

    def _annotations(self, sample: Sample, source: Sample, suffix: str) -> list[Row]:
        boxes = sample.boxes()
        T_world_ref = sample.rig.T("world", "ego", sample.ref.time)
        poses, sizes = T_world_ref @ boxes["pose"], boxes["size"]
        counts = {f"num_{k}_pts": self._counts(sample, source, kind, f"num_{k}_pts") for k, kind in KINDS.items()}
        known = {str(r["token"]) for r in self.log.tables.rows("visibility")}
        rows = []
        for i, token in enumerate(boxes["record"]):
            row = dict(self.log.tables.get("sample_annotation", str(token)))
            row |= {
                k: row[k] + suffix if row[k] else ""
                for k in ("token", "prev", "next", "sample_token", "instance_token")
            }
            length, width, height = sizes[i].tolist()
            row |= record_from_pose(poses[i]) | {"size": [width, length, height]}
            row |= {field: new[str(token)] for field, new in counts.items() if str(token) in new}
            level = visibility_token(float(boxes["visible"][i]))
            row |= {"visibility_token": level} if level in known else {}
            row |= {"category_name": str(boxes["category"][i])} if "category_name" in row else {}
            rows.append(row)
        return rows

    def _counts(self, sample: Sample, source: Sample, kind: type[Points], field: str) -> dict[str, int]:
        """Record of a box -> points in it, where the source has a figure; below 0 it is not known."""
        names = [n for n, s in source.of_type(kind).items() if s.records]
        rows = (self.log.tables.get("sample_annotation", str(r)) for r in source.boxes()["record"])
        official = {str(r["token"]): r[field] for r in rows if isinstance(r.get(field), int) and r[field] >= 0}
        return counts_after(sample, source, names, official) if names and official else {}

    def _check_files(self, sample: Sample) -> None:
        """Refuse untouched items whose files are missing, before one of the others is copied."""
        streams = {n: s for n, s in sample.streams.items() if _is_record_stream(s) and s.sources is not None}
        items = [(n, *pair) for n, s in streams.items() for pair in zip(s.sources or (), s.records, strict=True)]
        for name, source, record in items:
            if source is not None and not source.path.is_file():
                row = self.log.tables.get("sample_data", record)
                pattern = name if row["is_key_frame"] else f"{Path(row['filename']).parent}/*"
                raise DataError(
                    f"{source.path}: is missing, though {self.log.tables.where('sample_data', record)} names it; "
                    f"leave out what was not downloaded with log.exclude=[{pattern}]"
                )

    def finish(self, rows: Iterable[dict[str, Any]], ids: Sequence[tuple[str, str]]) -> None:
        """Write the 13 tables, and the maps."""
        labels = self.log.files.labels
        merge_tables(self.log.tables, rows, self.out / self.log.tables.folder.name, self.log.classes, labels)
        for name, path in self._maps.items():
            copy_file(Source(path, "file"), self.out / name, self.link)


def _is_record_stream(stream: Any) -> TypeGuard[Camera | Points]:
    return bool(stream.records) and isinstance(stream, Camera | Points)


def visible_share(sample: Sample, boxes: Boxes3D, source: Sample, before: Boxes3D) -> Tensor:
    """(rows,) share of each box's surface that cameras see, against what they saw in the source; 1 where unchanged."""
    now, then = on_canvas(sample, boxes), on_canvas(source, before)
    place = {str(t): i for i, t in enumerate(before["record"])}
    index = torch.tensor([place[str(t)] for t in boxes["record"]], dtype=torch.int64)
    return torch.where(then[index] > 0, (now / then[index].clamp(min=1e-9)).clamp(max=1.0), torch.ones(len(index)))


def on_canvas(sample: Sample, boxes: Boxes3D) -> Tensor:
    """(rows,) share of points on each box's surface that lie on the canvas of at least one camera."""
    steps = torch.linspace(-0.5, 0.5, 4, dtype=torch.float64)
    grid = torch.cartesian_prod(steps, steps, steps)
    surface = grid[grid.abs().amax(1) == 0.5]
    T = boxes["pose"]
    points = (surface * boxes["size"][:, None]) @ T[:, :3, :3].transpose(1, 2) + T[:, None, :3, 3]
    seen = torch.zeros(points.shape[:2], dtype=torch.bool)
    for name in sample.of_type(Camera):
        if len(points):
            seen |= sample.project_ref(points.reshape(-1, 3), name)[1].reshape(seen.shape)
    return seen.to(torch.float64).mean(1) if len(points) else torch.zeros(0, dtype=torch.float64)


def visibility_token(share: float) -> str:
    """nuScenes' four levels: below 40, 60 and 80 per cent, and above."""
    return "1" if share < 0.4 else "2" if share < 0.6 else "3" if share < 0.8 else "4"
