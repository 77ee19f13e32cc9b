"""What a picture is: its class declares type, shape and range, and nothing else is taken for it in silence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
import torch
from cases import CASES
from generic import Case, build, of_family
from samples import make_sample

import fusion_aug as fa
from fusion_aug.core.registry import own_transforms
from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import write_image
from fusion_aug.logs.folder.reader import read_sample
from fusion_aug.logs.folder.writer import write_sample
from fusion_aug.streams.families import ImagePlane, Photometric, Weather
from fusion_aug.streams.source import Source, decoder

SIZE = (48, 64)
DEEP = {"uint16": torch.uint16, "uint32": torch.uint32, "uint64": torch.uint64}


class Warmth(fa.ImageStream):
    """Pictures (H, W) of a thermal camera, float32 degrees Celsius: no range."""


class TwelveBits(fa.Camera):
    """A camera of 12 bits in uint16."""

    full_scale: ClassVar[Mapping[torch.dtype, float] | None] = {torch.uint16: 4095}


def camera(picture: Any, kind: type[fa.ImageStream] = fa.Camera) -> fa.ImageStream:
    return kind(frame="CAM_FRONT", capture_times=torch.tensor([1]), items=(picture,))


def with_picture(picture: torch.Tensor, kind: type[fa.ImageStream] = fa.Camera) -> fa.Sample:
    sample = make_sample()
    old = sample["CAM_FRONT"]
    stream = kind(frame="CAM_FRONT", capture_times=old.capture_times, items=(picture,))
    return sample.with_streams({**sample.streams, "CAM_FRONT": stream})


def levels(dtype: torch.dtype, size: tuple[int, ...] = (*SIZE, 3)) -> torch.Tensor:
    """Levels over the whole range of 16 bits; ids of up to 31 bits."""
    most = 65536 if dtype == torch.uint16 else 2**31
    return torch.from_numpy(np.random.default_rng(0).integers(0, most, size)).to(dtype)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("kind", "picture", "words"),
    [
        (fa.Camera, torch.zeros(3, *SIZE), r"Camera of 'CAM_FRONT', item 0: has shape \(3, 48, .*permute\(1, 2, 0\)"),
        (fa.Camera, torch.zeros(*SIZE, 4), r"expected \(H, W, 3\)"),
        (fa.Camera, torch.zeros(*SIZE, 3, dtype=torch.int64), r"holds torch\.int64, expected torch\.uint8 from 0"),
        (fa.Camera, torch.zeros(*SIZE, 3, dtype=torch.float16), r"holds torch\.float16"),
        (fa.Depth, torch.zeros(*SIZE, 1), r"Depth of 'CAM_FRONT', item 0: .*expected \(H, W\); reshape it"),
        (fa.SegmentationMask, torch.zeros(SIZE), r"torch\.float32 cannot hold ids up to 255"),
        (fa.SegmentationMask, torch.zeros(SIZE, dtype=torch.bool), r"torch\.bool cannot hold ids"),
        (Warmth, torch.zeros(SIZE, dtype=torch.int32), r"torch\.int32, which cannot be interpolated; use float32"),
        (Warmth, torch.zeros(5), r"has shape \(5,\), expected \(H, W\)"),
    ],
)  # fmt: skip
def test_another_type_or_shape_is_refused_when_the_stream_is_made(
    kind: type, picture: torch.Tensor, words: str
) -> None:
    with pytest.raises(DataError, match=words):
        camera(picture, kind)


@pytest.mark.parametrize(
    "picture", [torch.full((*SIZE, 3), 200.0), torch.full((*SIZE, 3), -1.0), torch.full((*SIZE, 3), torch.nan)]
)
@pytest.mark.parametrize("step", [fa.Brightness(factor=0.8), fa.FlipImage(), fa.Resize(size=(24, 32))])
def test_float_pictures_out_of_range_are_refused_when_they_are_used(picture: torch.Tensor, step: fa.Transform) -> None:
    with pytest.raises(DataError, match=r"Camera of 'CAM_FRONT', item 0: has values .*expected 0 to 1; divide it"):
        step(with_picture(picture), seed=1).realized()


def test_the_range_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []
    look = torch.Tensor.aminmax
    monkeypatch.setattr(torch.Tensor, "aminmax", lambda t: looked.append(1) or look(t))
    stream = camera(torch.rand(*SIZE, 3))
    for again in (stream, stream, replace(stream, present=torch.tensor([False]))):
        again.image(0)
    assert len(looked) == 1
    camera(torch.zeros(*SIZE, 3, dtype=torch.uint8)).image(0)
    assert len(looked) == 1, "levels of whole numbers cannot be out of range"


def test_what_another_resampling_left_beyond_black_and_white_is_taken() -> None:
    picture = torch.rand(*SIZE, 3) * 1.002 - 0.001
    assert camera(picture).image(0) is picture


@decoder("planes_for_a_test")
def decode_planes(path: Path, raw: bytes, options: dict[str, Any]) -> torch.Tensor:
    return torch.zeros(3, *SIZE, dtype=torch.uint8)


def test_a_file_is_checked_when_it_is_decoded(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    stream = camera(Source(tmp_path / "a", "planes_for_a_test"))
    with pytest.raises(DataError, match=r"Camera of 'CAM_FRONT', item 0: has shape \(3, 48, 64\)"):
        stream.image(0)


# --- values without a range ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("scale", [0.5, 0.25, 0.7])
def test_degrees_are_not_held_in_any_range(scale: float) -> None:
    """A shrunk picture in degrees C is as OpenCV's INTER_AREA has it, far from its rim."""
    v, u = np.mgrid[:96, :128].astype(np.float32)
    celsius = -10 + 55 * (v / 95 + u / 127) / 2
    sample = make_sample(size=(96, 128)).take([0])
    stream = camera(torch.from_numpy(celsius), Warmth)
    size = (round(96 * scale), round(128 * scale))
    out = fa.Resize(size=size)(sample.with_streams({"CAM_FRONT": stream}), seed=1)["CAM_FRONT"].image(0).numpy()
    expected = cv2.resize(celsius, size[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(out - expected)[2:-2, 2:-2].max() < 0.1 and out.min() < -8 and out.max() > 43


def test_float_cameras_stay_between_black_and_white() -> None:
    edge = torch.zeros(*SIZE, 3)
    edge[:, 30:] = 1
    out = fa.Resize(size=(34, 45))(with_picture(edge), seed=1)["CAM_FRONT"].image(0)
    bare = camera(edge, Warmth)
    sharp = fa.Resize(size=(34, 45))(make_sample().with_streams({"CAM_FRONT": bare}), seed=1)["CAM_FRONT"].image(0)
    assert float(out.min()) == 0 and float(out.max()) == 1
    assert float(sharp.min()) < 0 < 1 < float(sharp.max()), "the low-pass overshoots where nothing holds it"


# --- sixteen bits and more -------------------------------------------------------------------------------------------
MOVES: list[tuple[fa.Transform, Callable[[torch.Tensor], torch.Tensor]]] = [
    (fa.FlipImage(), lambda p: p.flip(1)),
    (fa.FlipImage(axis="y"), lambda p: p.flip(0)),
    (fa.Crop(size=(30, 40), x=0.0, y=0.0), lambda p: p[:30, :40]),
    (fa.MirrorScene(axis="x"), lambda p: p.flip(1)),
]


@pytest.mark.quick
@pytest.mark.parametrize(("step", "move"), MOVES)
@pytest.mark.parametrize("kind", [fa.Camera, TwelveBits])
def test_levels_of_16_bits_are_moved(step: fa.Transform, move: Callable, kind: type) -> None:
    picture = levels(torch.uint16)
    out = step(with_picture(picture, kind), seed=1)["CAM_FRONT"].image(0)
    assert out.dtype == torch.uint16 and torch.equal(out.long(), move(picture.long()))


@pytest.mark.parametrize("scale", [0.4, 0.8, 1.3])
def test_levels_of_16_bits_are_resampled(scale: float) -> None:
    """As float pictures are, within one level of 65535."""
    ramp = torch.linspace(1000, 64000, SIZE[1]).expand(SIZE)[..., None].repeat(1, 1, 3).round()
    size = tuple(round(s * scale) for s in SIZE)
    out = [
        fa.Resize(size=size)(with_picture(p), seed=1)["CAM_FRONT"].image(0).double()
        for p in (ramp.to(torch.uint16), ramp / 65535)
    ]
    assert float((out[0] - out[1] * 65535).abs().max()) <= 2


@of_family(Photometric, Weather)
def test_levels_of_16_bits_are_not_changed_in_silence(case: Case) -> None:
    """Brightness, noise, weather: refused by name, or nothing was to be done to this camera."""
    picture = levels(torch.uint16)
    sample = with_picture(picture)
    try:
        out = build(case)(sample, seed=4)
    except DataError as refused:
        assert f"{case[0]}: Camera of 'CAM_FRONT', item 0 holds torch.uint16 with white at 65535" in str(refused)
    else:
        assert out["CAM_FRONT"].image(0) is picture


def test_most_changes_of_levels_were_refused() -> None:
    """The test before this one cannot pass by doing nothing."""
    refused = 0
    for name, settings in CASES.items():
        if issubclass(own_transforms()[name], Photometric):
            try:
                build((name, settings[0]))(with_picture(levels(torch.uint16)), seed=4)
            except DataError:
                refused += 1
    assert refused >= 25


def test_levels_of_another_white_or_none_are_refused() -> None:
    with pytest.raises(DataError, match=r"TwelveBits of 'CAM_FRONT', item 0 holds torch.uint16 with white at 4095"):
        fa.Gamma(gamma=2.0)(with_picture((levels(torch.uint16).long() // 16).to(torch.uint16), TwelveBits), seed=1)

    class Radiance(fa.Camera):
        """W/sr/m^2, without a range."""

        full_scale: ClassVar[Mapping[torch.dtype, float] | None] = None

    with pytest.raises(DataError, match=r"holds torch.float32 without a full scale"):
        fa.Gamma(gamma=2.0)(with_picture(torch.full((*SIZE, 3), 700.0), Radiance), seed=1)


def with_mask(dtype: torch.dtype) -> fa.Sample:
    sample = make_sample()
    old = sample["CAM_LEFT/mask"]
    return sample.with_streams({**sample.streams, "CAM_LEFT/mask": replace(old, items=(levels(dtype, SIZE),))})


@of_family(ImagePlane, fa.Scene, fa.Mount, fa.Temporal)
def test_masks_of_unsigned_types_move_as_others_do(case: Case) -> None:
    """Every map of pixels, view and shutter: the ids of int64 in their own type."""
    expected = None
    for dtype in (torch.int64, torch.uint32, torch.uint64):
        mask = build(case)(with_mask(dtype), seed=3).realized().streams.get("CAM_RIGHT/mask")
        mask = mask or build(case)(with_mask(dtype), seed=3)["CAM_LEFT/mask"].realized()
        assert mask.items[0].dtype == dtype
        expected = mask.items[0] if expected is None else expected
        assert torch.equal(mask.items[0].long(), expected)


@pytest.mark.parametrize("dtype", list(DEEP.values()), ids=list(DEEP))
def test_unsigned_masks_in_batches_and_folders(dtype: torch.dtype, tmp_path: Path) -> None:
    sample = fa.RotateImage(angle_deg=8.0)(with_mask(dtype), seed=1)
    mask = sample["CAM_LEFT/mask"].image(0)
    assert set(mask.unique().tolist()) <= {255, *levels(dtype, SIZE).unique().tolist()}
    batch = fa.collate([sample, sample])
    assert torch.equal(batch["CAM_LEFT/mask"].images[1], mask)
    write_sample(sample, sample.id, tmp_path / "out")
    back = read_sample(tmp_path / "out", sample.id)["CAM_LEFT/mask"].image(0)
    assert back.dtype == dtype and torch.equal(back, mask)


def test_cameras_of_16_bits_in_folders(tmp_path: Path) -> None:
    """PNG holds them; a JPEG would lose eight of the bits, and is refused."""
    picture = levels(torch.uint16)
    sample = with_picture(picture)
    write_sample(sample, sample.id, tmp_path / "out")
    back = read_sample(tmp_path / "out", sample.id)["CAM_FRONT"]
    assert back.image(0).dtype == torch.uint16 and torch.equal(back.image(0), picture)
    with pytest.raises(DataError, match=r"a\.jpg: levels of torch\.uint16 do not go into 8 bits"):
        write_image(picture, tmp_path / "a.jpg")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_cameras_of_floats_in_folders(dtype: torch.dtype, tmp_path: Path) -> None:
    """Our own format holds fractions of a level, which no PNG does."""
    picture = torch.rand(*SIZE, 3, dtype=dtype, generator=torch.Generator().manual_seed(1))
    sample = with_picture(picture)
    write_sample(sample, sample.id, tmp_path / "out")
    back = read_sample(tmp_path / "out", sample.id)["CAM_FRONT"].image(0)
    assert back.dtype == dtype and torch.equal(back, picture)


@pytest.mark.parametrize("shape", [(0, 64, 3), (48, 0, 3)], ids=["no rows", "no columns"])
def test_a_picture_without_a_pixel_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"CAM_FRONT.*holds no pixel"):
        with_picture(torch.zeros(shape, dtype=torch.uint8))
