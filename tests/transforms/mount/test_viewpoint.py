"""Moved sensors against the driving world, which can be asked what they would have measured."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from dots import dot_errors, with_dots
from places import DRIVE
from samples import make_sample

import fusion_aug as fa
from calib import BrownConrady, CameraSensor, KannalaBrandt, Pinhole
from calib.se3 import rotation_about
from fusion_aug.ops.image_map import ImageMap, RotatedView
from fusion_aug.ops.warp import warp
from fusion_aug.synth.drive import T0
from fusion_aug.synth.sensors import take_picture
from fusion_aug.synth.town import make_town
from fusion_aug.synth.vehicle import FORWARD
from fusion_aug.synth.world import Scenery
from fusion_aug.transforms.mount.miscalibrate import mounting_matrix

STILL = {"x_deg": 0.0, "y_deg": 0.0, "z_deg": 0.0, "x": 0.0, "y": 0.0, "z": 0.0}


def move(sample: fa.Sample, *sensors: str, **numbers: float) -> fa.Sample:
    return fa.Viewpoint.apply_params(sample, {"sensors": list(sensors), **STILL, **numbers})


@pytest.fixture(scope="module")
def sample() -> fa.Sample:
    """A keyframe of the sample log with depth of every camera."""
    return fa.open_log("nuscenes", DRIVE)[7]


@pytest.fixture(scope="module")
def scenery() -> Scenery:
    return Scenery(make_town(0))


Rendered = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def rendered(sample: fa.Sample, scenery: Scenery) -> Rendered:
    """What the world shows to a camera that is moved by some numbers; several tests compare with the same pictures."""

    @cache
    def picture(camera: str, **numbers: float) -> np.ndarray:
        stamp = int(sample[camera].capture_times[0])
        T = sample.rig.T("world", camera, stamp) @ mounting_matrix({**STILL, **numbers})
        shown = take_picture(scenery.at((stamp - T0 * 1000) * 1e-9), sample.rig.camera(camera), T.numpy()).picture
        shown.setflags(write=False)
        return shown

    return picture


# --- rotation --------------------------------------------------------------------------------------------------------
def test_dots_after_a_turn_for_every_lens() -> None:
    sample, points = with_dots(make_sample(size=(480, 640), points=4000))
    out = move(sample, "*CAM*", "FISHEYE", x_deg=3.0, y_deg=-5.0, z_deg=4.0)
    lenses = {"CAM_FRONT": "pinhole", "CAM_LEFT": "brown_conrady", "FISHEYE": "kannala_brandt"}
    found = dot_errors(sample, out, points)
    for camera, lens in lenses.items():
        assert sample.rig.camera(camera).model.lens == lens
        assert len(found[camera]) >= 8 and float(np.max(found[camera])) <= 0.05, (lens, found[camera])


@pytest.mark.parametrize("lens", ["pinhole", "brown_conrady", "kannala_brandt"])
def test_a_turned_camera_shows_what_the_world_shows(scenery: Scenery, lens: str) -> None:
    """Against the world's own rendering from the rotated pose, for each lens."""
    size = (180, 320)
    model = {
        "pinhole": Pinhole.from_focal(220.0, 220.0, 161.0, 88.0, size),
        "brown_conrady": BrownConrady.from_focal(220.0, 225.0, 161.0, 88.0, size, [-0.2, 0.05, 0.002, -0.001, -0.01]),
        "kannala_brandt": KannalaBrandt.from_focal(110.0, 110.0, 161.0, 88.0, size, [0.02, -0.004, 0.001, 0.0]),
    }[lens]
    camera, world = CameraSensor(frame="c", model=model), scenery.at(2.0)
    T = scenery.town.ego.pose(2.0)
    T = T @ np.block([[FORWARD.numpy(), np.array([[1.7], [0], [1.5]])], [np.zeros((1, 3)), np.ones((1, 1))]])
    E = mounting_matrix({**STILL, "x_deg": 2.0, "y_deg": 6.0, "z_deg": -5.0})
    before, after = (take_picture(world, camera, pose, 3).picture for pose in (T, T @ E.numpy()))
    step = ImageMap((RotatedView(camera, E[:3, :3]),), size)
    turned = warp(torch.from_numpy(before), step).numpy()
    inside = warp(torch.ones(size, dtype=torch.uint8), step, "nearest").numpy() > 0
    inside[[0, -1]] = inside[:, [0, -1]] = False
    error = np.abs(turned.astype(float) - after)[inside].mean()
    assert inside.mean() > 0.7 and error < 4.0, (inside.mean(), error)
    assert np.abs(before.astype(float) - after)[inside].mean() > 4 * error, "the rotation shows"


def test_two_turns_are_one_and_a_turn_back_is_none() -> None:
    camera = make_sample(size=(120, 160)).rig.camera("CAM_LEFT")
    a, b = rotation_about("y", 0.1), rotation_about("z", 0.2)
    pixels = torch.tensor([[40.0, 30], [80, 60], [120, 90]], dtype=torch.float64)
    chain = ImageMap((RotatedView(camera, a),), (120, 160)).then(ImageMap((RotatedView(camera, b),), (120, 160)))
    assert torch.allclose(chain.backward(pixels), RotatedView(camera, a @ b).backward(pixels), atol=1e-9)
    back = ImageMap((RotatedView(camera, a),), (120, 160)).then(ImageMap((RotatedView(camera, a.T),), (120, 160)))
    assert torch.allclose(back.backward(pixels), pixels, atol=1e-9)


def test_depth_follows_a_turn(sample: fa.Sample) -> None:
    """z changes along the new axis, range does not; both agree with the world."""
    for camera in ("CAM_FRONT", "FISHEYE_FRONT"):
        out = move(sample, camera, y_deg=8.0, x_deg=-3.0)
        depth = out[f"{camera}/depth"]
        key = out.key_item("LIDAR_TOP")
        pixels, seen = out.project("LIDAR_TOP", camera)
        T = out.rig.T(camera, "LIDAR_TOP", int(out["LIDAR_TOP"].capture_times[key]), int(depth.capture_times[0]))
        xyz = out["LIDAR_TOP"]["xyz"][out["LIDAR_TOP"].item_slice(key)].double() @ T[:3, :3].T + T[:3, 3]
        expected = xyz[:, 2] if depth.measure == "z" else xyz.norm(dim=1)
        u, v = pixels[seen].round().long().T
        rendered = depth.image(0)[
            v.clamp(0, depth.image(0).shape[0] - 1), u.clamp(0, depth.image(0).shape[1] - 1)
        ].double()
        error = ((rendered - expected[seen]).abs() / expected[seen])[rendered > 0]
        assert len(error) > 200 and float(error.median()) < 0.01, camera


# --- translation -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("camera", ["CAM_FRONT", "FISHEYE_FRONT"])
@pytest.mark.parametrize("shift", [{"x": 0.3}, {"y": -0.3}, {"z": 0.3}, {"x": -0.2, "y_deg": 4.0}])
def test_a_shifted_camera_shows_what_the_world_shows(
    sample: fa.Sample, rendered: Rendered, camera: str, shift: dict[str, float]
) -> None:
    """With true depth: pictures within a JPEG's own error, most pixels valid, and no second copy of an edge."""
    out = move(sample, camera, **shift)
    picture, valid = out[camera].image(0).numpy(), out[f"{camera}/valid"].image(0).numpy() > 0
    true = rendered(camera, **shift)
    own = np.abs(sample[camera].image(0).numpy().astype(float) - rendered(camera)).mean()
    error = np.abs(picture.astype(float) - true).mean(2)
    before = np.abs(sample[camera].image(0).numpy().astype(float) - true).mean(2)
    assert valid.mean() > 0.85 and error[valid].mean() < 1.5 * own + 0.5, (valid.mean(), error[valid].mean(), own)
    assert error[valid].mean() < 0.35 * before[valid].mean()
    ghosts = (error > 60) & valid
    assert ghosts.mean() < 0.012, "hardly a pixel shows something else than the world"


def test_a_shift_by_lidar_alone_is_closer_to_the_world_than_none(sample: fa.Sample, rendered: Rendered) -> None:
    bare = sample.with_streams({n: s for n, s in sample.streams.items() if not n.endswith(("/depth", "/classes"))})
    out = move(bare, "CAM_FRONT", x=0.3)
    true = rendered("CAM_FRONT", x=0.3)
    valid = out["CAM_FRONT/valid"].image(0).numpy() > 0
    error = np.abs(out["CAM_FRONT"].image(0).numpy().astype(float) - true).mean(2)[valid].mean()
    before = np.abs(sample["CAM_FRONT"].image(0).numpy().astype(float) - true).mean(2)[valid].mean()
    assert valid.mean() > 0.9 and error < 0.3 * before, (valid.mean(), error, before)


def test_what_was_hidden_is_stretched_and_marked(sample: fa.Sample, rendered: Rendered) -> None:
    """By LiDAR and picture: hardly a black pixel but at the edge beyond which nothing was seen."""
    bare = sample.with_streams({n: s for n, s in sample.streams.items() if not n.endswith(("/depth", "/classes"))})
    out, true = move(bare, "CAM_FRONT", x=0.3), rendered("CAM_FRONT", x=0.3)
    inner = np.s_[:, :640]  # of 704 columns
    picture, valid = out["CAM_FRONT"].image(0).numpy()[inner], out["CAM_FRONT/valid"].image(0).numpy()[inner] > 0
    assert 0.01 < (~valid).mean() < 0.08 and (picture.max(2) == 0).mean() < 5e-4
    error = np.abs(picture.astype(float) - true[inner]).mean(2)[~valid].mean()
    assert error < 0.4 * true[inner][~valid].mean(), "black is farther from the world"


def test_without_depth_or_lidar_a_shift_is_refused(sample: fa.Sample) -> None:
    bare = sample.with_streams({"CAM_FRONT": sample["CAM_FRONT"]})
    with pytest.raises(fa.DataError, match="needs depth"):
        move(bare, "CAM_FRONT", x=0.1)
    assert move(bare, "CAM_FRONT", x_deg=1.0)["CAM_FRONT"].image(0).shape == (396, 704, 3)


# --- other sensors ---------------------------------------------------------------------------------------------------
def test_a_moved_lidar_sees_only_what_is_in_view(sample: fa.Sample, scenery: Scenery) -> None:
    shift = {"x": 1.0, "z": -0.8}
    out = move(sample, "LIDAR_TOP", **shift)
    key = sample.key_item("LIDAR_TOP")
    before, after = sample["LIDAR_TOP"].realized(), out["LIDAR_TOP"].realized()
    kept = after["xyz"][after.item_slice(key)].double()
    assert len(kept) < int(before.counts[key])
    stamp = int(sample["LIDAR_TOP"].capture_times[key])
    T = out.rig.T("world", "LIDAR_TOP", stamp).numpy()
    world = scenery.at((stamp - T0 * 1000) * 1e-9)
    way = kept.numpy() @ T[:3, :3].T
    far = np.linalg.norm(way, axis=1)
    hits = world.cast(T[:3, 3][None], way / far[:, None])
    hidden = hits.distance < far - 0.3
    all_points = before["xyz"][before.item_slice(key)].double()
    old = sample.rig.T("world", "LIDAR_TOP", stamp).numpy()
    there = all_points.numpy() @ old[:3, :3].T + old[:3, 3] - T[:3, 3]
    reach = np.linalg.norm(there, axis=1)
    was_hidden = world.cast(T[:3, 3][None], there / reach[:, None]).distance < reach - 0.3
    lost = len(all_points) - len(kept)
    wrongly = lost - (was_hidden.sum() - hidden.sum())
    assert hidden.sum() < 0.45 * was_hidden.sum() and wrongly < 0.02 * len(all_points), (
        hidden.mean(), was_hidden.mean(), wrongly / len(all_points)
    )  # fmt: skip
    ref = out.points("LIDAR_TOP")["xyz"]
    assert float(torch.cdist(ref[:200].double(), sample.points("LIDAR_TOP")["xyz"].double()).min(1).values.max()) < 1e-3


def test_a_turned_lidar_keeps_its_points(sample: fa.Sample) -> None:
    out = move(sample, "LIDAR_TOP", y_deg=3.0)
    assert torch.equal(out["LIDAR_TOP"].counts, sample["LIDAR_TOP"].counts)
    assert torch.allclose(out.points("LIDAR_TOP")["xyz"], sample.points("LIDAR_TOP")["xyz"], atol=1e-4)


def test_labels_on_the_image_follow() -> None:
    sample = make_sample(size=(240, 320))
    out = move(sample, "CAM_RIGHT", y_deg=5.0)
    flat, was = out["CAM_RIGHT/flat"]["corners"], sample["CAM_RIGHT/flat"]["corners"]
    camera = out.rig.camera("CAM_RIGHT")
    E = mounting_matrix({**STILL, "y_deg": 5.0})
    rays = camera.unproject(was.reshape(-1, 2))
    expected = camera.project(rays @ E[:3, :3])[0].reshape(-1, 4, 2)
    assert torch.allclose(flat, expected, atol=1e-9)


def test_the_reference_frame_cannot_be_moved() -> None:
    sample = make_sample()
    rig = sample.rig.with_sensor("body", type(sample.rig.sensors["imu"])(frame="ego"))
    with pytest.raises(fa.ConfigError, match="reference"):
        move(sample.with_meta(0, rig=rig, true_rig=rig), "body", x=1.0)


def test_reported_and_true_rig_move_alike() -> None:
    """After a wrong calibration, the error stays what it was."""
    sample = fa.Miscalibrate(sensors=["CAM_FRONT"], z_deg=1.0, scope="sample")(make_sample())
    out = move(sample, "CAM_FRONT", y_deg=4.0, x=0.0)
    for T in (out, sample):
        reported, true = T.rig.T("ego", "CAM_FRONT"), T.true_rig.T("ego", "CAM_FRONT")
        assert float(torch.linalg.norm(torch.linalg.inv(reported) @ true - torch.eye(4))) > 0.01
    E = mounting_matrix({**STILL, "y_deg": 4.0})
    for rig, was in ((out.rig, sample.rig), (out.true_rig, sample.true_rig)):
        assert torch.allclose(rig.T("ego", "CAM_FRONT"), was.T("ego", "CAM_FRONT") @ E, atol=1e-12)


def test_validity_holds_what_earlier_maps_left_black() -> None:
    """A picture that was rotated first has black corners: they are no source either."""
    sample = make_sample(size=(240, 320))
    from dataclasses import replace

    bright = replace(sample["CAM_FRONT"], items=(torch.full((240, 320, 3), 200, dtype=torch.uint8),))
    flat = replace(sample["CAM_FRONT/depth"], items=(torch.full((240, 320), 10.0),))
    sample = sample.with_streams({**sample.streams, "CAM_FRONT": bright, "CAM_FRONT/depth": flat})
    for shift, stretched in (({"y_deg": 8.0}, 0.0), ({"x": 0.3}, 0.02)):
        out = move(fa.RotateImage(angle_deg=20.0)(sample), "CAM_FRONT", **shift)
        shown, valid = out["CAM_FRONT"].image(0)[..., 0], out["CAM_FRONT/valid"].image(0) > 0
        assert 0 < float((~valid).double().mean()) < 0.6
        assert float(((shown > 190) & ~valid).double().mean()) <= stretched  # into what things hid
        assert float(((shown == 0) & valid).double().mean()) < 0.02


def test_every_sample_of_a_batch_gets_its_mask() -> None:
    chain = fa.Compose({"a": fa.Viewpoint(y_deg=2.0, p=0.5), "b": fa.Viewpoint(z_deg=3.0)})
    alone = [make_sample(f"s{i}", seed=i) for i in range(4)]
    together = chain(fa.collate(alone), seed=3)
    for i, one in enumerate(alone):
        a, b = chain(one, seed=3)["CAM_FRONT/valid"], together.take([i])["CAM_FRONT/valid"]
        assert torch.equal(a.image(0), b.image(0))  # type: ignore[attr-defined]


def test_gaps_in_depth_are_filled_and_are_not_sky(sample: fa.Sample, rendered: Rendered) -> None:
    from dataclasses import replace

    depth = sample["CAM_FRONT/depth"]
    full = depth.image(0)  # type: ignore[attr-defined]
    holes = torch.from_numpy(np.random.default_rng(0).random(full.shape) < 0.95)
    sparse = replace(depth, items=(torch.where(holes, torch.zeros_like(full), full),))
    thin = sample.with_streams({**sample.streams, "CAM_FRONT/depth": sparse})
    true = rendered("CAM_FRONT", x=0.5)
    errors = []
    for s in (sample, thin):
        out = move(s, "CAM_FRONT", x=0.5)
        valid = out["CAM_FRONT/valid"].image(0).numpy() > 0
        errors.append(np.abs(out["CAM_FRONT"].image(0).numpy().astype(float) - true).mean(2)[valid].mean())
    assert errors[1] < 2.5 * errors[0], errors
