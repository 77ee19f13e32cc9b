"""Sizes in the heads of JPEG XL and JPEG 2000, against what imagecodecs writes."""

from __future__ import annotations

import numpy as np
import pytest

from fusion_aug.safe.picture_sizes import jpeg2000_size, jpegxl_size

imagecodecs = pytest.importorskip("imagecodecs")


SIZES = [(1, 1), (8, 8), (48, 64), (64, 48), (96, 96), (120, 144), (240, 320), (9, 16), (2, 600)]
OTHERS = [b"", b"\xff\x0a", b"\x00\x00\x00\x0cJXL \r\n\x87\n" + bytes(40), bytes(100), b"\xff\x4f\xff\x51"]


@pytest.mark.parametrize("size", SIZES)
def test_sizes_that_are_written(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    for boxed in (False, True):
        assert jpegxl_size(imagecodecs.jpegxl_encode(picture, usecontainer=boxed)) == size
    for codec in ("j2k", "jp2"):
        assert jpeg2000_size(imagecodecs.jpeg2k_encode(picture, codecformat=codec)) == size


@pytest.mark.parametrize("raw", OTHERS)
def test_what_is_none(raw: bytes) -> None:
    assert jpegxl_size(raw) is None and jpeg2000_size(raw) is None
