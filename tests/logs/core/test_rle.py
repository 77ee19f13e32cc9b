"""Run lengths of COCO: short texts against those of pycocotools 2.0.11, all else pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fusion_aug as fa
from fusion_aug.errors import DataError


def blocks() -> np.ndarray:
    mask = np.zeros((9, 11), np.uint8)
    mask[2:6, 3:8] = mask[7, 0] = mask[0, 10] = 1
    return mask


def test_the_text_is_that_of_cocos_own_tools() -> None:
    rle = fa.encode_rle(blocks())
    assert rle == {"size": [9, 11], "counts": "71e03@0000000`0MC"}
    assert fa.encode_rle(blocks(), short=False)["counts"] == [7, 1, 21, 4, 5, 4, 5, 4, 5, 4, 5, 4, 21, 1, 8]
    wide = np.zeros((300, 400), bool)
    wide[100:250, 30:390] = True
    assert fa.encode_rle(torch.from_numpy(wide))["counts"].startswith("\\l8f4f4000000000")


@pytest.mark.parametrize("seed", range(20))
def test_pixels_come_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random(rng.integers(1, 60, 2)) < (0, 0.03, 0.5, 1)[seed % 4]
    for short in (True, False):
        rle = fa.encode_rle(mask, short=short)
        found = fa.decode_rle(rle)
        assert found.dtype == torch.bool and found.is_contiguous() and np.array_equal(found.numpy(), mask)
    # run lengths, one pixel after another
    flat, runs, last = mask.T.reshape(-1).tolist(), [0], False
    for pixel in flat:
        if pixel != last:
            runs.append(0)
            last = pixel
        runs[-1] += 1
    assert fa.encode_rle(mask, short=False)["counts"] == runs
    counts = fa.encode_rle(mask)["counts"].encode()
    assert np.array_equal(fa.decode_rle({"size": mask.shape, "counts": counts}).numpy(), mask)


@pytest.mark.parametrize(
    ("rle", "words"),
    [
        ([], r"size: expected \[height, width\]"),
        ({"size": [9, -1], "counts": [1]}, r"size: expected \[height, width\]"),
        ({"size": [2**40, 2**40], "counts": [2**80]}, "pixels are out of bounds"),
        ({"size": [9, 11], "counts": [98]}, "the runs do not fill the 99 pixels"),
        ({"size": [9, 11], "counts": [2**70, 99 - 2**70]}, "the runs do not fill"),
        ({"size": [9, 11], "counts": [10**12]}, "the runs do not fill"),
        ({"size": [9, 11], "counts": [50.0, 49.0]}, "expected whole numbers or a text"),
        ({"size": [9, 11], "counts": None}, "expected whole numbers or a text, got NoneType"),
        ({"size": [9, 11], "counts": "o" * 40}, "is not a text of run lengths"),
        ({"size": [9, 11], "counts": "7\x001"}, "is not a text of run lengths"),
        ({"size": [9, 11], "counts": "7\udc80"}, "is not a text of run lengths"),  # as JSON may hold it
        ({"size": [9, 11], "counts": "71e03@0000000`0Mo"}, "ends within a number"),
        ({"size": [9, 11], "counts": "71e03@0000000`0M"}, "the runs do not fill"),
    ],
)
def test_damaged_runs_are_refused(rle: object, words: str) -> None:
    with pytest.raises(DataError, match=f"info.pkl: box 3: .*{words}"):
        fa.decode_rle(rle, "info.pkl: box 3")  # type: ignore[arg-type]


def test_objects_become_a_mask_that_follows_pictures() -> None:
    other = np.zeros((9, 11), np.uint8)
    other[5:8, 6:9] = 1
    ids = fa.objects_mask([fa.encode_rle(blocks()), fa.encode_rle(other, short=False)], [12, 7])
    expected = np.where(other, 7, np.where(blocks(), 12, 0))
    assert ids.dtype == torch.int32 and np.array_equal(ids.numpy(), expected)
    stream = fa.SegmentationMask(frame="c", capture_times=[0], items=(ids,), holds="instance", ignore=-1)
    assert torch.equal(stream.instances(0), ids.long())
    with pytest.raises(DataError, match=r"rle 1: size: \(3, 3\) is not that of the others"):
        fa.objects_mask([fa.encode_rle(other), fa.encode_rle(np.ones((3, 3)))], [1, 2])
    with pytest.raises(DataError, match="1 masks for 2 objects"):
        fa.objects_mask([fa.encode_rle(other)], [1, 2])


@pytest.mark.parametrize("number", [0, -1, 2**31, 2**70, 1.5, True, "7", None])
def test_numbers_that_are_none_of_an_object_are_refused(number: object) -> None:
    with pytest.raises(DataError, match=r"info.pkl: numbers: expected whole numbers from 1 to 2147483647"):
        fa.objects_mask([fa.encode_rle(blocks())], [number], "info.pkl")  # type: ignore[list-item]
    assert int(fa.objects_mask([fa.encode_rle(blocks())], [2**31 - 1]).max()) == 2**31 - 1
