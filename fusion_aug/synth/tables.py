"""The tables of a nuScenes log in the making."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch

from calib import CameraSensor, LidarSensor, Sensor
from calib.nuscenes import record_from_pose
from fusion_aug.logs.core.files import write_json
from fusion_aug.ops.random import digest
from fusion_aug.synth.bodies import Body
from fusion_aug.synth.mesh import Array
from fusion_aug.synth.paint import PAVEMENT
from fusion_aug.synth.point_labels import NUMBERS, write_label_files
from fusion_aug.synth.road_map import expansion
from fusion_aug.synth.town import Town

CATEGORIES = ("vehicle.car", "vehicle.truck", "human.pedestrian.adult")
VISIBILITY = (("1", "v0-40", 0.4), ("2", "v40-60", 0.6), ("3", "v60-80", 0.8), ("4", "v80-100", 1.01))
LOCATION = "synth-town"
MAP_SIZE, MAP_CELL = (260.0, 220.0), 0.1  # metres, metres per pixel (the devkit's own)


class Visibility(NamedTuple):
    """What sensors saw of a body: the share that nothing hides, LiDAR points, radar detections."""

    share: float
    lidar: int
    radar: int


@dataclass
class Tables:
    """Rows are collected here and written at the end.

    Attributes:
        out: folder of the log. name: of the scene. seed: for the tokens.
    """

    out: Path
    name: str
    seed: int
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def token(self, *parts: object) -> str:
        """A stable token of 32 hex digits."""
        return digest("synth", self.name, self.seed, *map(str, parts))

    def add(self, table: str, token: str, **row: Any) -> str:
        """Append a row and return its token."""
        self.rows.setdefault(table, []).append({"token": token, **row})
        return token

    def sensors(self, mounted: dict[str, tuple[Sensor, Array, float]]) -> None:
        """Sensor and calibration records."""
        for name, (sensor, T, _) in mounted.items():
            camera = isinstance(sensor, CameraSensor)
            modality = "camera" if camera else "lidar" if isinstance(sensor, LidarSensor) else "radar"
            self.add("sensor", self.token("sensor", name), channel=name, modality=modality)
            K = sensor.model.K.tolist() if isinstance(sensor, CameraSensor) else []
            self.add("calibrated_sensor", self.token("mounted", name), sensor_token=self.token("sensor", name),
                     **record_from_pose(torch.from_numpy(T)), camera_intrinsic=K)  # fmt: skip

    def fixed(self, town: Town) -> None:
        """Categories, attributes, visibilities, the log and its map."""
        for name, index in NUMBERS.items():
            self.add("category", self.token("category", name), name=name, description=name, index=index)
        for level, text, _ in VISIBILITY:
            self.add("visibility", level, level=text, description=text)
        for name in ("vehicle.parked", "vehicle.moving", "pedestrian.moving", "pedestrian.standing"):
            self.add("attribute", self.token("attribute", name), name=name, description=name)
        log = self.add(
            "log",
            self.token("log"),
            logfile=self.name,
            vehicle="synth",
            date_captured="2026-01-01",
            location=LOCATION,
        )
        filename = f"maps/{self.token('map')}.png"
        self.add("map", self.token("map"), log_tokens=[log], category="semantic_prior", filename=filename)
        (self.out / "maps").mkdir(parents=True, exist_ok=True)
        width, height = (round(m / MAP_CELL) for m in MAP_SIZE)
        picture, x = np.zeros((height, width), np.uint8), (np.arange(width) + 0.5) * MAP_CELL
        for row, line in enumerate(picture):  # one at a time stays in the processor's cache
            y = MAP_SIZE[1] - (row + 0.5) * MAP_CELL
            _, d = town.road.locate(np.stack([x, np.full(width, y)], 1))
            line[np.abs(d) < PAVEMENT] = 255
        cv2.imwrite(str(self.out / filename), picture)

    def road_map(self, town: Town) -> None:
        """The vector map of the street."""
        path = self.out / "maps" / "expansion" / f"{LOCATION}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(expansion(town.road, self.token), path)

    def scene(self, samples: list[str], stamps: list[int]) -> None:
        """The scene and its samples in time order."""
        scene = self.add("scene", self.token("scene"), log_token=self.token("log"), name=self.name,
                         description="A street with a bend and a stop", nbr_samples=len(samples),
                         first_sample_token=samples[0], last_sample_token=samples[-1])  # fmt: skip
        for i, (token, stamp) in enumerate(zip(samples, stamps, strict=True)):
            near = {"prev": samples[i - 1] if i else "", "next": samples[i + 1] if i + 1 < len(samples) else ""}
            self.add("sample", token, timestamp=stamp, scene_token=scene, **near)

    def data(
        self, channel: str, sample: str, stamp: int, key: bool, ending: str, size: tuple[int, int], ego: Array
    ) -> Path:
        """Records of one file; returns its path."""
        pose = self.add(
            "ego_pose", self.token("pose", channel, stamp), timestamp=stamp, **record_from_pose(torch.from_numpy(ego))
        )
        filename = f"{'samples' if key else 'sweeps'}/{channel}/{self.name}__{channel}__{stamp}{ending}"
        self.add("sample_data", self.token("data", channel, stamp), sample_token=sample, ego_pose_token=pose,
                 calibrated_sensor_token=self.token("mounted", channel), timestamp=stamp,
                 fileformat=ending.split(".")[1], is_key_frame=key, height=size[0], width=size[1], filename=filename,
                 prev="", next="")  # fmt: skip
        path = self.out / filename
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def point_labels(self, channel: str, stamp: int, labels: dict[str, dict[str, Array]]) -> None:
        """Files and records of the labels of one LiDAR record's points."""
        record = self.token("data", channel, stamp)
        for table, filename in write_label_files(labels, record, self.out).items():
            self.add(table, self.token(table, channel, stamp), sample_data_token=record, filename=filename)

    def annotation(self, number: int, body: Body, sample: str, frame: int, time: float, seen: Visibility) -> None:
        """The box of a body at a time in seconds."""
        T = body.label_pose(time)
        moving = bool(np.linalg.norm(T[:2, 3] - body.label_pose(time - 0.1)[:2, 3]) > 0.02)
        still = "parked" if body.category.startswith("vehicle") else "standing"
        kind = "vehicle" if body.category.startswith("vehicle") else "pedestrian"
        attribute = self.token("attribute", f"{kind}.{'moving' if moving else still}")
        level = next(token for token, _, below in VISIBILITY if seen.share < below)
        length, width, height = body.size
        self.add("sample_annotation", self.token("box", number, frame), sample_token=sample,
                 instance_token=self.token("instance", number), attribute_tokens=[attribute], visibility_token=level,
                 size=[width, length, height], **record_from_pose(torch.from_numpy(T)), num_lidar_pts=seen.lidar,
                 num_radar_pts=seen.radar, prev="", next="", category=body.category)  # fmt: skip

    def write(self) -> None:
        """Link records in time and write every table."""
        self._link("sample_data", "calibrated_sensor_token", lambda r: r["timestamp"])
        order = {r["token"]: i for i, r in enumerate(self.rows["sample"])}
        for chain in self._link("sample_annotation", "instance_token", lambda r: order[r["sample_token"]]):
            category = {r.pop("category") for r in chain}.pop()
            self.add("instance", chain[0]["instance_token"], category_token=self.token("category", category),
                     nbr_annotations=len(chain), first_annotation_token=chain[0]["token"],
                     last_annotation_token=chain[-1]["token"])  # fmt: skip
        for table, rows in self.rows.items():
            write_json(rows, self.out / "v1.0-mini" / f"{table}.json")

    def _link(self, table: str, by: str, order: Any) -> list[list[dict[str, Any]]]:
        """Fill ``prev`` and ``next`` among the rows that share ``by``; returns the chains."""
        chains: dict[str, list[dict[str, Any]]] = {}
        for row in sorted(self.rows.setdefault(table, []), key=order):
            chains.setdefault(row[by], []).append(row)
        for rows in chains.values():
            for first, second in itertools.pairwise(rows):
                first["next"], second["prev"] = second["token"], first["token"]
        return list(chains.values())
