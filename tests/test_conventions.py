"""docs/conventions.md, line by line."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from samples import T0, make_sample

import fusion_aug as fa
from calib import Pinhole, RadarSensor
from calib.se3 import invert, rotation_about, rotation_from_quaternion, se3
from fusion_aug.transforms.image.image_plane import FlipImage, Resize


def test_stamps_are_int64_nanoseconds() -> None:
    with pytest.raises(fa.DataError, match="int64 nanoseconds"):
        fa.Text(frame="ref", capture_times=torch.tensor([1.5]), values={"text": np.array(["x"])})
    assert make_sample()["lidar"].capture_times.dtype == torch.int64


def test_T_a_b_maps_a_point_in_b_to_a() -> None:
    sample = make_sample()
    T = sample.rig.T("ego", "lidar")
    origin = T @ torch.tensor([0.0, 0, 0, 1], dtype=torch.float64)
    assert torch.allclose(origin[:3], torch.tensor([0.9, 0.1, 1.8], dtype=torch.float64)), "where the LiDAR is mounted"


def test_quaternions_are_w_x_y_z() -> None:
    quarter = rotation_from_quaternion([np.sqrt(0.5), 0, 0, np.sqrt(0.5)])
    assert torch.allclose(quarter, rotation_about("z", np.pi / 2), atol=1e-12)


def test_vehicle_axes_and_camera_axes() -> None:
    """A point 10 m ahead, 1 m to the left and 1 m above a forward camera lies left of and above its centre."""
    from samples import FORWARD

    camera = Pinhole.from_focal(100, 100, 50, 40, (80, 100))
    ahead = invert(se3(FORWARD)) @ torch.tensor([10.0, 1.0, 1.0, 1.0], dtype=torch.float64)
    (u, v), visible = camera.project(ahead[:3])
    assert visible and u == pytest.approx(40) and v == pytest.approx(30)


def test_pixel_zero_is_the_centre_of_the_top_left_pixel() -> None:
    P, size = Resize.pixel_map({"size": [40, 60]}, (20, 30))
    assert size == (40, 60)
    corner = P @ torch.tensor([-0.5, -0.5, 1.0], dtype=torch.float64)
    assert torch.allclose(corner[:2], torch.tensor([-0.5, -0.5], dtype=torch.float64)), "the outer corner stays"
    assert float((P @ torch.tensor([0.0, 0, 1], dtype=torch.float64))[0]) == 0.5
    flip, _ = FlipImage.pixel_map({"axis": "x"}, (20, 30))
    assert float((flip @ torch.tensor([0.0, 0, 1], dtype=torch.float64))[0]) == 29


def test_size_is_height_width() -> None:
    sample = make_sample(size=(48, 64))
    assert sample.rig.camera("CAM_FRONT").size == (48, 64)
    assert sample["CAM_FRONT"].images.shape == (1, 48, 64, 3)
    assert fa.Resize(size=(30, 70))(sample)["CAM_FRONT"].images.shape == (1, 30, 70, 3)


def test_images_share_memory_with_numpy() -> None:
    sample = make_sample()
    images = sample["CAM_FRONT"].pictures[0]
    images.numpy()[0, 0, 0] = 99
    assert int(images[0, 0, 0]) == 99


def test_types() -> None:
    sample = make_sample()
    assert sample["lidar"]["xyz"].dtype == torch.float32
    assert sample.boxes()["pose"].dtype == sample["ego"]["pose"].dtype == torch.float64
    assert sample.rig.camera("FISHEYE").model.K.dtype == sample.rig.camera("FISHEYE").A.dtype == torch.float64


def test_levels_have_a_declared_white() -> None:
    white = {torch.uint8: 255, torch.uint16: 65535, torch.float32: 1}
    assert white.items() <= fa.Camera.full_scale.items() and fa.Camera.pixel_shape == (3,)  # type: ignore[union-attr]
    assert fa.Depth.full_scale is fa.SegmentationMask.full_scale is fa.ImageStream.full_scale is None
    with pytest.raises(fa.DataError, match=r"expected \(H, W, 3\)"):
        fa.Camera(frame="cam", capture_times=torch.tensor([0]), items=(torch.zeros(3, 48, 64),))


def test_modes_of_torch_and_numpy_change_no_result() -> None:
    sample = make_sample()
    outside = fa.ScaleScene(scale=1.07)(sample)["radar"]["velocity"]
    with torch.autocast("cpu", dtype=torch.bfloat16), np.errstate(all="raise"):
        assert torch.equal(fa.ScaleScene(scale=1.07)(sample)["radar"]["velocity"], outside)


def test_a_box_has_length_width_height_along_x_y_z() -> None:
    box = fa.Boxes3D(
        frame="ref", capture_times=torch.tensor([0]),
        values={"pose": torch.eye(4, dtype=torch.float64)[None], "size": torch.tensor([[4.0, 2.0, 1.5]]).double()},
    )  # fmt: skip
    assert (box.corners()[0].amax(0) - box.corners()[0].amin(0)).tolist() == [4.0, 2.0, 1.5]


def test_doppler_is_positive_when_receding() -> None:
    """A car 20 m ahead that drives away at 5 m/s."""
    from fusion_aug.synth.bodies import Body, car_parts
    from fusion_aug.synth.road import Road, pose_at
    from fusion_aug.synth.sensors import detect
    from fusion_aug.synth.town import Town
    from fusion_aug.synth.world import Scenery

    car = Body(
        car_parts((200, 0, 0)), lambda t: pose_at((20.0 + 5.0 * t, 0.0), 0.0), True, "vehicle.car", (4.5, 1.9, 1.5)
    )
    mount = np.eye(4)
    mount[2, 3] = 0.5
    found = detect(Scenery(Town(Road(), (car,))).at(0.0), RadarSensor(frame="radar"), mount, np.zeros(3))
    assert len(found["rcs"]) and found["velocity_comp"][:, 0] == pytest.approx(5.0, rel=0.01)


def test_a_projection_is_visible_only_in_front_and_on_the_canvas() -> None:
    sample = make_sample()
    T = sample.rig.T("ego", "CAM_FRONT", T0)
    ahead, behind = (T @ torch.tensor([0, 0, z, 1.0], dtype=torch.float64) for z in (5.0, -5.0))
    assert sample.project_ref(torch.stack([ahead[:3], behind[:3]]), "CAM_FRONT")[1].tolist() == [True, False]


def test_mirror_keeps_every_transform_rigid() -> None:
    for axis in ("x", "y"):
        out = fa.MirrorScene(axis=axis)(make_sample())
        for frame in out.rig.frames.values():
            poses = frame.pose.reshape(-1, 4, 4) if isinstance(frame.pose, torch.Tensor) else frame.pose.known()
            assert torch.allclose(torch.linalg.det(poses[:, :3, :3]), torch.ones(len(poses), dtype=torch.float64))


def test_a_new_sensor_follows_from_its_typed_columns(own_names: None) -> None:
    @dataclass(frozen=True, kw_only=True, eq=False)
    class Magnetometer(fa.Stream):
        """Magnetic field in the sensor frame, (n, 3), tesla: a sensor that the package does not know."""

        columns = (fa.axial("field"),)
        invariant_to = (fa.Weather, fa.ImagePlane, fa.Photometric)

    sample = make_sample()
    field = torch.tensor([[2e-5, 1e-5, -4e-5]], dtype=torch.float64)
    compass = Magnetometer(frame="imu", capture_times=torch.tensor([T0]), values={"field": field})
    sample = sample.with_streams({**sample.streams, "compass": compass})
    assert fa.RotateScene(yaw_deg=30)(sample)["compass"] is compass, "a sensor turns with the scene"
    mirrored = fa.MirrorScene(axis="y")(sample)["compass"]["field"]
    # axial: det(M) M v with M = diag(1, -1, 1)
    assert torch.equal(mirrored, field * torch.tensor([-1.0, 1.0, -1.0]))
    assert torch.equal(fa.ScaleScene(scale=2.0)(sample)["compass"]["field"], field)
    assert fa.Resize(size=(20, 20))(sample)["compass"] is compass
    moved = replace(compass, frame="ref")
    turned = fa.RotateScene(yaw_deg=90)(sample.with_streams({"compass": moved}))["compass"]["field"]
    assert torch.allclose(turned, field[:, [1, 0, 2]] * torch.tensor([-1.0, 1, 1]), atol=1e-12)


def test_touch() -> None:
    """A gel looks like a camera; what presses at +x is seen on the right, metres."""
    import fusion_aug as fa

    sample = make_sample()
    gel = sample.rig.sensors["GEL_LEFT"]
    assert sample.rig.frames[gel.frame].axis_convention == "camera"
    moved = fa.TactileShift(x=0.002, y=0.0, angle_deg=0.0)(sample)["GEL_LEFT/height"].images
    before = sample["GEL_LEFT/height"].images
    columns = [h[0].sum(0).argmax() for h in (before, moved)]
    assert int(columns[1] - columns[0]) == 4, "2 mm at 0.5 mm per pixel, to the right"
    assert float(before.max()) < 0.01, "metres"
