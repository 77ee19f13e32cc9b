"""Batches of any log as dense tensors, in a fixed order of sensors, for models in plain PyTorch.

Everything is in the reference frame, as in ``interop``. One keyframe is one row of the batch: its pictures, its boxes,
and one table of the points of all sweeps with the age of each. (In a collated batch sweeps are items like keyframes:
``bounds`` of a cloud counts the points of every sweep, and ``sample_index`` says which sample each belongs to.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from fusion_aug.errors import ConfigError, DataError
from fusion_aug.ops.modes import standard_modes
from fusion_aug.sample import REF, Sample
from fusion_aug.sample.ego import with_both_velocities
from fusion_aug.sample.to_device import lies_on_device
from fusion_aug.streams import Boxes3D, Camera, Lidar, Radar, Stream
from fusion_aug.streams.lazy_columns import OF_NOBODY, UNLABELLED
from fusion_aug.train.dense_on_device import dense_tables
from fusion_aug.train.dense_pictures import pictures, pinholes, sending
from fusion_aug.train.interop import ClassMap, camera_tensors, class_numbers, known_velocity
from fusion_aug.train.masks import dense_masks
from fusion_aug.train.predictions import class_names
from fusion_aug.transforms.scene.scene import scene_motion

MATRICES = ("lidar2img", "lidar2cam", "cam2img", "img_aug_matrix")
TABLES = (Boxes3D, Camera, Lidar, Radar)
_PLACE = {True: "offsets", False: "mask"}


@standard_modes()
def to_dense(
    batch: Sample,
    *,
    cameras: Sequence[str] | None = None,
    lidars: Sequence[str] | None = None,
    radars: Sequence[str] | None = None,
    classes: ClassMap | None = None,
    sweeps: bool = True,
    channels_first: bool = False,
    packed: bool = False,
    dtype: torch.dtype = torch.float32,
) -> dict[str, Any]:
    """A batch (or a sample) of any log as dense tensors.

    Args:
        batch: what ``collate`` returns, or one sample; B samples.
        cameras, lidars, radars: which, in this order. By default all of the samples and their rigs, sorted by name (of
            cameras those with a pinhole lens): name them where some may be absent from a whole batch.
        classes: names whose index is a box's label, or a mapping of new names to names (or patterns) of the log, whose
            place is the label; -1 for others.
        sweeps: whether points of earlier sweeps are taken, or those of the keyframe alone.
        channels_first: pictures as (3, H, W).
        packed: clouds one after another with offsets, instead of padded.
        dtype: of boxes, points and matrices.

    Returns:
        * ``ids`` (list of B), ``cameras``, ``lidars``, ``radars`` (the orders), and ``present`` (B, S) bool, of all
          these sensors in this order: False where one has sent nothing, or what it sent was dropped;
        * ``images`` (B, C, H, W, 3) in the pictures' own type, ``image_mask`` (B, C) bool: False where a picture is
          absent, which is zeros; ``lidar2img``, ``lidar2cam``, ``cam2img``, ``img_aug_matrix`` (B, C, 4, 4) as in
          ``to_mmdet3d``, identities where it is absent; ``lidar_aug_matrix`` (B, 4, 4); they carry gradients;
        * ``points`` (B, N, 5): x y z intensity age (s), of all returns that have a place, ``point_mask`` (B, N);
          ``radar_points`` (B, N, 7): x y z, vx vy (m/s, without the ego motion, which the poses tell where a radar has
          raw velocities only), rcs, age, ``radar_mask``, ``radar_velocity_known`` (B, N). Packed: (N, ...) with
          ``point_offsets``, ``radar_offsets`` (B + 1,) in place of the masks;
        * where a LiDAR has labels of points: ``point_labels``, the class, -1 of points without one, and
          ``point_instances``, 0 of points without one, (B, N) int64, both -1 where there is no point; packed (N,);
        * where cameras have masks: ``mask_labels``, -1 where nothing is known, and ``mask_instances``, 0 where there is
          no object, (B, C, H, W) int64; where there is occupancy: ``voxel_semantics``, 255 where nothing is known,
          ``mask_camera`` and ``mask_lidar`` (B, X, Y, Z) in the types of the grids;
        * ``boxes`` (B, M, 9): centre, length, width, height, yaw, vx, vy (0 where unknown), ``box_mask``,
          ``velocity_known`` (B, M); where boxes have weights (``MixUp``) ``box_weights`` (B, M), 1 of boxes without
          one; ``labels`` (B, M) int64 where ``classes`` are given; ``names`` (B lists).

    Of a batch on a device the tables are made there, without a way back to the host: rows that were dropped, or have no
    place, stay in them, where their masks are False. ``packed`` tables and occupancy are refused there.

    Raises:
        DataError: pictures differ in size or type; the message names two of them and the remedy. A sensor is not there,
            or of another kind.
        ConfigError: ``dtype`` has no fractions, or names are one text.
    """
    if not isinstance(batch, Sample):
        raise ConfigError(f"to_dense: expected a batch, as collate makes it, or a sample, got a {type(batch).__name__}")
    if not dtype.is_floating_point:
        raise ConfigError(f"to_dense: dtype: expected a floating one, got {dtype}")
    class_names(classes)
    samples = [batch.take([u]) for u in range(len(batch.metas))]
    for what, names, kind in (("cameras", cameras, Camera), ("lidars", lidars, Lidar), ("radars", radars, Radar)):
        _check_names(samples, what, names, kind)
    pictured = pinholes(samples) if cameras is None else list(cameras)
    scanned, echoed = (_streams(samples, kind, asked) for kind, asked in ((Lidar, lidars), (Radar, radars)))
    out: dict[str, Any] = {"ids": [s.id for s in samples]}
    out |= {"cameras": tuple(pictured), "lidars": tuple(scanned), "radars": tuple(echoed)}
    present = sending(samples, (*pictured, *scanned, *echoed), sweeps)
    if any(lies_on_device(s) for s in batch.streams.values()):
        here = [n for n, s in batch.streams.items() if isinstance(s, TABLES) and not lies_on_device(s)]
        if here:
            raise DataError(
                f"to_dense: {', '.join(here)}: on the host, others on a device; call batch.to(...) once more"
            )
        orders = {what: out[what] for what in ("cameras", "lidars", "radars")}
        host, told = _on_the_host(samples, pictured, classes, dtype)
        host["present"] = present
        form: dict[str, Any] = {"sweeps": sweeps, "channels_first": channels_first, "packed": packed, "dtype": dtype}
        out |= told | dense_tables(batch, orders, host, **form)
        images = out["images"].movedim(-3, -1) if channels_first else out["images"]
        return out | dense_masks(samples, pictured, images)
    out["present"] = present
    out |= pictures(samples, pictured) | _matrices(samples, pictured, dtype)
    out |= dense_masks(samples, pictured, out["images"])
    out["images"] = out["images"].movedim(-1, -3) if channels_first else out["images"]
    tables = [_rows(s, scanned, sweeps, _lidar_rows, 7) for s in samples]
    points, place = _joined([t[:, :5] for t in tables], packed, dtype)
    out |= {"points": points, f"point_{_PLACE[packed]}": place}
    if any("label" in s[n].values for s in samples for n in scanned if n in s.streams):
        for i, column in enumerate(("point_labels", "point_instances"), 5):
            out[column] = _joined([t[:, i] for t in tables], packed, torch.int64, fill=UNLABELLED)[0]
    points, place = _joined([_rows(s, echoed, sweeps, _radar_rows, 8) for s in samples], packed, dtype)
    out |= {"radar_points": points[..., :-1], "radar_velocity_known": points[..., -1] > 0}
    out[f"radar_{_PLACE[packed]}"] = place
    return out | _boxes([_box_rows(s) for s in samples], classes, dtype) | _box_weights(samples, dtype)


def _on_the_host(
    samples: Sequence[Sample], pictured: Sequence[str], classes: ClassMap | None, dtype: torch.dtype
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What of the result of a batch on a device is known on the host: tensors that go there, and the rest."""
    boxes = [s.take_key("boxes") if isinstance(s.streams.get("boxes"), Boxes3D) else None for s in samples]
    names = [[] if b is None else [str(c) for c in b.values.texts.get("category", [""] * b.rows)] for b in boxes]  # type: ignore[attr-defined]
    out = _matrices(samples, pictured, dtype)
    if classes is not None:
        labels = [torch.from_numpy(class_numbers(n, classes)) for n in names]
        out["labels"] = pad_sequence(labels, batch_first=True, padding_value=-1)
    return out, {"names": names}


def _check_names(samples: Sequence[Sample], what: str, names: Sequence[str] | None, kind: type[Stream]) -> None:
    """Raise where sensors that are asked for are unknown to all samples, or of another kind."""
    if isinstance(names, str):
        raise ConfigError(f"to_dense: {what}: expected a list of names, got the text {names!r}; give [{names!r}]")
    known = {n for s in samples for n in (*s.streams, *s.rig.sensors)}
    for name in names or ():
        if name not in known:
            raise DataError(f"no sample of the batch has a sensor {name!r} (there are {', '.join(sorted(known))})")
        other = next((s[name] for s in samples if name in s.streams and not isinstance(s[name], kind)), None)
        if other is not None:
            raise DataError(f"to_dense: {what}: {name!r} is a {type(other).__name__}, expected a {kind.__name__}")


# --- matrices --------------------------------------------------------------------------------------------------------
def _matrices(samples: Sequence[Sample], names: Sequence[str], dtype: torch.dtype) -> dict[str, Tensor]:
    eye, shape = torch.eye(4, dtype=torch.float64), (len(samples), len(names))
    each = [
        [camera_tensors(s, n) if len(s.streams.get(n, ())) else dict.fromkeys(MATRICES, eye) for n in names]
        for s in samples
    ]
    stacked = {key: [m[key] for row in each for m in row] or [eye[:0]] for key in MATRICES}
    out = {key: torch.stack(found).reshape(*shape, 4, 4).to(dtype) for key, found in stacked.items()}
    motions = torch.stack([scene_motion(s.history) for s in samples])
    return {**out, "lidar_aug_matrix": motions.to(dtype)}


# --- points ----------------------------------------------------------------------------------------------------------
def _streams(samples: Sequence[Sample], kind: type, asked: Sequence[str] | None) -> list[str]:
    return list(asked) if asked is not None else sorted({n for s in samples for n in s.of_type(kind)})


def _rows(
    sample: Sample, names: Sequence[str], sweeps: bool, table: Callable[[Sample, str, bool], Tensor], width: int
) -> Tensor:
    """One table (n, width) of all clouds of a sample, without returns that have no place (NaN)."""
    found = [table(sample, n, sweeps) for n in names if len(sample.streams.get(n, ()))]
    rows = torch.cat(found) if found else torch.zeros(0, width, dtype=torch.float64)
    return rows[torch.isfinite(rows[:, :3]).all(1)]


def _joined(tables: Sequence[Tensor], packed: bool, dtype: torch.dtype, fill: int = 0) -> tuple[Tensor, Tensor]:
    """Tables of all samples, padded with their mask (B, N), or one after another with their offsets (B + 1,)."""
    whole = [t.to(dtype) for t in tables]
    counts = torch.tensor([len(t) for t in whole])
    if packed:
        return torch.cat(whole), torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)])
    padded = pad_sequence(whole, batch_first=True, padding_value=fill)
    return padded, (torch.arange(padded.shape[1]) < counts[:, None]).to(padded.device)


def _cloud(sample: Sample, name: str, sweeps: bool) -> tuple[Any, Tensor]:
    """A cloud in the reference frame, and the age (rows,) s of every point."""
    one = sample if sweeps else sample.with_streams({name: sample.take_key(name)})
    cloud = one.points(name, frame=REF)
    age = (sample.ref.time - cloud.capture_times)[cloud.row_item].to(torch.float64) * 1e-9
    return cloud, age.to(cloud["xyz"].device)


def _lidar_rows(sample: Sample, name: str, sweeps: bool) -> Tensor:
    """(n, 7) float64: x y z intensity age, class and instance of the point."""
    cloud, age = _cloud(sample, name, sweeps)
    xyz = cloud["xyz"].to(torch.float64)
    intensity = cloud.values.get("intensity", torch.zeros(len(xyz))).to(xyz)
    labels = [_numbers(cloud.values.get(n), len(xyz), OF_NOBODY[n]).to(xyz)[:, None] for n in ("label", "instance")]
    return torch.cat([xyz, intensity[:, None], age[:, None], *labels], 1)


def _numbers(column: Any, rows: int, fill: int) -> Tensor:
    """A column (rows,) of labels; ``fill`` where a cloud has none, or one of text."""
    return column if isinstance(column, Tensor) and column.ndim == 1 else torch.full((rows,), fill)


def _radar_rows(sample: Sample, name: str, sweeps: bool) -> Tensor:
    """(n, 8) float64: x y z vx vy rcs age, and 1 where the velocity is known."""
    cloud, age = _cloud(sample.with_streams({name: with_both_velocities(sample, name)}), name, sweeps)
    xyz = cloud["xyz"].to(torch.float64)
    velocity = cloud["velocity_comp"].to(xyz)[:, :2]
    known = torch.isfinite(velocity).all(1)
    rcs = cloud.values.get("rcs", torch.zeros(len(xyz))).to(xyz)
    columns = (xyz, velocity.nan_to_num(0.0), rcs[:, None], age[:, None], known[:, None].to(xyz))
    return torch.cat(columns, 1)


# --- boxes -----------------------------------------------------------------------------------------------------------
def _box_rows(sample: Sample) -> tuple[Tensor, Tensor, list[str]]:
    """(m, 9) float64 of the boxes, whether each velocity is known, and their names."""
    boxes = sample.streams.get("boxes")
    if not isinstance(boxes, Boxes3D) or not len(boxes):
        return torch.zeros(0, 9, dtype=torch.float64), torch.zeros(0, dtype=torch.bool), []
    boxes = sample.take_key("boxes")
    assert isinstance(boxes, Boxes3D)
    T = sample.T_ref("boxes").to(boxes["pose"])
    velocity, known = known_velocity(boxes)
    pose = T @ boxes["pose"]
    yaw = torch.atan2(pose[:, 1, 0], pose[:, 0, 0])
    rows = torch.cat([pose[:, :3, 3], boxes["size"], yaw[:, None], (velocity @ T[:3, :3].T)[:, :2]], 1)
    return rows, known, [str(c) for c in boxes.values.get("category", [""] * boxes.rows)]


def _boxes(
    found: Sequence[tuple[Tensor, Tensor, list[str]]], classes: ClassMap | None, dtype: torch.dtype
) -> dict[str, Any]:
    tables, known, names = zip(*found, strict=True)
    boxes, mask = _joined(tables, False, dtype)
    out: dict[str, Any] = {"boxes": boxes, "box_mask": mask, "names": list(names)}
    out["velocity_known"] = pad_sequence(list(known), batch_first=True)
    if classes is not None:
        labels = [torch.from_numpy(class_numbers(n, classes)) for n in names]
        out["labels"] = pad_sequence(labels, batch_first=True, padding_value=-1)
    return out


def _box_weights(samples: Sequence[Sample], dtype: torch.dtype) -> dict[str, Tensor]:
    """``box_weights`` (B, M), 0 where there is no box; nothing where no box has a weight."""
    keys = [s.take_key("boxes").values if isinstance(s.streams.get("boxes"), Boxes3D) else {} for s in samples]
    if not any("weight" in values for values in keys):
        return {}
    weights = [v.get("weight", torch.ones(len(v["pose"]))) if v else torch.zeros(0) for v in keys]
    return {"box_weights": pad_sequence([w.to(dtype) for w in weights], batch_first=True)}


__all__ = ["ClassMap", "to_dense"]
