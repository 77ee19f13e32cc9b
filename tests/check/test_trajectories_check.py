"""What ``check`` says of trajectories: right ones pass, planted faults do not, and counts are those of the tables."""

from __future__ import annotations

from pathlib import Path

import argoverse_log
import numpy as np
import pytest
import torch
from samples import make_sample
from written import run

import fusion_aug as fa
from fusion_aug.check import Pair
from fusion_aug.check.trajectories import waypoint_velocity
from fusion_aug.cli import main


def pair(motion: fa.Transform) -> Pair:
    sample = make_sample(points=20, gels=False)
    return Pair(sample, motion(sample, seed=3))


@pytest.mark.parametrize(
    "motion", [fa.RotateScene(yaw_deg=40), fa.MirrorScene(), fa.ScaleScene(scale=1.4), fa.TranslateScene(x=3)]
)
def test_moved_trajectories_pass(motion: fa.Transform) -> None:
    speed, place = waypoint_velocity([pair(motion)])
    assert (speed.status, place.status) == ("PASS", "PASS")
    assert len(speed.values) == 6 * 5 and len(place.values) == 5


def test_planted_faults_fail() -> None:
    right = pair(fa.ScaleScene(scale=1.2))
    stream = right.augmented["waypoints"]
    slow = stream.with_values(velocity=stream["velocity"] / 1.2)
    turned = stream.with_values(pose=right.source["waypoints"]["pose"])
    for wrong, number in ((slow, 0), (turned, 0), (turned, 1)):
        planted = right.augmented.with_streams({**right.augmented.streams, "waypoints": wrong})
        assert waypoint_velocity([Pair(right.source, planted)])[number].status == "FAIL"


def test_bodies_that_speed_up_are_allowed_what_the_source_is_off_by() -> None:
    right = pair(fa.ScaleScene(scale=1.3))
    source = right.source["waypoints"]
    bent = source.with_values(velocity=source["velocity"] + 0.5)
    sample = right.source.with_streams({**right.source.streams, "waypoints": bent})
    speed, _ = waypoint_velocity([Pair(sample, fa.ScaleScene(scale=1.3)(sample, seed=0))])
    assert speed.status == "PASS"


def test_a_log_without_them_has_no_row() -> None:
    sample = make_sample(points=20, gels=False)
    bare = sample.with_streams({n: s for n, s in sample.streams.items() if n != "waypoints"})
    assert waypoint_velocity([Pair(bare, fa.MirrorScene()(bare, seed=0))]) == []


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return argoverse_log.make_log(tmp_path_factory.mktemp("av2") / "log", 4)


TURN = "+pipeline.transforms.t={_target_:fusion_aug.RotateScene,yaw_deg:20,scope:scene}"


def test_an_output_is_counted_and_a_lost_trajectory_is_found(
    street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["log.past=0.1", "log.future=0.25"]
    out = run(tmp_path / "out", "log=argoverse2", f"log.root={street}", "pipeline=identity", TURN, *asked)
    assert main(["check", str(out)]) == 0
    told = capsys.readouterr().out
    rows = [line for line in told.splitlines() if "waypoints" in line]
    assert any(line.startswith("rows missing") for line in rows) and any(line.startswith("velocity") for line in rows)
    back = fa.open_log("argoverse2", out, past=0.1, future=0.25)
    assert [s["waypoints"].rows for s in back] == [6, 8, 6, 4]  # the car and the vehicle, sweep by sweep
    arrays = next((out / "fusion_aug/samples").glob("**/waypoints/arrays.npz"))
    with np.load(arrays) as held:
        columns = dict(held)
    short = {n: v[:-1] if n.startswith("values/") else v for n, v in columns.items()}
    short["fields/offsets"] = np.array([0, len(short["values/time_offset"])])
    np.savez(arrays, **short)
    assert main(["check", str(out)]) == 1
    told = capsys.readouterr().out
    assert any("waypoints" in line and "rows missing" in line and "FAIL" in line for line in told.splitlines())


def test_an_output_moves_what_it_was_read_with(street: Path, tmp_path: Path) -> None:
    """The output's own boxes and poses give the trajectories that the run wrote beside them."""
    out = run(tmp_path / "out", "log=argoverse2", f"log.root={street}", "pipeline=identity", TURN, "log.future=0.3")
    bare = fa.open_log("argoverse2", out)
    for index in range(4):
        written, anew = bare[index]["waypoints"], fa.with_waypoints(bare, index, 0, 0.3)["waypoints"]
        assert written["instance"].tolist() == anew["instance"].tolist()
        boxes = torch.from_numpy(written["instance"] != "ego")
        assert torch.allclose(written["pose"][boxes], anew["pose"][boxes], atol=1e-6)
        # the vehicle is a body: it turns with the scene, the frame of the output's poses does not
        assert torch.allclose(written["pose"][~boxes][:, :3, 3], anew["pose"][~boxes][:, :3, 3], atol=1e-6)
