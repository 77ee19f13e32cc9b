"""Pictures of files are changed when they are used: the same as at once, in any process, and none of them is held."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from samples import make_sample

import fusion_aug as fa
from fusion_aug.core.engine import replay
from fusion_aug.core.registry import own_transforms
from fusion_aug.logs.core.store import write_stream
from fusion_aug.streams import recent
from fusion_aug.streams.deferred import Deferred
from fusion_aug.streams.source import RecordedSource, Source, decoder
from fusion_aug.transforms.camera.photometric import PhotometricTransform
from fusion_aug.transforms.weather.weather import Weather

NAME = "levels_of_a_test"
OF_LEVELS = [n for n, t in own_transforms().items() if issubclass(t, PhotometricTransform)]
OF_WEATHER = [n for n, t in own_transforms().items() if issubclass(t, Weather)]


def read_levels(path: Path, raw: bytes, options: dict[str, Any]) -> torch.Tensor:
    return torch.from_numpy(np.load(BytesIO(raw)))


@pytest.fixture(autouse=True)
def decodes_levels(own_names: None) -> None:
    decoder(NAME)(read_levels)


def in_files(sample: fa.Sample, folder: Path, kind: type[Source] = Source) -> fa.Sample:
    """A sample whose pictures lie in files."""
    streams = dict(sample.streams)
    for name, stream in sample.of_type(fa.Camera).items():
        items = []
        for i, picture in enumerate(stream.pictures):
            path = folder / f"{name}_{i}.npy"
            np.save(path, picture.numpy())
            items.append(kind(path, NAME))
        streams[name] = replace(stream, items=tuple(items))
    return sample.with_streams(streams)


def pictures(sample: fa.Sample) -> dict[str, list[torch.Tensor]]:
    return {n: [s.image(i) for i in range(len(s))] for n, s in sample.of_type(fa.Camera).items()}


def are_same(a: fa.Sample, b: fa.Sample) -> bool:
    mine, theirs = pictures(a), pictures(b)
    return list(mine) == list(theirs) and all(
        len(mine[n]) == len(theirs[n]) and all(map(torch.equal, mine[n], theirs[n])) for n in mine
    )


def deferred(sample: fa.Sample) -> list[Deferred]:
    return [i for s in sample.of_type(fa.Camera).values() for i in s.items if isinstance(i, Deferred)]


@pytest.mark.parametrize("name", [*OF_LEVELS, *OF_WEATHER])
def test_they_are_the_same_as_at_once(name: str, tmp_path: Path) -> None:
    """Also beside a change before and one after, in a copy for another process, and where a history is applied."""
    kind, made = own_transforms()[name], make_sample(gels=False)
    source = in_files(made, tmp_path)
    steps = fa.Compose([fa.Brightness(factor=0.8), kind(**kind.example), fa.Contrast(factor=1.2)])
    at_once, later = steps(made, seed=3), steps(source, seed=3)
    assert deferred(later) and not deferred(at_once)
    assert later.history == at_once.history
    there = pickle.loads(pickle.dumps(later))
    assert are_same(later, at_once)
    assert are_same(there, at_once) and not deferred(there)
    assert are_same(replay(source, later.history), at_once)
    assert are_same(later.realized(), at_once)


def test_maps_of_pixels_go_between(tmp_path: Path) -> None:
    made = make_sample(gels=False)
    source = in_files(made, tmp_path)
    steps = fa.Compose([
        fa.RotateImage(angle_deg=10), fa.Hue(angle_deg=20), fa.RotateImage(angle_deg=-4), fa.GaussianNoise(sigma=0.02),
    ])  # fmt: skip
    assert are_same(steps(source, seed=5), steps(made, seed=5))
    assert are_same(steps(source, seed=5).clone(), steps(made, seed=5))


def test_no_more_than_the_last_ones_are_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_sample(gels=False)
    source = in_files(made, tmp_path, RecordedSource)
    later = fa.Compose([fa.Brightness(factor=0.8), fa.Contrast(factor=1.2)])(source, seed=1)
    size = next(iter(pictures(made).values()))[0].nbytes
    monkeypatch.setattr(recent, "MOST_BYTES", 3 * size)
    expected = [p.clone() for own in pictures(later).values() for p in own]
    everything = [i for s in (source, later) for c in s.of_type(fa.Camera).values() for i in c.items]
    held = [i for i in everything if recent.VALUE in vars(i)]
    assert len(expected) > 3 >= len(held) > 0
    assert all(map(torch.equal, expected, [p for own in pictures(later).values() for p in own]))


def test_an_error_names_sample_and_transform_whenever_it_is_met(tmp_path: Path) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Falls(PhotometricTransform):
        @classmethod
        def change(cls, picture: torch.Tensor, params: Any, context: Any) -> torch.Tensor:
            raise ValueError("no such thing")

    made = make_sample(gels=False)
    later = fa.Compose({"mine": Falls()})(in_files(made, tmp_path))
    told = rf"sample {made.id}: Falls \(mine\): ValueError: no such thing"
    with pytest.raises(fa.FusionAugError, match=told):
        later["CAM_FRONT"].image(0)
    with pytest.raises(fa.FusionAugError, match=told):
        fa.Compose({"mine": Falls()})(made)


def test_a_picture_of_another_kind_is_told_when_it_is_used(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((4, 4, 3), np.uint16))
    stream = fa.Camera(frame="cam", capture_times=torch.tensor([0]), items=(Source(path, NAME),))
    made = make_sample(gels=False)
    sample = made.with_streams({**made.streams, "CAM_FRONT": replace(stream, frame=made["CAM_FRONT"].frame)})
    later = fa.Brightness(factor=0.5)(sample)
    with pytest.raises(fa.DataError, match="levels are changed of uint8 pictures"):
        later["CAM_FRONT"].image(0)


def test_the_folder_format_holds_fractions_exactly(tmp_path: Path) -> None:
    made, path = make_sample(gels=False), tmp_path / "a.npy"
    np.save(path, np.random.default_rng(0).random((12, 16, 3), dtype=np.float32))
    stream = fa.Camera(frame=made["CAM_FRONT"].frame, capture_times=torch.tensor([0]), items=(Source(path, NAME),))
    later = fa.Brightness(factor=0.4)(made.with_streams({"CAM_FRONT": stream}))["CAM_FRONT"]
    write_stream(later, tmp_path / "stream")
    assert np.array_equal(np.load(tmp_path / "stream/arrays.npz")["items/000000"], np.load(path) * np.float32(0.4))
