"""The small copy of a sample that transforms are tried on: what is left of it, and that it tells as much."""

from __future__ import annotations

import pytest
import torch
from places import ARM
from samples import make_batch, make_sample

import fusion_aug as fa
from fusion_aug.policy import space
from fusion_aug.policy.small_sample import MOST, SIZE, small_copy
from fusion_aug.streams import ImageStream, Points

LARGE = (120, 200)


@pytest.mark.quick
def test_pictures_are_small_and_all_else_stays() -> None:
    sample = make_sample(size=LARGE, points=50)
    small = small_copy(sample)
    assert small.streams.keys() == sample.streams.keys() and small.history == sample.history == ()
    assert {*small.rig.sensors} == {*sample.rig.sensors}
    for name, stream in small.of_type(fa.Camera).items():
        assert stream.image(0).shape == (*SIZE, 3) and small.rig.camera(stream.instance(name)).size == SIZE
    assert sample["CAM_FRONT"].image(0).shape == (*LARGE, 3), "the sample itself is as it was"
    pixels, seen = (x for x in sample.project("lidar", "CAM_FRONT"))
    there, also = small.project("lidar", "CAM_FRONT")
    scale = torch.tensor([SIZE[1] / LARGE[1], SIZE[0] / LARGE[0]], dtype=torch.float64)
    assert torch.equal(seen, also) and int(seen.sum()) > 3
    assert torch.allclose(there[seen], (pixels[seen] + 0.5) * scale - 0.5, atol=1e-6)


@pytest.mark.quick
def test_of_many_pictures_those_about_the_key_one_stay() -> None:
    episode = fa.open_log("lerobot", ARM / "lerobot", urdf=ARM / "arm.urdf", rig=ARM / "lerobot_rig.yaml")[0]
    middle = episode.with_meta(0, ref=fa.Ref(episode.ref.frame, int(episode["front"].capture_times[20])))
    small = small_copy(middle)
    assert small["front"].item_numbers.tolist() == [18, 19, 20, 21, 22]
    for name, stream in small.streams.items():
        whole = episode[name]
        assert len(stream) == (min(len(whole), MOST) if isinstance(stream, ImageStream | Points) else len(whole)), name
    assert small_copy(episode)["front"].item_numbers.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.quick
def test_what_is_small_is_taken_as_it_is_and_of_a_batch_the_first() -> None:
    sample = make_sample(size=(24, 32), points=20, gels=False)
    small = small_copy(sample)
    assert all(small[name] is stream for name, stream in sample.streams.items()) and small.rig is sample.rig
    assert small_copy(make_batch(2, gels=False)).meta.id == make_batch(2, gels=False).metas[0].id


def test_every_transform_is_tried_on_the_small_copy_and_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = make_sample(size=LARGE, points=60, gels=False)
    tried, real = [], space._nothing_done

    def counted(leaf: fa.Transform, on: fa.Sample) -> str:
        tried.append(on["CAM_FRONT"].image(0).shape[:2])
        return real(leaf, on)

    monkeypatch.setattr(space, "_nothing_done", counted)
    found = fa.Space.fitting(sample)
    assert set(tried) == {SIZE} and len(tried) > 60
    monkeypatch.setattr(space, "small_copy", lambda whole: whole)
    whole = fa.Space.fitting(sample)
    assert set(tried) == {SIZE, LARGE}
    assert found.left_out == whole.left_out and found.dimensions == whole.dimensions
