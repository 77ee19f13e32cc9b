"""``fusion-aug sim check``."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
import yaml
from places import REPOSITORY
from sim_robot import RIG

from fusion_aug.cli import main
from fusion_aug.sim.world_fields import FIELDS

SMALL = ["episodes=2", "steps=3", "+cameras.front=[48,64]"]


def test_what_it_measures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rig.yaml").write_text(yaml.safe_dump(RIG))
    words = [
        *SMALL,
        f"rig={tmp_path / 'rig.yaml'}",
        "+world.mass=[0.8,1.2]",
        "+sensors.imu.latency=0.01",
        "report=true",
    ]
    code = main(
        ["sim", "check", "sim_robot:SmallRobot", *words, "+sensors.clock.latency=0.05", f"out={tmp_path / 'seen.png'}"]
    )
    told = capsys.readouterr().out
    assert code == 0, told
    assert any("reported calibration" in line and "PASS" in line for line in told.splitlines())
    for word in (
        "age of readings",
        "left of the delay",
        "constants left stale",
        "step over the bare one",
        "mirror residue",
    ):
        assert word in told
    assert cv2.imread(str(tmp_path / "seen.png")).shape == (96, 64, 3)


def test_a_wrong_calibration_is_over_its_limit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A planted fault: the principal point at w / 2, as popular code has it."""
    from fusion_aug.sim import camera_figures, template

    right = camera_figures.camera_matrix

    def wrong(*given: object) -> object:
        K = right(*given)  # type: ignore[arg-type]
        K[:2, 2] += 0.5
        return K

    monkeypatch.setattr(template, "camera_matrix", wrong)
    assert main(["sim", "check", "sim_robot:SmallRobot", *SMALL, "pipeline=identity", "report=true"]) == 1
    assert "FAIL" in capsys.readouterr().out


@pytest.mark.quick
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["check", "Nothing-v9"], "ENV: 'Nothing-v9' cannot be made"),
        (["measure", "Ant-v5"], "it is: fusion-aug sim check ENV"),
        (["check", "sim_robot:SmallRobot", "episodes=0"], "episodes: expected a whole number"),
        (["check", "sim_robot:SmallRobot", "+world.weight=2"], "world: expected fields of MujocoWorld"),
        (["check", "sim_robot:SmallRobot", "+cameras.back=[4,4]"], "the model has no such camera"),
    ],
)
def test_wrong_words(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", *words]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.quick
def test_the_table_of_the_document() -> None:
    text = (REPOSITORY / "docs" / "sim_to_real.md").read_text(encoding="utf-8")
    for name, spec in FIELDS.items():
        assert f"| `{name}` | {spec.unit} | {spec.of} | {', '.join(spec.stale) or 'nothing'} |" in text
