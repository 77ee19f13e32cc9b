"""SwapBackground: which pixels become another picture's, and what follows."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from samples import make_sample

import fusion_aug as fa
from fusion_aug.transforms.mix import pictures as known
from fusion_aug.transforms.mix.pictures import covering

NAMES = tuple(f"class{i}" for i in range(20))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures of one colour each."""
    where = tmp_path / "backgrounds"
    where.mkdir()
    for name, colour in (("a.png", (200, 40, 40)), ("b.jpg", (40, 40, 200))):
        cv2.imwrite(str(where / name), np.full((30, 90, 3), colour[::-1], np.uint8))
    return where


def named(sample: fa.Sample) -> fa.Sample:
    mask = replace(sample["CAM_LEFT/mask"], label_names=NAMES)
    return sample.with_streams({**sample.streams, "CAM_LEFT/mask": mask})


def inner(where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels all of whose neighbours are within, and such as have none within."""
    eight = np.ones((3, 3), np.uint8)
    some = where.astype(np.uint8)
    return cv2.erode(some, eight, borderValue=1) > 0, cv2.dilate(some, eight, borderValue=0) == 0


@pytest.mark.quick
def test_pixels_beyond_a_distance_and_what_follows(folder: Path) -> None:
    sample = make_sample(gels=False)
    swap = fa.SwapBackground(beyond=25.0, cameras=["CAM_FRONT"], pictures=folder, match_light=False, captions="keep")
    out = swap(sample, seed=1)
    depth = sample["CAM_FRONT/depth"].image(0).double()  # along the axis
    camera = sample.rig.camera("CAM_FRONT")
    u, v = np.meshgrid(np.arange(64.0), np.arange(48.0))
    K = camera.model.K.numpy()
    across = (v - K[1, 2]) / K[1, 1]
    along = (u - K[0, 2] - K[0, 1] * across) / K[0, 0]
    behind = depth.numpy() * np.sqrt(1 + along**2 + across**2) > 25.0
    picture, was = out["CAM_FRONT"].image(0).numpy(), sample["CAM_FRONT"].image(0).numpy()
    colours = {"a.png": (200, 40, 40), "b.jpg": (40, 40, 200)}
    colour = np.array(colours[out.history[0].params["CAM_FRONT"]["picture"]["file"]])
    within, outside = inner(behind)
    assert within.sum() + outside.sum() > 10
    assert np.abs(picture[within].astype(int) - colour).max() <= 3 and np.array_equal(picture[outside], was[outside])
    after = out["CAM_FRONT/depth"].image(0).numpy()
    assert np.array_equal(after == 0, behind) and np.array_equal(after[~behind], depth.numpy().astype("f4")[~behind])
    # points by an independent projection: those in view and farther than 25 m from the camera are gone
    for name in ("lidar", "radar"):
        kept = {tuple(p) for p in out[name]["xyz"].tolist()}
        for i in range(len(sample[name])):
            xyz = sample[name]["xyz"][sample[name].item_slice(i)]
            _, seen = sample.project(name, "CAM_FRONT", item=i)
            ref = xyz.double() @ sample.T_ref(name, i)[:3, :3].T + sample.T_ref(name, i)[:3, 3]
            far = (ref - sample.T_ref("CAM_FRONT")[:3, 3]).norm(dim=1) > 25.0
            gone = torch.tensor([tuple(p) not in kept for p in xyz.tolist()])
            assert torch.equal(gone, seen & far), name
    others = [n for n in sample.streams if n.startswith(("CAM_LEFT", "CAM_RIGHT", "FISHEYE"))]
    assert all(out[n] is sample[n] for n in others)


@pytest.mark.quick
def test_kept_points_stay(folder: Path) -> None:
    sample = make_sample(gels=False)
    swap = fa.SwapBackground(beyond=10.0, cameras=["CAM_FRONT"], pictures=folder, points="keep", captions="keep")
    out = swap(sample, seed=1)
    assert all(out[n] is sample[n] for n in ("lidar", "radar", "boxes", "CAM_FRONT/depth"))
    assert not torch.equal(out["CAM_FRONT"].image(0), sample["CAM_FRONT"].image(0))


@pytest.mark.quick
@pytest.mark.parametrize("word", ["keep", "classes"])
def test_pixels_by_class(word: str) -> None:
    sample = named(make_sample(gels=False))
    ids = torch.arange(48)[:, None].expand(48, 64) // 12  # bands of four classes
    mask = replace(sample["CAM_LEFT/mask"], items=(ids.to(torch.uint8).contiguous(),))
    sample = sample.with_streams({**sample.streams, "CAM_LEFT/mask": mask})
    out = fa.SwapBackground(**{word: ["class[01]"]}, cameras=["CAM_LEFT"], captions="keep", match_light=False)(sample)
    behind = (ids <= 1) if word == "classes" else (ids > 1)
    changed = (out["CAM_LEFT"].image(0) != sample["CAM_LEFT"].image(0)).any(-1)
    within, outside = (torch.from_numpy(w) for w in inner(behind.numpy()))
    assert changed[within].double().mean() > 0.95 and not changed[outside].any()
    after = out["CAM_LEFT/mask"].image(0)
    assert torch.equal(after == mask.ignore, behind) and torch.equal(after[~behind].long(), ids[~behind])
    u, v = (p.round().long() for p in sample.project("lidar", "CAM_LEFT")[0].nan_to_num(-1).unbind(-1))
    seen = sample.project("lidar", "CAM_LEFT")[1]
    lost = seen & behind[v.clamp(0, 47), u.clamp(0, 63)]
    kept = {tuple(p) for p in out["lidar"]["xyz"].tolist()}
    item = sample.key_item("lidar")
    gone = torch.tensor(
        [tuple(p) not in kept for p in sample["lidar"]["xyz"][sample["lidar"].item_slice(item)].tolist()]
    )
    assert lost.any() and torch.equal(gone, lost)


@pytest.mark.quick
def test_light_is_matched(folder: Path) -> None:
    """The mean light of each channel of the new picture is the old one's, where the gain is within 4."""
    sample = make_sample(gels=False)
    grey = torch.full((48, 64, 3), 120, dtype=torch.uint8)
    sample = sample.with_streams({**sample.streams, "CAM_FRONT": replace(sample["CAM_FRONT"], items=(grey,))})
    swap = fa.SwapBackground(beyond=0.5, cameras=["CAM_FRONT"], pictures=folder, captions="keep")
    shown = swap(sample, seed=1)["CAM_FRONT"].image(0).double()
    bright = int(shown.amax(-1).median())
    assert abs(bright - 120) <= 2  # the strong channel is brought down to the grey; the weak ones by four at most
    weak = 40 / 255
    light = ((weak + 0.055) / 1.055) ** 2.4 * 4
    assert abs(float(shown.amin(-1).median()) - min(120.0, 255 * (1.055 * light ** (1 / 2.4) - 0.055))) <= 2


@pytest.mark.quick
def test_records_hold_the_picture_by_its_hash(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = make_sample(gels=False)
    swap = fa.SwapBackground(beyond=10.0, cameras=["CAM_FRONT"], pictures=folder, captions="keep")
    out = swap(sample, seed=1)
    assert str(folder) not in str(fa.history_to_json(out.history))
    assert torch.equal(fa.replay(sample, out.history)["CAM_FRONT"].image(0), out["CAM_FRONT"].image(0))
    monkeypatch.setattr(known, "_FOLDERS", {})
    with pytest.raises(fa.DataError, match="no folder that is known here"):
        fa.replay(sample, out.history)
    moved = folder.with_name("elsewhere")
    shutil.move(folder, moved)
    fa.know_pictures(moved)
    assert torch.equal(fa.replay(sample, out.history)["CAM_FRONT"].image(0), out["CAM_FRONT"].image(0))
    for path in moved.iterdir():
        cv2.imwrite(str(path), np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(fa.DataError, match="has changed since"):
        fa.replay(sample, out.history)
    assert fa.SwapBackground(beyond=1.0, pictures=moved).to_config()["pictures"] == str(moved)


@pytest.mark.quick
def test_a_picture_covers_the_canvas() -> None:
    wide = np.zeros((10, 40, 3), np.uint8)
    wide[:, 30:] = 255
    assert not covering(wide, (20, 20), 0.0, 0.5).any() and (covering(wide, (20, 20), 1.0, 0.5)[:, 2:] == 255).all()
    assert covering(wide, (5, 4), 0.3, 0.3).shape == (5, 4, 3)


@pytest.mark.quick
def test_refusals(folder: Path) -> None:
    sample = make_sample(gels=False)
    for wrong in ({}, {"beyond": 3.0, "keep": ["car"]}):
        with pytest.raises(fa.ConfigError, match="one of beyond, keep and classes"):
            fa.SwapBackground(**wrong)
    for wrong in ({"points": "maybe"}, {"captions": "maybe"}, {"pictures": "nowhere"}):
        with pytest.raises(fa.ConfigError, match=r"SwapBackground\.(points|captions|pictures)"):
            fa.SwapBackground(beyond=3.0, **wrong)
    with pytest.raises(fa.ConfigError, match="captions=drop"):
        fa.SwapBackground(beyond=3.0)(sample)
    dropped = fa.SwapBackground(beyond=3.0, cameras=["CAM_FRONT"], captions="drop")(sample)
    assert "caption" not in dropped.streams
    with pytest.raises(fa.DataError, match="has no mask of classes"):
        fa.SwapBackground(keep=["car"], cameras=["CAM_FRONT"], captions="keep")(sample)
    with pytest.raises(fa.DataError, match="'boat' names no class"):
        fa.SwapBackground(classes=["boat"], cameras=["CAM_LEFT"], captions="keep")(named(sample))
    blind = sample.with_streams({n: s for n, s in sample.streams.items() if n != "lidar"})
    with pytest.raises(fa.DataError, match="no depth stream, and there is no LiDAR"):
        fa.SwapBackground(beyond=3.0, cameras=["CAM_LEFT"], captions="keep")(blind)
    (folder / "a.png").write_bytes(b"no picture")
    (folder / "b.jpg").unlink()
    damaged = fa.SwapBackground(beyond=3.0, cameras=["CAM_FRONT"], pictures=folder, captions="keep")
    with pytest.raises(fa.DataError, match="neither a PNG nor a JPEG"):
        damaged(sample).realized()
