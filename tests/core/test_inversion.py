"""Going back from the history alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from samples import make_sample

import fusion_aug as fa
from fusion_aug.sample.history import Record, history_from_json, history_to_json

pytestmark = pytest.mark.quick

CHAIN = fa.Compose(
    [
        fa.RotateScene(yaw_deg=[-90, 90], roll_deg=4),
        fa.ResizeCrop(scale=[0.8, 1.2], x=[0, 1], y=[0, 1], size=(40, 70), scope="sensor"),
        fa.MirrorScene(axis="y"),
        fa.ScaleScene(scale=[0.8, 1.2]),
        fa.RotateImage(angle_deg=[-10, 10]),
        fa.MirrorScene(axis="x", p=0.5),
        fa.TranslateScene(x=[-2, 2], z=0.2),
    ]
)


@pytest.mark.parametrize("seed", range(6))
def test_a_long_chain_comes_back(seed: int) -> None:
    sample = make_sample()
    out = CHAIN(sample, seed=seed)
    history = history_from_json(json.loads(json.dumps(history_to_json(out.history))))
    boxes = fa.invert(out.boxes(), history)
    for column in ("pose", "size", "velocity", "angular_velocity"):
        assert torch.allclose(boxes[column], sample.boxes()[column], atol=1e-9), column
    cloud = fa.invert(out["lidar"], history, name="lidar")
    assert torch.allclose(cloud["xyz"], sample["lidar"]["xyz"], atol=1e-4)
    ego = fa.invert(out["ego"], history, name="ego")
    for column in ("pose", "velocity", "angular_velocity"):
        assert torch.allclose(ego[column], sample["ego"][column], atol=1e-9), column
    (name,) = out.of_type(fa.Boxes2D)
    flat = fa.invert(out[name], history, name=name)
    assert flat.camera == "CAM_RIGHT"  # type: ignore[attr-defined]
    assert torch.allclose(flat["corners"], sample["CAM_RIGHT/flat"]["corners"], atol=1e-8)


def test_predictions_in_the_reference_frame_come_back(seed: int = 3) -> None:
    """Boxes that a model finds in the augmented scene, more and fewer than there were labels."""
    sample = make_sample()
    out = CHAIN(sample, seed=seed)
    half = out.boxes().select(torch.arange(out.boxes().rows) < 2)
    back = fa.invert(half, out.history)
    assert torch.allclose(back["pose"], sample.boxes()["pose"][:2], atol=1e-9)


def test_masks_come_back_where_they_were_on_the_canvas() -> None:
    sample = make_sample()
    chain = fa.Compose([fa.MirrorScene(), fa.ResizeCrop(scale=2.0, size=(80, 100), x=0.3, y=0.6)])
    out = chain(sample, seed=1)
    with pytest.warns(fa.InexactInverse, match="ResizeCrop"):
        back = fa.invert(out["CAM_RIGHT/mask"].realized(), out.history, name="CAM_RIGHT/mask")
    assert back.camera == "CAM_LEFT" and back.images.shape == (1, 48, 64)  # type: ignore[attr-defined]
    known = back.images != 255  # type: ignore[attr-defined]
    assert 0.5 < float(known.double().mean()) < 0.95
    assert torch.equal(back.images[known], sample["CAM_LEFT/mask"].images[known])  # type: ignore[attr-defined]


def test_what_is_exact_does_not_warn(recwarn: pytest.WarningsRecorder) -> None:
    out = CHAIN(make_sample(), seed=1)
    fa.invert(out.boxes(), out.history)
    (name,) = out.of_type(fa.Boxes2D)
    fa.invert(out[name], out.history, name=name)
    assert not [w for w in recwarn if issubclass(w.category, fa.InexactInverse)]


def test_unknown_and_outdated_records_are_refused() -> None:
    boxes = make_sample().boxes()
    with pytest.raises(fa.DataError, match="'Nothing' is not registered"):
        fa.invert(boxes, (Record("a", "Nothing", 1, {"": {}}),))
    with pytest.raises(fa.DataError, match="version 9"):
        fa.invert(boxes, (Record("a", "RotateScene", 9, {"": {}}),))
    with pytest.raises(fa.DataError, match="version 9"):
        fa.replay(make_sample(), (Record("a", "RotateScene", 9, {"": {}}),))


def test_replay_of_a_long_chain_is_bit_exact() -> None:
    sample = make_sample(gels=False)
    chain = fa.Compose(
        [
            CHAIN,
            fa.OneOf([fa.Gamma(gamma=[0.5, 2]), fa.GaussianNoise(sigma=0.05)], p=0.7),
            fa.PointDropout(share=0.2),
            fa.MirrorScene(p=0.5),
            fa.PerspectiveImage(strength=0.03),
            fa.RangeJitter(sigma=0.02),
        ]
    )
    for seed in range(5):
        out = chain(sample, seed=seed)
        again = fa.replay(sample, history_from_json(json.loads(json.dumps(history_to_json(out.history)))))
        for name, stream in out.streams.items():
            a, b = stream.realized(), again[name].realized()
            for column, value in a.values.items():
                other = b.values[column]
                same = np.array_equal(value, other) if isinstance(value, np.ndarray) else torch.equal(value, other)
                assert same, (name, column)
            for p, q in zip(getattr(a, "items", ()), getattr(b, "items", ()), strict=True):
                assert torch.equal(p, q), name
