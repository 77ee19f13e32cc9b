"""What the fields of sensors, joints and masses may hold, in Python and in rig files."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch

from calib import CalibrationError, Inertia, Joint, LidarSensor, Pinhole, RadarSensor, TactileSensor, load_rig
from calib.rig_file import read_rig_file
from calib.sensors import SENSORS, CameraSensor
from calib.yaml_text import load_yaml

K = [[100.0, 0, 31.5], [0, 100.0, 23.5], [0, 0, 1]]
CAMERA = f"{{kind: camera, frame: s, camera: {{model: pinhole, K: {K}, size: [48, 64]}}"
NEEDED: dict[str, dict[str, Any]] = {
    "camera": {"model": Pinhole(K=torch.tensor(K), size=(48, 64))},
    "tactile": {"mm_per_pixel": 0.1, "size": (48, 64)},
}
# fields that hold something else than numbers, and check themselves
NOT_FIGURES = {"frame", "mirror_of", "model", "A", "poses", "gel", "background", "rectification"}
FIGURES = [(kind, f.name) for kind, cls in SENSORS.items() for f in fields(cls) if f.name not in NOT_FIGURES]


def rig_text(sensor: str) -> str:
    """A rig file with one sensor at a frame ``s``."""
    return f"frames: {{s: {{parent: null, axis_convention: camera}}}}\nsensors:\n  it: {sensor}\n"


@pytest.mark.quick
@pytest.mark.parametrize("value", ["abc", float("nan"), True, [1.0, "x"], {"a": 1}], ids=str)
@pytest.mark.parametrize(("kind", "name"), FIGURES)
def test_no_figure_of_any_sensor_takes_what_is_no_number(kind: str, name: str, value: Any) -> None:
    with pytest.raises(CalibrationError, match=rf"^{name}: expected .*, got ") as caught:
        SENSORS[kind](**{"frame": "s", **NEEDED.get(kind, {}), name: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("sensor", "field"),
    [
        ("{kind: lidar, frame: s, max_range: abc}", "max_range"),
        ("{kind: lidar, frame: s, max_range: -5}", "max_range"),
        ("{kind: lidar, frame: s, max_range: .inf}", "max_range"),
        ("{kind: lidar, frame: s, intensity_scale: -1}", "intensity_scale"),
        ("{kind: lidar, frame: s, intensity_scale: 0}", "intensity_scale"),
        ("{kind: lidar, frame: s, wavelength: 0}", "wavelength"),
        ("{kind: lidar, frame: s, wavelength: 905}", "wavelength"),  # nanometres
        ("{kind: lidar, frame: s, wavelength: '905e-9'}", "wavelength"),  # text, by its quotes
        ("{kind: lidar, frame: s, noise_floor: .nan}", "noise_floor"),
        ("{kind: lidar, frame: s, white: 100}", "white"),
        ("{kind: lidar, frame: s, near_range: 0}", "near_range"),
        ("{kind: lidar, frame: s, min_range: 30, max_range: 20}", "min_range"),
        ("{kind: lidar, frame: s, echo: sideways}", "echo"),
        ("{kind: lidar, frame: s, spin: 2}", "spin"),
        ("{kind: lidar, frame: s, elevations: [0.1, up]}", "elevations"),
        ("{kind: lidar, frame: s, elevations: [-25, 15]}", "elevations"),  # degrees
        ("{kind: lidar, frame: s, elevations: 0.1}", "elevations"),
        ("{kind: lidar, frame: 3}", "frame"),
        ("{kind: radar, frame: s, carrier: 77}", "carrier"),  # GHz
        ("{kind: radar, frame: s, azimuth_resolution: 0}", "azimuth_resolution"),
        ("{kind: radar, frame: s, min_rcs: null, max_doppler: fast}", "max_doppler"),
        ("{kind: imu, frame: s, gyro_noise: -1e-3}", "gyro_noise"),
        ("{kind: tactile, frame: s, size: [48, 64], mm_per_pixel: 0}", "mm_per_pixel"),
        ("{kind: tactile, frame: s, size: [48.5, 64], mm_per_pixel: 0.1}", "size"),
        ("{kind: tactile, frame: s, size: [4, 6], mm_per_pixel: 0.1, gel: {lights: LIGHTS, noise: '1'}}", "gel.noise"),
        (
            "{kind: tactile, frame: s, size: [4, 6], mm_per_pixel: 0.1, gel: {lights: LIGHTS, relaxation: 0}}",
            "gel.relaxation",
        ),
        (f"{CAMERA}, readout: -0.01}}", "readout"),
        (f"{CAMERA}, exposure: 20ms}}", "exposure"),
        (f"{CAMERA}, A: [[1, 0, 0], [0, .nan, 0], [0, 0, 1]]}}", "A"),
        (CAMERA.replace("[48, 64]", "[48.5, 64]") + "}", "camera.size"),
    ],
)
def test_a_rig_file_with_a_figure_that_cannot_be(tmp_path: Path, sensor: str, field: str) -> None:
    path = tmp_path / "rig.yaml"
    path.write_text(rig_text(sensor.replace("LIGHTS", str([[0.0] * 3] * 10))))
    with pytest.raises(CalibrationError) as caught:
        load_rig(path)
    assert str(caught.value).startswith(f"{path}: sensors.it.{field}"), str(caught.value)


@pytest.mark.quick
def test_numbers_with_an_exponent_are_numbers(tmp_path: Path) -> None:
    """YAML 1.1, which PyYAML reads, wants a point in them; people and YAML 1.2 do not."""
    for text, number in (("1550e-9", 1550e-9), ("3e-5", 3e-5), ("-1E3", -1000.0), ("+.5e1", 5.0), ("1.5e-9", 1.5e-9)):
        assert load_yaml(f"[{text}]") == [number]
    assert load_yaml("[1e5x, e5, 'a', '1e5', 0x1f, 7]") == ["1e5x", "e5", "a", "1e5", 31, 7]
    path = tmp_path / "rig.yaml"
    path.write_text(rig_text("{kind: lidar, frame: s, wavelength: 1550e-9, noise_floor: 3e-5, max_range: 2e2}"))
    sensor = load_rig(path).sensors["it"]
    assert isinstance(sensor, LidarSensor)
    assert (sensor.wavelength, sensor.noise_floor, sensor.max_range) == (1550e-9, 3e-5, 200.0)
    path.write_text("frames: {a: {parent: null}, b: {parent: a, translation: [1e-1, 2, 3E0]}}")
    assert load_rig(path).T("a", "b")[:3, 3].tolist() == [0.1, 2.0, 3.0]
    assert read_rig_file(path)["frames"]["b"]["translation"] == [0.1, 2, 3.0]


def test_the_scale_of_intensities_is_not_known_by_default() -> None:
    with pytest.raises(CalibrationError, match="intensity_scale: is not known"):
        _ = LidarSensor(frame="s").scale
    assert LidarSensor(frame="s", intensity_scale=255).scale == 255.0


def test_what_is_right_is_taken() -> None:
    LidarSensor(frame="s", elevations=[-0.4, 0.2], wavelength=1550e-9, echo="last", spin=1)  # type: ignore[arg-type]
    RadarSensor(frame="s", carrier=24e9, max_doppler=30)
    TactileSensor(frame="s", size=[48, 64], mm_per_pixel=1)  # type: ignore[arg-type]
    assert CameraSensor(frame="s", **NEEDED["camera"], exposure=0).size == (48, 64)


def test_masses_and_joints() -> None:
    zero = torch.zeros(3, dtype=torch.float64)
    for wrong in ({"mass": -1.0}, {"mass": float("nan")}, {"center": zero * float("nan")}):
        with pytest.raises(CalibrationError, match=next(iter(wrong))):
            Inertia(**{"mass": 1.0, "center": zero, "about_center": torch.eye(3, dtype=torch.float64), **wrong})
    axis = torch.tensor([0.0, 0, 1], dtype=torch.float64)
    for name, value in (("lower", 2.0), ("upper", float("nan")), ("multiplier", float("inf")), ("bias", "0")):
        with pytest.raises(CalibrationError, match=rf"joint 'j': {name}: "):
            Joint(**{"name": "j", "kind": "revolute", "axis": axis, "upper": 1.0, name: value})


@pytest.mark.parametrize(
    ("frame", "field"),
    [
        ("{parent: a, times: [0.5, 1.5], translation: [[0, 0, 0], [1, 0, 0]], rotation: [[1, 0, 0, 0], [1, 0, 0, 0]]}",
         "times"),
        ("{parent: a, inertia: {mass: heavy, center: [0, 0, 0], about_center: [0, 0, 0, 0, 0, 0, 0, 0, 0]}}",
         "inertia.mass"),
    ],
)  # fmt: skip
def test_a_rig_file_with_a_frame_that_cannot_be(tmp_path: Path, frame: str, field: str) -> None:
    path = tmp_path / "rig.yaml"
    path.write_text(f"frames: {{a: {{parent: null}}, b: {frame}}}")
    with pytest.raises(CalibrationError, match=r"frames\.b.*" + field):
        load_rig(path)
