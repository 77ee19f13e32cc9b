"""LiDARs that are known by name: in the table, in rig files and in the formats of logs."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from calib import CalibrationError, LidarSensor, load_rig, rig_from_dict, rig_to_dict
from calib.kitti import SCAN_LEVELS, velodyne
from calib.lidar_models import LIDAR_MODELS, Origin, lidar_figures, lidar_of_model
from calib.nuscenes import sensor_from_record

SAME = {"noise_floor", "near_floor", "near_range", "pulse", "min_range", "max_range", "wavelength", "divergence",
        "echo", "intensity_levels", "white", "least_reflectivity"}  # fmt: skip


def rig_text(sensor: str) -> str:
    return f"frames: {{s: {{parent: null}}}}\nsensors: {{it: {sensor}}}\n"


@pytest.mark.quick
@pytest.mark.parametrize("name", LIDAR_MODELS)
def test_every_model_gives_the_same_figures_and_says_where_they_are_from(name: str) -> None:
    known = LIDAR_MODELS[name]
    assert set(known) == SAME <= {f.name for f in fields(LidarSensor)}
    assert all(isinstance(figure.origin, Origin) and figure.source for figure in known.values())
    # makers do not publish thresholds near the sensor
    assert {known["near_floor"].origin, known["near_range"].origin} <= {Origin.FITTED, Origin.GUESS}
    sensor = lidar_of_model(name, "s")
    assert all(getattr(sensor, field) == figure.value for field, figure in known.items())
    assert sensor.intensity_scale is None  # a matter of files


@pytest.mark.quick
def test_rig_files_name_a_model_and_override_it(tmp_path: Path) -> None:
    path = tmp_path / "rig.yaml"
    for text in (
        "{kind: lidar, model: HDL-32E, frame: s, max_range: 70}",
        "{max_range: 70, frame: s, kind: lidar, model: HDL-32E}",
    ):
        path.write_text(rig_text(text))
        sensor = load_rig(path).sensors["it"]
        expected = lidar_figures("HDL-32E") | {"max_range": 70}
        assert all(getattr(sensor, name) == figure for name, figure in expected.items())
    rig = load_rig(path)
    again = rig_from_dict(rig_to_dict(rig)).sensors["it"]
    assert all(getattr(again, f.name) == getattr(rig.sensors["it"], f.name) for f in fields(LidarSensor))


@pytest.mark.quick
@pytest.mark.parametrize("sensor, told", [
    ("{kind: lidar, model: HDL-33E, frame: s}", r"sensors.it.model: 'HDL-33E' is no known LiDAR; known are HDL-32E, "),
    ("{kind: lidar, model: 32, frame: s}", r"sensors.it.model: 32 is no known LiDAR"),
    ("{kind: radar, model: HDL-32E, frame: s}", r"sensors.it.model: unknown field"),
    ("{kind: camera, model: HDL-32E, frame: s}", r"sensors.it.model: unknown field"),
    ("{kind: lidar, model: HDL-32E, frame: s, near_floor: 2}", r"sensors.it.near_floor: "),
    ("{kind: lidar, frame: s, intensity_levels: 0}", r"sensors.it.intensity_levels: "),
])  # fmt: skip
def test_wrong_models_are_refused(tmp_path: Path, sensor: str, told: str) -> None:
    path = tmp_path / "rig.yaml"
    path.write_text(rig_text(sensor))
    with pytest.raises(CalibrationError, match=told):
        load_rig(path)


@pytest.mark.quick
def test_formats_know_their_devices() -> None:
    top = sensor_from_record({}, "LIDAR_TOP", "lidar", (1, 1), set(), "here")
    assert isinstance(top, LidarSensor) and top.near_floor == lidar_figures("HDL-32E")["near_floor"]
    kitti = velodyne("v")
    assert kitti.pulse == lidar_figures("HDL-64E")["pulse"]
    assert (len(kitti.elevations), kitti.intensity_levels) == (64, SCAN_LEVELS)


def test_argoverse_has_two_of_one_model(real_data: Path) -> None:
    import fusion_aug as fa

    rig = fa.open_log("argoverse2", str(real_data / "argoverse2" / "val"))[0].rig
    found = [s for s in rig.sensors.values() if isinstance(s, LidarSensor)]
    assert len(found) == 3 and {s.wavelength for s in found} == {lidar_figures("VLP-32C")["wavelength"]}
