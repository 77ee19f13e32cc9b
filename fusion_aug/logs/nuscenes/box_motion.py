"""How fast the boxes of nuScenes move, by the annotations of the same instance before and after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fusion_aug.errors import DataError
from fusion_aug.logs.nuscenes.tables import Row, Tables

MAX_GAP = 1.5  # seconds, of the official devkit; with both neighbours twice as long is allowed


def box_velocities(tables: Tables, annotations: Sequence[Row]) -> np.ndarray[Any, Any]:
    """World velocities (n, 3) m/s of annotations by central difference of their neighbours, NaN where there are none.

    Raises:
        DataError: a neighbour is missing, or of another instance.
    """
    found = np.full((len(annotations), 3), np.nan)
    moving = [i for i, row in enumerate(annotations) if row["prev"] or row["next"]]
    if not moving:
        return found
    spans = [_span(tables, annotations[i]) for i in moving]
    places = np.array([[first["translation"], last["translation"]] for first, last in spans], np.float64)
    samples = {row["sample_token"]: row for span in spans for row in span}  # which are few
    times = {s: tables.follow("sample_annotation", row, "sample_token")["timestamp"] for s, row in samples.items()}
    stamps = np.array([[times[row["sample_token"]] for row in span] for span in spans], np.float64)
    seconds = (stamps[:, 1] - stamps[:, 0]) * 1e-6
    most = [MAX_GAP * (2 if annotations[i]["prev"] and annotations[i]["next"] else 1) for i in moving]
    seconds[~((seconds > 0) & (seconds <= most))] = np.nan
    found[moving] = (places[:, 1] - places[:, 0]) / seconds[:, None]
    return found


def _span(tables: Tables, annotation: Row) -> tuple[Row, Row]:
    """The annotations of the same instance before and after one; where there is none, itself."""
    first = _neighbour(tables, annotation, "prev") if annotation["prev"] else annotation
    return first, _neighbour(tables, annotation, "next") if annotation["next"] else annotation


def _neighbour(tables: Tables, annotation: Row, field: str) -> Row:
    """The annotation of the same instance before (``prev``) or after (``next``)."""
    found = tables.follow("sample_annotation", annotation, field)
    if found["instance_token"] != annotation["instance_token"]:
        raise DataError(
            f"{tables.where('sample_annotation', annotation['token'])}: {field}: leads from instance "
            f"{annotation['instance_token']!r} to annotation {found['token']!r} of instance "
            f"{found['instance_token']!r}"
        )
    return found
