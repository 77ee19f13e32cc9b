"""Where the sensors of a nuScenes log are mounted, and what they are: each record is read and checked once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from calib import Frame, Rig, Trajectory, validate
from calib.nuscenes import pose_from_record, sensor_from_record
from fusion_aug.errors import DataError
from fusion_aug.logs.core.kept import Kept
from fusion_aug.logs.nuscenes.tables import Row, Tables

KEPT = 1024  # rigs, of about 40 KiB: as many as trainval has scenes


class Mount(NamedTuple):
    """What a sensor's calibration depends on, besides the channels of the sample, among which its mirror partner is.

    Attributes:
        token: of its record in calibrated_sensor. channel, modality: of it. size: (height, width) of its pictures.
    """

    token: str
    channel: str
    modality: str
    size: tuple[int, int]


class Mounts:
    """Frames and sensors of records of calibrated_sensor.

    Args:
        tables: of the log.
    """

    def __init__(self, tables: Tables):
        self.tables = tables
        self._kept: Kept[tuple[Mount, ...], Rig] = Kept(KEPT)
        self._sizes: dict[str, tuple[Any, tuple[int, int]]] = {}  # of calibrations: as records have it, and as numbers

    def rig(self, rows: Sequence[Row], track: Trajectory) -> Rig:
        """The rig of a sample.

        Args:
            rows: a sample_data record of each of its channels. track: way of the vehicle.

        Raises:
            CalibrationError: a calibration is none. DataError: pictures have no size.
        """
        still = self._kept.get(tuple(map(self._mount, rows)), self._read)
        return Rig({**still.frames, "ego": Frame(parent="world", pose=track)}, dict(still.sensors))

    def _mount(self, row: Row) -> Mount:
        channel, modality = self.tables.channel(row)
        size = self.size(row) if modality == "camera" else (0, 0)
        return Mount(row["calibrated_sensor_token"], channel, modality, size)

    def _read(self, mounts: tuple[Mount, ...]) -> Rig:
        """The rig with a vehicle that does not move."""
        frames, sensors = {"world": Frame(axis_convention="world"), "ego": Frame(parent="world")}, {}
        beside = {mount.channel for mount in mounts}
        for token, channel, modality, size in mounts:
            record, where = self.tables.get("calibrated_sensor", token), self.tables.where("calibrated_sensor", token)
            axis_convention = "camera" if modality == "camera" else "body"
            pose = pose_from_record(record, where)
            frames[channel] = Frame(parent="ego", pose=pose, axis_convention=axis_convention)
            sensors[channel] = sensor_from_record(record, channel, modality, size, beside, where)
        return validate(Rig(frames, sensors), str(self.tables.folder))

    def size(self, row: Row) -> tuple[int, int]:
        """(height, width) of a picture; records of other sensors may lack them.

        Raises:
            DataError: it is none, or another than that of other pictures of the same calibration.
        """
        size, calibration = (row.get("height"), row.get("width")), row["calibrated_sensor_token"]
        known = self._sizes.get(calibration)
        if known is not None and known[0] == size:
            return known[1]
        if not all(isinstance(n, int | float) and not isinstance(n, bool) and 0 < n < 2**31 for n in size):
            where = self.tables.where("sample_data", row["token"])
            raise DataError(f"{where}: height, width: expected the size of the picture, got {size[0]!r}, {size[1]!r}")
        others = self.tables.picture_size(calibration)
        if others != size:
            where = self.tables.where("sample_data", row["token"])
            raise DataError(
                f"{where}: height, width: the picture is {size[1]}x{size[0]}, others of the same calibrated_sensor are "
                f"{others[1]}x{others[0]}; each size needs a calibration of its own"
            )
        self._sizes[calibration] = size, (int(size[0]), int(size[1]))
        return self._sizes[calibration][1]
