"""Where the sensors of a nuScenes log are mounted, and what they are: each record is read and checked once."""

from __future__ import annotations

from typing import NamedTuple

from calib import Frame, Sensor
from calib.nuscenes import pose_from_record, sensor_from_record
from fusion_aug.errors import DataError
from fusion_aug.logs.nuscenes.kept import Kept
from fusion_aug.logs.nuscenes.tables import Row, Tables

KEPT = 256  # mounts


class Mount(NamedTuple):
    """What a sensor's calibration depends on.

    Attributes:
        token: of its record in calibrated_sensor. channel, modality: of it. size: (height, width) of its pictures.
        beside: channels of the sample, among which its mirror partner is.
    """

    token: str
    channel: str
    modality: str
    size: tuple[int, int]
    beside: tuple[str, ...]


class Mounts:
    """Frames and sensors of records of calibrated_sensor.

    Args:
        tables: of the log.
    """

    def __init__(self, tables: Tables):
        self.tables = tables
        self._kept: Kept[Mount, tuple[Frame, Sensor]] = Kept(KEPT)

    def of(self, row: Row, beside: tuple[str, ...]) -> tuple[Frame, Sensor]:
        """Frame and sensor of a sample_data record.

        Args:
            row: of it. beside: channels of its sample.

        Raises:
            CalibrationError: its calibration is none. DataError: its pictures have no size.
        """
        channel, modality = self.tables.channel(row)
        size = self.size(row) if modality == "camera" else (0, 0)
        return self._kept.get(Mount(row["calibrated_sensor_token"], channel, modality, size, beside), self._read)

    def _read(self, mount: Mount) -> tuple[Frame, Sensor]:
        record = self.tables.get("calibrated_sensor", mount.token)
        where = self.tables.where("calibrated_sensor", mount.token)
        axis_convention = "camera" if mount.modality == "camera" else "body"
        frame = Frame(parent="ego", pose=pose_from_record(record, where), axis_convention=axis_convention)
        sensor = sensor_from_record(record, mount.channel, mount.modality, mount.size, set(mount.beside), where)
        return frame, sensor

    def size(self, row: Row) -> tuple[int, int]:
        """(height, width) of a picture; records of other sensors may lack them.

        Raises:
            DataError: it is none, or another than that of other pictures of the same calibration.
        """
        size = (row.get("height"), row.get("width"))
        if not all(isinstance(n, int | float) and not isinstance(n, bool) and 0 < n < 2**31 for n in size):
            where = self.tables.where("sample_data", row["token"])
            raise DataError(f"{where}: height, width: expected the size of the picture, got {size[0]!r}, {size[1]!r}")
        others = self.tables.picture_size(row["calibrated_sensor_token"])
        if others != size:
            where = self.tables.where("sample_data", row["token"])
            raise DataError(
                f"{where}: height, width: the picture is {size[1]}x{size[0]}, others of the same calibrated_sensor are "
                f"{others[1]}x{others[0]}; each size needs a calibration of its own"
            )
        return int(size[0]), int(size[1])
