"""``log.classes`` for pixels and cells."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from samples import T0, make_sample

import fusion_aug as fa
from fusion_aug.errors import DataError
from fusion_aug.logs.core.new_numbers import renumbered
from fusion_aug.streams.source import Source

NAMES = ("", "road", "car", "van", "person", "free")
ASKED = {"vehicle": ["car", "van"], "person": "person"}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A folder log with masks of three kinds and a grid; the mask of classes is a file of a palette's size."""
    rng = np.random.default_rng(0)
    sample, size = make_sample(gels=False, boxes=0), (48, 64)
    ids = rng.integers(0, 6, size).astype(np.uint8)
    ids[:4] = 255
    cv2.imwrite(str(tmp_path / "ids.png"), ids)
    wide = ids.astype(int)
    with_objects = np.where(wide < 2, wide, wide * 1000 + rng.integers(0, 9, size))
    both = torch.from_numpy(np.where(ids == 255, 65535, with_objects).astype(np.uint16))
    common = {"frame": "CAM_FRONT", "camera": "CAM_FRONT", "capture_times": sample["CAM_FRONT"].capture_times}
    grid = fa.Occupancy(frame="ref", capture_times=[T0], values={"label": rng.integers(1, 6, (1, 5, 4, 3), np.uint8)},
                        cell=(1, 1, 1), free=5, label_names=NAMES)  # fmt: skip
    kind, file, plain = fa.SegmentationMask, Source(tmp_path / "ids.png", "mask"), torch.from_numpy(ids)
    masks = {
        "CAM_FRONT/ids": kind(items=(file,), label_names=NAMES, **common),
        "CAM_FRONT/both": kind(items=(both,), holds="panoptic", ignore=65535, label_names=NAMES, **common),
        "CAM_FRONT/objects": kind(items=(both,), holds="instance", ignore=65535, **common),
        "CAM_FRONT/plain": kind(items=(plain,), **common),
    }
    fa.write_log([sample.with_streams({**sample.streams, **masks, "occupancy": grid})], tmp_path / "log")
    return tmp_path / "log"


def by_hand(ids: np.ndarray, table: dict[int, int], nothing: int) -> np.ndarray:
    out = np.full_like(ids, nothing)
    for old, new in table.items():
        out[ids == old] = new
    return out


def test_classes_of_pixels_and_cells(log: Path, tmp_path: Path) -> None:
    plain, asked = fa.open_log("folder", log)[0], fa.open_log("folder", log, classes=ASKED)[0]
    mask, both, grid = (asked[n] for n in ("CAM_FRONT/ids", "CAM_FRONT/both", "occupancy"))
    assert isinstance(mask.items[0], Source) and not mask.items[0].is_decoded, "nothing is decoded early"
    assert mask.label_names == both.label_names == ("", "", "vehicle", "", "person")
    table = {2: 2, 3: 2, 4: 4}
    before = plain["CAM_FRONT/ids"].image(0).numpy()
    assert np.array_equal(mask.image(0).numpy(), by_hand(before, table, 255))
    ids = plain["CAM_FRONT/both"].image(0).numpy().astype(int)
    expected = np.where(
        (ids >= 2000) & (ids < 4000), 2000 + ids % 1000, np.where((ids >= 4000) & (ids < 5000), ids, 65535)
    )
    assert np.array_equal(both.image(0).numpy(), expected) and both.image(0).dtype == torch.uint16
    for name in ("CAM_FRONT/objects", "CAM_FRONT/plain"):
        assert torch.equal(asked[name].image(0), plain[name].image(0)), "classes without names stay"
    cells = plain["occupancy"]["label"].numpy()
    assert np.array_equal(grid["label"].numpy(), by_hand(cells, {**table, 5: 5}, 255))
    assert grid.free == 5 and grid.label_names == ("", "", "vehicle", "", "person", "free")
    # what is written is what was read, and no copy of the file with the old numbers
    back = fa.write_log([asked], tmp_path / "out")[0]
    assert torch.equal(back["CAM_FRONT/ids"].image(0), mask.image(0))
    assert torch.equal(back["occupancy"]["label"], grid["label"])


def test_free_cells_get_another_number_where_theirs_is_taken() -> None:
    label = np.array([[[[0, 1, 2]]]], np.uint8)
    grid = fa.Occupancy(
        frame="ref", capture_times=[T0], values={"label": label}, free=1, label_names=("a", "free", "c")
    )
    from fusion_aug.logs.core.new_numbers import grid_with_new_classes

    new = grid_with_new_classes(grid, {0: 1, 2: 0}, ("x", "y"))
    assert new["label"].flatten().tolist() == [1, 2, 0] and new.free == 2 and new.label_names == ("x", "y", "free")


def test_numbers_that_do_not_fit_are_refused() -> None:
    ids = torch.tensor([30_000], dtype=torch.int32).to(torch.uint16)
    with pytest.raises(DataError, match=r"log\.classes: class 70 does not fit torch\.uint16 numbers of 1000 per class"):
        renumbered(ids, {30: 70}, 1000, 65535)
