"""Masks as PNG files, and in logs of the folder format: made byte by byte here, or by OpenCV."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import fusion_aug as fa
from calib import CameraSensor, Frame, Pinhole, Rig
from fusion_aug.check.counts.files import LogFiles
from fusion_aug.check.counts.stored import count_folder
from fusion_aug.errors import DataError
from fusion_aug.logs.core.masks import encode_mask
from fusion_aug.streams.source import Source

SIZE = (23, 37)
IDS = np.random.default_rng(0).integers(0, 2**24, SIZE)


def png(rows: np.ndarray, bits: int, kind: int, *more: tuple[bytes, bytes]) -> bytes:
    """A PNG of packed rows (H, bytes) without filters."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", SIZE[1], SIZE[0], bits, kind, 0, 0, 0))
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunk(*m) for m in more) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def packed(ids: np.ndarray, bits: int) -> np.ndarray:
    """Numbers of fewer than 8 bits in bytes, the first in the highest bits."""
    flags = (ids[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(flags.reshape(len(ids), -1).astype(np.uint8), axis=1)


PALETTE = (b"PLTE", bytes(np.random.default_rng(1).integers(0, 255, 768, np.uint8)))
RGB = np.stack([IDS & 255, IDS >> 8 & 255, IDS >> 16], -1).astype(np.uint8)
FILES = {
    "8 bits": (png((IDS % 256).astype(np.uint8), 8, 0), IDS % 256, torch.uint8),
    "16 bits": (png((IDS % 65536).astype(">u2"), 16, 0), IDS % 65536, torch.uint16),
    "a palette": (png((IDS % 256).astype(np.uint8), 8, 3, PALETTE), IDS % 256, torch.uint8),
    "a small palette": (png(packed(IDS % 16, 4), 4, 3, PALETTE, (b"tRNS", b"\0" * 9)), IDS % 16, torch.uint8),
    "4 bits": (png(packed(IDS % 16, 4), 4, 0), IDS % 16, torch.uint8),
    "2 bits": (png(packed(IDS % 4, 2), 2, 0), IDS % 4, torch.uint8),
    "1 bit": (png(packed(IDS % 2, 1), 1, 0), IDS % 2, torch.uint8),
    "three colours": (png(RGB, 8, 2), IDS, torch.int32),
}


@pytest.mark.parametrize("name", FILES)
def test_numbers_of_a_png(name: str, tmp_path: Path) -> None:
    raw, ids, dtype = FILES[name]
    path = tmp_path / "mask.png"
    path.write_bytes(raw)
    found = Source(path, "mask").value
    assert found.dtype == dtype and np.array_equal(found.numpy(), ids)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (cv2.imencode(".jpg", RGB)[1].tobytes(), "is no PNG, and other pictures do not hold"),
        (png(np.dstack([RGB, RGB[..., :1]]), 8, 6), "has transparency or colours of 16 bits"),
        (png(np.dstack([RGB, RGB]), 16, 2), "has transparency or colours of 16 bits"),
        (FILES["a palette"][0][:400], "is damaged or truncated"),
        (FILES["16 bits"][0][:400], "is damaged or truncated"),
        (FILES["8 bits"][0][:20], "is no PNG"),
        (FILES["8 bits"][0].replace(struct.pack(">II", 37, 23), struct.pack(">II", 2**30, 2**30)), "out of bounds"),
    ],
)
def test_other_files_are_refused(raw: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=f"mask.png: .*{words}"):
        Source(path, "mask").value  # noqa: B018


def test_what_a_png_does_not_hold_is_not_written() -> None:
    for mask in (torch.zeros(SIZE, dtype=torch.int64), torch.full(SIZE, 2**24, dtype=torch.int32)):
        with pytest.raises(DataError, match="a PNG holds no"):
            encode_mask(mask, "here")
    red = cv2.imdecode(np.frombuffer(encode_mask(torch.full(SIZE, 5, dtype=torch.int32), "here"), np.uint8), 1)
    assert red[0, 0].tolist() == [0, 0, 5], "COCO's lowest byte is red, which OpenCV has last"


def sample_with(masks: dict[str, fa.SegmentationMask]) -> fa.Sample:
    lens = Pinhole.from_focal(30.0, 30.0, 18.0, 11.0, SIZE)
    frame = Frame(parent="ego", pose=torch.eye(4, dtype=torch.float64), axis_convention="camera")
    rig = Rig({"ego": Frame(), "cam": frame}, {"cam": CameraSensor(frame="cam", model=lens)})
    return fa.make_sample("s", ("ego", 0), rig, scene="scene", streams=dict(masks))


def mask(item: object, **more: object) -> fa.SegmentationMask:
    return fa.SegmentationMask(frame="cam", camera="cam", capture_times=[0], items=(item,), **more)  # type: ignore[arg-type]


def test_a_folder_log_holds_masks_as_files(tmp_path: Path) -> None:
    """Untouched files are copied byte by byte, others written as PNG, and what no PNG holds as arrays."""
    for i, (raw, _, _) in enumerate(FILES.values()):
        (tmp_path / f"{i}.png").write_bytes(raw)
    files = {f"cam/{name}": mask(Source(tmp_path / f"{i}.png", "mask")) for i, name in enumerate(FILES)}
    more = {
        "cam/wide": mask(torch.from_numpy(IDS), ignore=-1, holds="instance"),
        "cam/pixels": mask(torch.from_numpy(IDS % 65536).to(torch.uint16), holds="panoptic", ignore=65535,
                           per_class=500, label_names=("road", "", "car")),
    }  # fmt: skip
    log = fa.write_log([sample_with(files | more)], tmp_path / "log")
    back = log[0]
    for i, (name, (raw, ids, dtype)) in enumerate(FILES.items()):
        (path,) = (tmp_path / "log").glob(f"samples/**/streams/cam%2F{name}/*.png")
        assert path.read_bytes() == raw, i
        found = back[f"cam/{name}"].image(0)
        assert found.dtype == dtype and np.array_equal(found.numpy(), ids)
    assert not list((tmp_path / "log").glob("samples/**/cam%2Fwide/*.png"))
    assert torch.equal(back["cam/wide"].image(0), more["cam/wide"].image(0)) and back["cam/wide"].ignore == -1
    pixels = back["cam/pixels"]
    assert (pixels.holds, pixels.ignore, pixels.per_class, pixels.label_names) == (
        "panoptic", 65535, 500, ("road", "", "car"),
    )  # fmt: skip
    (path,) = (tmp_path / "log").glob("samples/**/streams/cam%2Fpixels/*.png")
    assert np.array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), IDS % 65536)
    assert "ignore" in json.loads((path.parent / "stream.json").read_text())["fields"]
    counts = count_folder(LogFiles(tmp_path / "log"), path.parent.parent)
    assert counts and all(c == {"pictures": 1} for c in counts.values()), "an independent count"


def test_a_moved_mask_of_a_file_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "mask.png").write_bytes(FILES["16 bits"][0])
    sample = sample_with({"cam/mask": mask(Source(tmp_path / "mask.png", "mask"), ignore=7)})
    out = fa.Crop(size=(30, 30), x=0.0, y=0.0)(sample)
    back = fa.write_log([out], tmp_path / "log")[0]["cam/mask"]
    assert back.image(0).dtype == torch.uint16
    expected = np.full((30, 30), 7, np.uint16)
    expected[:23] = (IDS % 65536)[:, :30]
    found = back.image(0).numpy()
    top = 0 if np.array_equal(found[:23], expected[:23]) else 30 - 23
    assert np.array_equal(np.roll(found, -top, 0), expected)


def test_classes_and_objects_of_a_mask() -> None:
    ids = torch.tensor([[3, 26, 26001, 26002, 24000, 65535]]).to(torch.uint16)  # Cityscapes: 26 is a group of cars
    both = mask(ids, holds="panoptic", ignore=65535)
    assert both.classes(0).tolist() == [[3, 26, 26, 26, 24, -1]]
    assert both.instances(0).tolist() == [[0, 0, 26001, 26002, 0, 0]]
    only = mask(ids, holds="instance", ignore=65535)
    assert only.instances(0).tolist() == [[3, 26, 26001, 26002, 24000, 0]]
    with pytest.raises(DataError, match="holds numbers of objects, which tell no class"):
        only.classes(0)
    plain = mask(ids, ignore=3)
    assert plain.classes(0)[0, :2].tolist() == [-1, 26] and not bool(plain.instances(0).any())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"holds": "things"}, "holds: 'things' is not one of class, instance, panoptic"),
        ({"per_class": 0}, "per_class: expected a whole number above 0"),
        ({"ignore": 256}, "torch.uint8 cannot hold ignore=256"),
    ],
)
def test_wrong_masks_are_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(DataError, match=words):
        mask(torch.zeros(SIZE, dtype=torch.uint8), **changes)
