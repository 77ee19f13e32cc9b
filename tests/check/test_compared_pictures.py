"""Pictures, depth and gels are compared by what they are and as their files are coded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from own_streams import T0, compared, own_sample

import fusion_aug as fa
from calib import Frame, GelModel, Rig
from fusion_aug.check import Row
from fusion_aug.check.output import rows_left_out
from fusion_aug.logs.core.files import write_image
from fusion_aug.logs.core.touch import with_first_gel
from fusion_aug.logs.folder.writer import FolderWriter
from fusion_aug.sample import Sample
from fusion_aug.streams import Stream
from fusion_aug.streams.source import Coding, Source


# --- pictures --------------------------------------------------------------------------------------------------------
def with_picture(stream: Stream) -> Sample:
    sample = own_sample()
    rig = Rig({**sample.rig.frames, "eye": Frame(parent="ego", axis_convention="camera")})
    return sample.with_streams({"eye": stream}).with_meta(0, rig=rig, true_rig=rig)


def pictures(kind: type[fa.Stream], item: Any, **more: Any) -> Sample:
    return with_picture(kind(frame="eye", capture_times=torch.tensor([T0]), items=(item,), **more))


def noise_picture() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (32, 40, 3), dtype=np.uint8))


@pytest.mark.parametrize(("ending", "limit"), [(".png", 0.0), (".jpg", 4.0)])
def test_pictures_are_compared_as_their_files_are_coded(tmp_path: Path, ending: str, limit: float) -> None:
    picture, path = noise_picture(), tmp_path / f"picture{ending}"
    write_image(picture, path)
    expected, found = pictures(fa.Camera, picture), pictures(fa.Camera, Source(path, "image"))
    row = next(r for n, r in compared(expected, found, "eye").items() if n.startswith("picture"))
    assert row.status == "PASS" and row.limit == limit and row.unit == "levels"
    other = picture.clone()
    other[3, 4, 0] += 1  # wraps at 255, so that it is another level in any case
    changed = pictures(fa.Camera, other if limit == 0 else picture.flip(1))
    row = next(r for n, r in compared(changed, found, "eye").items() if n.startswith("picture"))
    assert row.status == "FAIL"


def test_pictures_of_16_bits_are_compared_in_fractions_of_a_level(tmp_path: Path) -> None:
    picture, path = noise_picture().to(torch.uint16), tmp_path / "picture.png"
    write_image(picture, path)
    found = pictures(fa.Camera, Source(path, "image"))
    row = next(r for n, r in compared(pictures(fa.Camera, picture), found, "eye").items() if n.startswith("picture"))
    assert row.status == "PASS" and row.values.max() == 0
    other = picture.to(torch.int32)
    other[3, 4, 0] += 1
    changed = pictures(fa.Camera, other.to(torch.uint16))
    row = next(r for n, r in compared(changed, found, "eye").items() if n.startswith("picture"))
    assert row.status == "FAIL" and np.isclose(row.values.max(), 1 / 257)


class Millimetres(Source):
    """Depth in whole millimetres."""

    coding = Coding(step=1e-3)
    value = torch.full((4, 5), 2.0)


def test_depth_ids_and_own_pictures_are_compared_by_what_they_are(tmp_path: Path) -> None:
    file = Millimetres(tmp_path / "depth", "depth")

    def depth_row(metres: float, item: Any) -> Row:
        return compared(pictures(fa.Depth, torch.full((4, 5), metres)), pictures(fa.Depth, item), "eye")["depth"]

    assert depth_row(2.0004, file).status == "PASS" and depth_row(2.0006, file).status == "FAIL"
    assert depth_row(2.0004, torch.full((4, 5), 2.0)).status == "FAIL"
    assert depth_row(float("inf"), torch.full((4, 5), float("inf"))).status == "PASS"
    ids = torch.arange(20, dtype=torch.uint8).reshape(4, 5)
    off = ids.clone()
    off[0, 0] = 9
    for kind, title in ((fa.SegmentationMask, "pixels that differ"), (fa.HeightMap, "heights")):
        a, b = (pictures(kind, v.float() if kind is fa.HeightMap else v) for v in (ids, off))
        assert compared(a, a, "eye")[title].status == "PASS" and compared(a, b, "eye")[title].status == "FAIL"
    small = pictures(fa.Depth, torch.full((4, 4), 2.0))
    assert compared(pictures(fa.Depth, torch.full((4, 5), 2.0)), small, "eye")["depth"].status == "FAIL"


def test_gels_and_backgrounds_of_every_picture() -> None:
    grounds = tuple(torch.full((8, 8, 3), level, dtype=torch.uint8) for level in (10, 11, 12))
    gel = GelModel(lights=torch.ones(10, 3))

    def touch(grounds: tuple[torch.Tensor, ...], gel: GelModel) -> fa.TactileImage:
        items = (noise_picture()[:8, :8],) * 3
        times = T0 + torch.arange(3)
        return fa.TactileImage(
            frame="eye", capture_times=times, items=items, mm_per_pixel=0.1, backgrounds=grounds, gels=(gel,) * 3
        )

    sample = with_picture(touch(grounds, gel))
    assert {r.status for r in compared(sample, sample, "eye").values()} == {"PASS"}
    last = with_picture(touch((*grounds[:2], grounds[0]), replace(gel, noise=2.0)))
    failed = {n for n, r in compared(sample, last, "eye").items() if r.status == "FAIL"}
    assert failed == {"backgrounds", "gels"}
    # logs of robots hold those of the first picture
    kept = with_picture(with_first_gel(sample["eye"]))
    rows = rows_left_out(sample, kept, FolderWriter(None, Path()))
    assert [r.measurement for r in rows] == ["backgrounds"] and rows[0].status.startswith("not compared: ")
    assert with_first_gel(kept["eye"]) is kept["eye"]
