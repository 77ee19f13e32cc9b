"""Streams of classes that the package does not know, and what ``check`` says of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from calib import Frame, Rig
from calib.se3 import rotation_about, se3
from fusion_aug.check import Row, combine
from fusion_aug.check.stream_comparison import StreamPair, compare_stream
from fusion_aug.cli import main
from fusion_aug.sample import Ref, Sample, SampleMeta
from fusion_aug.streams import Ragged, Stream, rectangle_corners, strings
from fusion_aug.streams.columns import (
    Column,
    axial,
    categorical,
    corners,
    joint,
    label,
    length,
    polar,
    pose,
    position,
    scalar,
    specific_force,
    time_offset,
)  # fmt: skip
from fusion_aug.streams.families import ImagePlane, Mount, Weather

T0 = 1_700_000_000_000_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Magnetometer(Stream):
    """A sensor that the package knows nothing of: field (n, 3), temperature (n,), status (n,) text."""

    unit_name: str = "uT"

    columns: ClassVar[tuple[Column, ...]] = (axial("field"), scalar("temperature"), label("status"))
    invariant_to: ClassVar[tuple[type, ...]] = (ImagePlane, Mount, Weather)


@dataclass(frozen=True, kw_only=True, eq=False)
class Beacons(Ragged):
    """Rows of every typed kind."""

    offset: torch.Tensor = field(default_factory=lambda: torch.zeros(3))

    columns: ClassVar[tuple[Column, ...]] = (
        position("place"), pose("body"), polar("drift", rate=True), polar("push", scaled=False), specific_force("felt"),
        length("range"), joint("angle"), time_offset("late"), corners("outline"), categorical("code"), label("name"),
    )  # fmt: skip
    invariant_to: ClassVar[tuple[type, ...]] = (ImagePlane, Mount, Weather)


@dataclass(frozen=True, kw_only=True, eq=False)
class Spectrometer(Stream):
    """A class with a kind of column that nobody has said how to compare."""

    columns: ClassVar[tuple[Column, ...]] = (Column("bins", "spectrum"), scalar("gain"))


def own_sample() -> Sample:
    """A vehicle with a magnetometer, beacons and a spectrometer, none of which the package knows."""
    rng = np.random.default_rng(3)
    frames = {
        "world": Frame(axis_convention="world"),
        "ego": Frame(parent="world", pose=se3(rotation_about("z", 0.3), [4.0, 2.0, 0.0])),
        "mag": Frame(parent="ego", pose=se3(rotation_about("x", 0.2), [0.5, 0.1, 0.3])),
    }
    times = T0 + torch.arange(4) * 10_000_000

    def numbers(*shape: int) -> torch.Tensor:
        return torch.from_numpy(rng.normal(size=shape))

    rectangles = numbers(5, 4).abs() * 40
    rows: dict[str, Any] = {
        "place": numbers(5, 3).float(), "body": se3(rotation_about("y", numbers(5)), numbers(5, 3)),
        "drift": numbers(5, 3), "push": numbers(5, 3), "felt": numbers(5, 3), "range": numbers(5).abs(),
        "angle": numbers(5, 2), "late": numbers(5), "outline": rectangle_corners(rectangles),
        "code": torch.arange(5), "name": strings("abcde"),
    }  # fmt: skip
    field_values = {"field": numbers(4, 3), "temperature": numbers(4), "status": strings(["ok"] * 4)}
    rig = Rig(frames)
    meta = SampleMeta(id="s0", scene="s0", ref=Ref("ego", T0), rig=rig, true_rig=rig)
    streams: dict[str, Stream] = {
        "mag": Magnetometer(frame="mag", capture_times=times, values=field_values),
        "beacons": Beacons(frame="mag", capture_times=times[:2], values=rows, offsets=torch.tensor([0, 2, 5])),
        "spectrum": Spectrometer(
            frame="mag", capture_times=times, values={"bins": numbers(4, 8), "gain": numbers(4)}
        ),
    }  # fmt: skip
    return Sample(metas=(meta,), streams=streams)


def checked(out: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    capsys.readouterr()
    code = main(["check", str(out)])
    return code, capsys.readouterr().out.splitlines()


def compared(expected: Sample, found: Sample, name: str, **more: Any) -> dict[str, Row]:
    return {r.measurement: r for r in combine(list(compare_stream(StreamPair(name, expected, found, **more))))}
