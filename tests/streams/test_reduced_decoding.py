"""Pictures that shrink are decoded as large as they are needed: sharp, in place, and the same whoever asks."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from samples import make_sample

import fusion_aug as fa
from benchmarks.zone_plate import measured
from calib.sensors import apply_homography
from fusion_aug.core.engine import replay
from fusion_aug.errors import DataError
from fusion_aug.logs.core.jpeg import is_plain
from fusion_aug.ops import reduced
from fusion_aug.ops.image_map import ImageMap
from fusion_aug.ops.reduced import reduction
from fusion_aug.ops.warp import warp
from fusion_aug.sample.history import History, history_from_json, history_to_json
from fusion_aug.streams import Camera
from fusion_aug.streams.source import Source
from fusion_aug.transforms.image.image_plane import ResizeCrop, resize_map

pytestmark = pytest.mark.quick
SIZE = (301, 403)


def picture() -> np.ndarray:
    """Soft dots on grey, BGR."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    out = np.full((*SIZE, 3), 40.0)
    for u, v in dots():
        out += 200 * np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * 9.0**2))[..., None]
    return np.round(out).clip(0, 255).astype(np.uint8)


def dots() -> np.ndarray:
    return np.array([[60.3, 50.8], [200.0, 150.4], [340.7, 60.1], [77.2, 251.9], [330.5, 240.5]])


def to_canvas(scale: float, size: tuple[int, int] = (100, 140)) -> ImageMap:
    P, new = ResizeCrop.pixel_map({"size": list(size), "scale": scale, "x": 0.4, "y": 0.6}, SIZE)
    return ImageMap.homography(P, new)


def source(folder: Path, name: str = "a.jpg", options: tuple[int, ...] = (cv2.IMWRITE_JPEG_QUALITY, 98)) -> Source:
    assert cv2.imwrite(str(folder / name), picture(), list(options))
    return Source(folder / name, "image", options={"size": SIZE})


def camera(item: Source, image_map: ImageMap) -> Camera:
    return Camera(frame="cam", capture_times=torch.tensor([0]), items=(item,), pending=(image_map,))


@pytest.mark.parametrize(("scale", "most"), [(0.25, 0.25), (0.38, 0.25), (0.46, 0.25), (0.49, 0.35), (0.5, 0.6)])
def test_a_zone_plate_of_a_file_is_sharp_and_does_not_alias(scale: float, most: float) -> None:
    residual, contrast = measured(scale, ".jpg")
    assert residual <= most
    assert contrast >= 0.6


@pytest.mark.parametrize(
    ("image_map", "by"),
    [
        (to_canvas(0.5), 2), (to_canvas(0.26), 2), (to_canvas(0.25), 4), (to_canvas(0.51), 1), (to_canvas(1.0), 1),
        (ImageMap.homography(resize_map(0.2, 0.6), (100, 100)), 1),
        (ImageMap.homography(torch.diag(torch.tensor([-0.4, 0.4, 1.0])).double(), (100, 100)), 2),
        (ImageMap.homography(torch.tensor([[0.3, 0, 0], [0, 0.3, 0], [1e-4, 0, 1]]).double(), (100, 100)), 1),
        (ImageMap.homography(resize_map(0.3, 0.3).requires_grad_(), (100, 100)), 1),
    ],
)  # fmt: skip
def test_the_map_alone_says_how_much_smaller(image_map: ImageMap, by: int) -> None:
    assert reduction(image_map) == by


@pytest.mark.parametrize("scale", [0.23, 0.41, 0.5])
def test_dots_stay_where_the_calibration_says(tmp_path: Path, scale: float) -> None:
    image_map = to_canvas(scale, (round(SIZE[0] * scale), round(SIZE[1] * scale)))
    out = camera(source(tmp_path), image_map).image(0).numpy().astype(float)[..., 0] - 40
    P = image_map.matrix()
    assert P is not None
    r = round(4 * 9.0 * scale)
    for u, v in apply_homography(P, torch.from_numpy(dots())).tolist():
        y, x = np.mgrid[round(v) - r : round(v) + r + 1, round(u) - r : round(u) + r + 1]
        part = out[y, x]
        assert abs((part * x).sum() / part.sum() - u) <= 0.03
        assert abs((part * y).sum() / part.sum() - v) <= 0.03


def test_a_picture_that_somebody_looked_at_gives_the_same(tmp_path: Path) -> None:
    item, image_map = source(tmp_path), to_canvas(0.4)
    first = camera(item, image_map).image(0)
    assert item.reduced(2) is not None
    assert not item.is_decoded, "the picture was decoded in full"
    looked_at = source(tmp_path)
    assert looked_at.value.shape == (*SIZE, 3)
    again = pickle.loads(pickle.dumps(item))  # as it goes to a worker
    for other in (item, looked_at, again):
        torch.testing.assert_close(camera(other, image_map).image(0), first, rtol=0, atol=0)


def with_segment(raw: bytes, marker: int, content: bytes) -> bytes:
    return raw[:2] + struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content + raw[2:]


def exif(orientation: int, order: str) -> bytes:
    """An Exif segment with one entry, the orientation."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, 1)
    return b"Exif\0\0" + head + struct.pack(f"{order}HHIHHI", 0x0112, 3, 1, orientation, 0, 0)


@pytest.mark.parametrize("kind", ["progressive", "turned", "png", "of unknown size"])
def test_what_cannot_be_decoded_smaller_is_decoded_in_full(tmp_path: Path, kind: str) -> None:
    item = source(tmp_path)
    if kind == "progressive":
        item = source(tmp_path, options=(cv2.IMWRITE_JPEG_PROGRESSIVE, 1))
    elif kind == "turned":
        item.path.write_bytes(with_segment(item.path.read_bytes(), 0xE1, exif(6, "<")))
    elif kind == "png":
        item = source(tmp_path, "a.png", ())
    else:
        item = Source(item.path, "image")
    image_map = to_canvas(0.4)
    full = warp(item.value, image_map)
    torch.testing.assert_close(camera(item, image_map).image(0), full, rtol=0, atol=0)


def test_heads_of_files(tmp_path: Path) -> None:
    raw = source(tmp_path).path.read_bytes()
    assert is_plain(raw)
    for order in "<>":
        assert is_plain(with_segment(raw, 0xE1, exif(1, order)))
        assert not is_plain(with_segment(raw, 0xE1, exif(3, order)))
    assert not is_plain(with_segment(raw, 0xE1, b"Exif\0\0broken")), "what is damaged there is not taken for upright"
    frame = raw.index(b"\xff\xc0")
    of_four = raw[: frame + 9] + b"\x04" + raw[frame + 10 :]
    assert not is_plain(of_four), "of four colours"
    assert not is_plain(raw[: frame + 4] + b"\x0c" + raw[frame + 5 :]), "of 12 bits"
    assert not is_plain(raw[:frame])
    assert not is_plain(b"")


def test_a_picture_of_another_size_than_its_calibration_is_refused(tmp_path: Path) -> None:
    item = source(tmp_path)
    item.path.write_bytes(cv2.imencode(".jpg", picture()[:280])[1].tobytes())
    with pytest.raises(DataError, match="image size is 403x280, but its camera is calibrated for 403x301"):
        camera(item, to_canvas(0.4)).image(0)


def with_files(folder: Path, ending: str = ".jpg") -> fa.Sample:
    """A sample whose pictures lie in files."""
    made = make_sample(size=(120, 160), gels=False)
    streams = dict(made.streams)
    for name, stream in made.of_type(Camera).items():
        path = folder / f"{name}{ending}"
        assert cv2.imwrite(str(path), stream.image(0).numpy()[..., ::-1])
        streams[name] = replace(stream, items=(Source(path, "image", options={"size": (120, 160)}),))
    return made.with_streams(streams)


def pictures(sample: fa.Sample) -> dict[str, torch.Tensor]:
    return {n: c.image(0) for n, c in sample.of_type(Camera).items()}


def are_same(a: fa.Sample, b: fa.Sample) -> bool:
    mine, theirs = pictures(a), pictures(b)
    return list(mine) == list(theirs) and all(torch.equal(mine[n], theirs[n]) for n in mine)


def decoded(sample: fa.Sample) -> list[Any]:
    """What the records tell of the decoding, of those that do."""
    return [r.before["decoded"] for r in sample.history if "decoded" in r.before]


def told(history: History, shares: Mapping[str, str]) -> History:
    """A history whose records tell another decoding."""
    return tuple(replace(r, before={**r.before, "decoded": shares}) if "decoded" in r.before else r for r in history)


def of_all(sample: fa.Sample, share: str) -> dict[str, str]:
    return dict.fromkeys(sample.of_type(Camera), share)


SHRINK = fa.ResizeCrop(size=(48, 64), scale=[0.39, 0.41], x=[0.0, 1.0], y=[0.0, 1.0])
LIGHT = [fa.Brightness(factor=[0.8, 1.2]), fa.Contrast(factor=[0.8, 1.2])]


def test_the_record_tells_at_what_size_files_are_decoded(tmp_path: Path) -> None:
    files = with_files(tmp_path)
    assert decoded(SHRINK(files)) == [of_all(files, "1/2")]
    assert decoded(fa.Resize(size=(30, 40))(files)) == [of_all(files, "1/4")]
    assert decoded(fa.Resize(size=(90, 120))(files)) == [{}]
    assert decoded(SHRINK(make_sample(size=(120, 160), gels=False))) == [{}], "no file is decoded"
    assert decoded(SHRINK(with_files(tmp_path, ".png"))) == [{}], "it is no JPEG"
    twice = fa.Compose([fa.Resize(size=(84, 112)), fa.Resize(size=(59, 78))])(files)
    assert decoded(twice) == [{}, of_all(files, "1/2")], "both together shrink to a half"
    batch = SHRINK(fa.collate([files, with_files(tmp_path, ".png").with_meta(0, id="other")]))
    assert [m.history[0].before["decoded"] for m in batch.metas] == [of_all(files, "1/2"), {}]


def test_a_replay_obeys_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = with_files(tmp_path)
    out = fa.Compose([SHRINK, fa.FlipImage(), fa.MirrorScene(axis="y"), *LIGHT])(files, seed=4)
    history = history_from_json(history_to_json(out.history))
    assert are_same(replay(with_files(tmp_path), history), out)
    coarser = replay(files, told(history, of_all(files, "1/4")))
    full = replay(files, told(history, {}))
    assert not are_same(coarser, out) and not are_same(full, out) and not are_same(coarser, full)
    assert decoded(coarser) == [of_all(files, "1/4")] * 2
    monkeypatch.setattr(reduced, "REDUCTIONS", ())  # a later version that decides otherwise
    assert are_same(fa.Compose([SHRINK, fa.FlipImage(), fa.MirrorScene(axis="y"), *LIGHT])(files, seed=4), full)
    assert are_same(replay(files, history), out)


@pytest.mark.parametrize("shares", [{"CAM_FRONT": "1/3"}, {"CAM_FRONT": 2}, ["1/2"]])
def test_a_damaged_record_is_told(tmp_path: Path, shares: Any) -> None:
    files = with_files(tmp_path)
    with pytest.raises(DataError, match="history: decoded: expected a camera's name and one of 1/4, 1/2, got"):
        replay(files, told(SHRINK(files).history, shares))


def test_a_sample_that_somebody_looked_at_gives_the_same(tmp_path: Path) -> None:
    chain, looked_at = fa.Compose([SHRINK, *LIGHT]), with_files(tmp_path)
    assert all(p.shape == (120, 160, 3) for p in pictures(looked_at).values())
    assert are_same(fa.FlipImage()(looked_at), fa.FlipImage()(with_files(tmp_path)))
    first = chain(with_files(tmp_path), seed=1)
    for again in (chain(looked_at, seed=1), chain(looked_at, seed=1)):
        assert are_same(again, first)
        assert again.history == first.history


def test_what_shrinks_and_grows_again_is_decoded_in_full(tmp_path: Path) -> None:
    files = with_files(tmp_path)
    there_and_back = fa.Compose([fa.Resize(size=(60, 80)), fa.Resize(size=(120, 160))])(files)
    assert decoded(there_and_back) == [of_all(files, "1/2"), {}]
    assert are_same(there_and_back, files)


def test_what_is_only_passed_on_is_not_held(tmp_path: Path) -> None:
    """A sample that is read anew for each draw keeps no decoded picture; one that is kept does from the second on."""
    files, chain = with_files(tmp_path), fa.Compose(LIGHT)
    sources = [c.items[0] for c in files.of_type(Camera).values()]
    first = chain(files, seed=2)
    assert pictures(first) and not any(s.is_decoded for s in sources)
    assert are_same(chain(files, seed=2), first) and all(s.is_decoded for s in sources)


def test_a_picture_that_was_looked_at_through_a_map_can_be_copied(tmp_path: Path) -> None:
    sample = make_sample().with_streams({"CAM_FRONT": camera(source(tmp_path), to_canvas(0.4))})
    first = sample["CAM_FRONT"].image(0)  # type: ignore[attr-defined]
    copy = sample.clone()
    assert torch.equal(copy["CAM_FRONT"].image(0), first)  # type: ignore[attr-defined]
