"""Maps of nuScenes, which many scenes share, and logs of scenes that a mirror or a scale took out of them.

The devkit finds a map by the ``location`` of a scene's log, and asks that every log has a map record with a file. A
scene whose world moved gets a log of its own at a location that no map has, and that an empty mask belongs to: tables
load, and ``NuScenesMap`` stops at the name. All other scenes keep their log and their map.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch

from fusion_aug.errors import DataError
from fusion_aug.logs.core.new_files import write_new_bytes
from fusion_aug.logs.nuscenes.files import Files
from fusion_aug.logs.nuscenes.tables import Row, Tables
from fusion_aug.ops.random import digest
from fusion_aug.sample import History
from fusion_aug.transforms.scene.scene import world_motion

FOLDER = "maps"


def location_change(history: History) -> str:
    """What a history adds to a scene's location: ``-mirrored``, ``-scaled-1.05``, ``-moved``; "" where maps hold."""
    W = world_motion(history)
    if W is None:
        return ""
    volume = float(torch.linalg.det(W[:3, :3]))
    scale = f"{abs(volume) ** (1 / 3):.6g}"
    parts = [*(["mirrored"] if volume < 0 else []), *([f"scaled-{scale}"] if scale != "1" else [])]
    return "".join(f"-{part}" for part in parts or ["moved"])


class MovedLogs:
    """Rows of the tables ``log`` and ``map`` for the scenes of an output.

    Args:
        tables: of the source log.
    """

    def __init__(self, tables: Tables):
        self.tables = tables
        self.logs: dict[str, Row] = {}  # of moved scenes, by token

    def scene(self, row: Row, change: str) -> Row:
        """The row of a scene, with a log of its own where its location changes."""
        if not change or "log_token" not in row:
            return row
        log = self.tables.get("log", row["log_token"])
        moved = digest(log["token"], change)
        self.logs[moved] = {**log, "token": moved, "location": f"{log.get('location', '')}{change}"}
        return {**row, "log_token": moved}

    def log_rows(self) -> list[Row]:
        """Rows of the table ``log``; Lyft's name their map, too."""
        moved = (row | {"map_token": self._mask} if "map_token" in row else row for row in self.logs.values())
        return [*self.tables.rows("log"), *moved]

    def map_rows(self) -> list[Row]:
        """Rows of the table ``map``."""
        rows = list(self.tables.rows("map"))
        if not self.logs:
            return rows
        file = f"{FOLDER}/{self._mask}.png"
        mask = {"category": "semantic_prior", "token": self._mask, "filename": file, "log_tokens": list(self.logs)}
        return [*rows, mask]

    @property
    def _mask(self) -> str:
        """Token of the map of the moved logs, an empty mask."""
        return digest("no map", *self.logs)

    def write_masks(self, out: Path) -> None:
        """Write the empty mask of the moved logs, one pixel, if there are any."""
        for row in self.map_rows()[len(self.tables.rows("map")) :]:
            path = out / row["filename"]
            write_new_bytes(path, cv2.imencode(".png", np.zeros((1, 1), np.uint8))[1].tobytes())


def map_files(files: Files) -> dict[str, Path]:
    """Files of maps, by their path in an output; none where there is no such folder.

    Raises:
        DataError: a link among them is not followed.
    """
    tree = files.tables.tree
    folder = tree.path(files.folder(FOLDER), "log.root")
    found = {f"{FOLDER}/{entry.path.relative_to(folder).as_posix()}": entry for entry in tree.files(folder)}
    for entry in found.values():
        if entry.refusal is not None:
            raise DataError(entry.refusal)
    return {name: entry.path for name, entry in found.items()}
