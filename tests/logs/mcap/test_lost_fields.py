"""Names of fields in ``log.fields`` that no cloud has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ros_bags import T0, header, make, write_bag

import fusion_aug as fa
from fusion_aug.errors import ConfigError

pytest.importorskip("rosbags")


def clouds(folder: Path) -> Path:
    """A recording of two topics of clouds, of which one has a field more."""
    sent = []
    for topic, names in (("/front/points", "xyz"), ("/rear/points", "xyzq")):
        fields = [
            make("sensor_msgs/PointField", name=n, offset=4 * i, datatype=7, count=1) for i, n in enumerate(names)
        ]
        step = 4 * len(names)
        data = np.arange(2 * len(names), dtype="<f4").view(np.uint8)
        cloud = make("sensor_msgs/PointCloud2", header=header(T0, "lidar"), height=1, width=2, fields=fields,
                     point_step=step, row_step=2 * step, data=data, is_dense=True)  # fmt: skip
        sent.append((topic, T0, cloud))
    write_bag(folder / "bag", sent)
    return folder / "bag"


@pytest.mark.parametrize("told", [{"/rear/points": {"q": "scalar"}}, {"*": {"q": "scalar"}}, {"rear/*": {"q": "time"}}])
def test_a_field_that_a_cloud_has_is_taken(tmp_path: Path, told: dict[str, dict[str, str]]) -> None:
    log = fa.open_log("mcap", clouds(tmp_path), fields=told)
    assert len(log[0]["rear/points"]) == 1


@pytest.mark.parametrize(
    ("told", "names"),
    [
        ({"/rear/points": {"Q": "scalar"}}, "x, y, z, q"),
        ({"/front/points": {"q": "scalar"}}, "x, y, z$"),
        ({"*": {"q": "scalar", "w": "scalar"}}, "x, y, z, q"),
    ],
)
def test_a_field_that_none_has_is_named(tmp_path: Path, told: dict[str, dict[str, str]], names: str) -> None:
    with pytest.raises(ConfigError, match=rf"log.fields: .*'[Qqw]' is no field of these clouds; they have {names}"):
        fa.open_log("mcap", clouds(tmp_path), fields=told)
