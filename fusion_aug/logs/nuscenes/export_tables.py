"""The 13 tables of a log in the making, from the rows of its samples."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from fusion_aug.logs.core.files import write_image
from fusion_aug.logs.nuscenes.held import token_of
from fusion_aug.logs.nuscenes.merge import TableFile
from fusion_aug.logs.nuscenes.tables import TABLES, Row

VERSION = "v1.0-trainval"
LEVELS = (("1", "v0-40"), ("2", "v40-60"), ("3", "v60-80"), ("4", "v80-100"))
LOCATION = "unknown"  # of no map: the devkit's NuScenesMap stops by this name
Neighbours = Mapping[str, tuple[str, str]]


@dataclass
class Chains:
    """Records in time order, by what they have in common.

    Attributes:
        of: key -> [(time, token)], as they come.
    """

    of: dict[tuple[str, ...], list[tuple[int, str]]] = field(default_factory=dict)

    def add(self, key: tuple[str, ...], time: int, token: str) -> None:
        """Append a record."""
        self.of.setdefault(key, []).append((time, token))

    def ordered(self, key: tuple[str, ...]) -> list[str]:
        """Tokens of a chain in time order."""
        return [token for _, token in sorted(self.of[key], key=lambda entry: entry[0])]

    def neighbours(self) -> Neighbours:
        """Token -> the one before and the one after it in its chain, "" at the ends."""
        out: dict[str, tuple[str, str]] = {}
        for key in self.of:
            tokens = ["", *self.ordered(key), ""]
            out |= {t: (tokens[i], tokens[i + 2]) for i, t in enumerate(tokens[1:-1])}
        return out


def write_tables(rows: Iterable[dict[str, Any]], out: Path) -> None:
    """Write all tables and the picture of an empty map.

    Args:
        rows: what ``NuscenesExporter.stage`` returned, in log order; it is gone through twice.
        out: folder of the log.
    """
    samples, files, boxes = Chains(), Chains(), Chains()
    categories: dict[str, str] = {}
    instances: dict[str, str] = {}  # instance -> category
    for part in rows:
        token, time = part["sample"]
        scene = (part["scene"], part["suffix"])
        samples.add(scene, time, token)
        for row in part["data"]:
            files.add((*scene, row["channel"]), row["timestamp"], row["token"])
        for row in part["boxes"]:
            boxes.add((row["instance"],), time, row["token"])
            categories.setdefault(row["category"], token_of("category", row["category"]))
            instances[row["instance"]] = row["category"]
    with ExitStack() as stack:
        tables = {t: stack.enter_context(TableFile(out / VERSION / f"{t}.json")) for t in TABLES}
        for name, token in categories.items():
            tables["category"].write({"token": token, "name": name, "description": name})
        for token, level in LEVELS:
            tables["visibility"].write({"token": token, "level": level, "description": f"visibility {level[1:]} %"})
        _write_scenes(tables, samples, out)
        for token, category in instances.items():
            tokens = boxes.ordered((token,))
            tables["instance"].write({
                "token": token, "category_token": categories[category], "nbr_annotations": len(tokens),
                "first_annotation_token": tokens[0], "last_annotation_token": tokens[-1],
            })  # fmt: skip
        near = {name: c.neighbours() for name, c in (("sample", samples), ("data", files), ("boxes", boxes))}
        _write_samples(tables, rows, near)


def _write_scenes(tables: Mapping[str, TableFile], samples: Chains, out: Path) -> None:
    """Scenes, each with a log of its own, and one map without anything on it for all."""
    logs = []
    for key in samples.of:
        scene, suffix = key
        tokens, name = samples.ordered(key), scene + suffix
        logs.append(token_of("log", scene) + suffix)
        time = min(samples.of[key])[0]
        tables["log"].write({
            "token": logs[-1], "logfile": name, "vehicle": "", "location": LOCATION,
            "date_captured": datetime.fromtimestamp(time / 1e6, UTC).strftime("%Y-%m-%d"),
        })  # fmt: skip
        tables["scene"].write({
            "token": token_of("scene", scene) + suffix, "log_token": logs[-1], "nbr_samples": len(tokens),
            "first_sample_token": tokens[0], "last_sample_token": tokens[-1], "name": name, "description": "",
        })  # fmt: skip
    token = token_of("map")
    filename = f"maps/{token}.png"
    tables["map"].write({"token": token, "log_tokens": logs, "category": "semantic_prior", "filename": filename})
    write_image(torch.zeros(1, 1, 3, dtype=torch.uint8), out / filename)


def _write_samples(
    tables: Mapping[str, TableFile], rows: Iterable[dict[str, Any]], near: Mapping[str, Neighbours]
) -> None:
    known: set[str] = set()
    for part in rows:
        token, time = part["sample"]
        scene = token_of("scene", part["scene"]) + part["suffix"]
        tables["sample"].write(
            {"token": token, "timestamp": time, "scene_token": scene} | _links(near["sample"], token)
        )
        mounted = {}
        for channel, modality, record in part["channels"]:
            sensor = token_of("sensor", channel)
            mounted[channel] = token_of("calibrated_sensor", channel, json.dumps(record))
            _write_once(tables["sensor"], known, {"token": sensor, "channel": channel, "modality": modality})
            _write_once(
                tables["calibrated_sensor"], known, {"token": mounted[channel], "sensor_token": sensor, **record}
            )
        for row in part["data"]:
            own, mount = row["token"], mounted[row["channel"]]
            tables["ego_pose"].write({"token": own, "timestamp": row["timestamp"], **row["pose"]})
            links = {"sample_token": token, "ego_pose_token": own, "calibrated_sensor_token": mount}
            tables["sample_data"].write(_without(row, "channel", "pose") | links | _links(near["data"], own))
        for row in part["boxes"]:
            links = {"sample_token": token, "instance_token": row["instance"], "attribute_tokens": []}
            links |= _links(near["boxes"], row["token"])
            tables["sample_annotation"].write(_without(row, "instance", "category") | links)


def _write_once(table: TableFile, known: set[str], row: Row) -> None:
    if row["token"] not in known:
        known.add(row["token"])
        table.write(row)


def _without(row: Row, *keys: str) -> Row:
    return {k: v for k, v in row.items() if k not in keys}


def _links(near: Neighbours, token: str) -> dict[str, str]:
    before, after = near[token]
    return {"prev": before, "next": after}


__all__ = ["VERSION", "write_tables"]
