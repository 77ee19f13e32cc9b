"""Commands, turns, goals and facts of agents in info files, by the rules of VAD's converter in NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_infos import BOXES, MIRROR, TURN, read_row, rows, words, write_small
from written import run

import fusion_aug as fa
from fusion_aug.cli import main

STEPS = np.array([[[1.0, 0.3], [1.1, 0.4], [1.2, 0.5]], [[-0.1, 0.0], [0.0, 0.1], [0.1, 0.0]]], np.float32)
TURNS = np.array([[0.1, 0.2, -0.05], [0.0, 0.0, 0.01]], np.float32)
VELOCITY = np.array([[1.0, 0.0], [1.0, 0.5]])
SHIFT = "+pipeline.transforms.s={_target_:fusion_aug.TranslateScene,x:2.0,y:-1.0}"
SCALE = "+pipeline.transforms.s={_target_:fusion_aug.ScaleScene,scale:1.5}"
BACK = "+pipeline.transforms.t={_target_:fusion_aug.MirrorScene,axis:x,p:1.0}"
RIGHT, LEFT, STRAIGHT = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]


def goal(steps: np.ndarray) -> float:
    """By the converter, one agent (T, 2)."""
    places = np.cumsum(steps, axis=0)
    way = places[-1] - places[0]
    return 9.0 if way.max() < 1.0 else float((np.arctan2(way[1], way[0]) + np.pi) // (np.pi / 4))


def facts(boxes: np.ndarray, velocity: np.ndarray) -> np.ndarray:
    """x, y, yaw, vx, vy, width, length, height, class."""
    x, y, _, length, width, height, yaw = boxes.T
    return np.stack([x, y, yaw, *velocity.T, width, length, height, [3, 5]], 1).astype(np.float32)


def planned(command: list[float], lists: bool = False):  # type: ignore[no-untyped-def]
    def change(row: dict) -> None:
        velocity = VELOCITY if "gt_boxes" in row else np.array([i["velocity"] for i in row["instances"]])
        row |= {
            "gt_agent_fut_trajs": STEPS.reshape(2, -1).copy(), "gt_agent_fut_masks": np.ones((2, 3), np.float32),
            "gt_agent_fut_yaw": TURNS.copy(), "gt_agent_fut_goal": np.array([goal(s) for s in STEPS], np.float32),
            "gt_agent_lcf_feat": facts(BOXES, velocity), "gt_ego_fut_cmd": np.array(command, np.float32),
        }  # fmt: skip
        for name in [n for n in row if n.startswith("gt_agent") or n.startswith("gt_ego")] if lists else ():
            row[name] = row[name].tolist()

    return rows(change)


def written_boxes(row: dict) -> tuple[np.ndarray, np.ndarray]:
    if "gt_boxes" in row:
        return np.asarray(row["gt_boxes"])[:, :7], np.asarray(row["gt_velocity"])
    return np.array([i["bbox_3d"][:7] for i in row["instances"]]), np.array([i["velocity"] for i in row["instances"]])


CASES = [
    ((TURN,), 1), ((MIRROR,), -1), ((BACK,), -1), ((MIRROR, SCALE), -1), ((SHIFT,), 1), ((TURN, SHIFT), 1),
]  # fmt: skip


@pytest.mark.parametrize("v2", [True, False])
@pytest.mark.parametrize("number", range(len(CASES)))
def test_they_move_with_boxes_and_steps(v2: bool, number: int, tmp_path: Path) -> None:
    made, sign = CASES[number]
    root = write_small(tmp_path / "log", v2=v2, change=planned(RIGHT))
    row = read_row(run(tmp_path / "out", *words(root, *made)))
    boxes, velocity = written_boxes(row)
    assert not np.allclose(boxes[:, :2], BOXES[:, :2])
    expected = facts(boxes, velocity)
    off = row["gt_agent_lcf_feat"] - expected
    off[:, 2] = (off[:, 2] + np.pi) % (2 * np.pi) - np.pi
    assert np.abs(off).max() < 1e-5 and row["gt_agent_lcf_feat"].dtype == np.float32
    steps = row["gt_agent_fut_trajs"].reshape(2, -1, 2)
    assert row["gt_agent_fut_goal"].tolist() == [goal(s) for s in steps]
    assert np.array_equal(row["gt_agent_fut_yaw"], sign * TURNS)
    assert row["gt_ego_fut_cmd"].tolist() == (RIGHT if sign > 0 else LEFT)


def test_a_turned_goal_is_another_class() -> None:
    """That the rule has something to do: a quarter turn is two classes on, and a mirror another one."""
    assert [goal(STEPS[0] @ np.array(L).T) for L in ([[1, 0], [0, 1]], [[0, -1], [1, 0]], [[1, 0], [0, -1]])] == [
        4,
        6,
        3,
    ]


def test_lists_and_the_other_commands(tmp_path: Path) -> None:
    for command, mirrored in ((LEFT, RIGHT), (STRAIGHT, STRAIGHT)):
        root = write_small(tmp_path / f"log{command}", change=planned(command, lists=True))
        row = read_row(run(tmp_path / f"out{command}", *words(root, MIRROR)))
        assert row["gt_ego_fut_cmd"] == mirrored and isinstance(row["gt_agent_fut_goal"], list)
        assert np.array_equal(np.array(row["gt_agent_fut_yaw"], np.float32), -TURNS)


def test_boxes_before_mmdetection3d_1(tmp_path: Path) -> None:
    """Width, length, height, and -yaw - pi/2 in ``gt_boxes``; facts of agents say the yaw itself."""

    def legacy(content: dict) -> None:
        planned(RIGHT)(content)
        for row in content["infos"]:
            row["gt_boxes"] = row["gt_boxes"][:, [0, 1, 2, 4, 3, 5, 6]]
            row["gt_boxes"][:, 6] = -row["gt_boxes"][:, 6] - np.pi / 2

    root = write_small(tmp_path / "log", v2=False, change=legacy)
    row = read_row(run(tmp_path / "out", *words(root, TURN)))
    x, y = BOXES[:, 0], BOXES[:, 1]
    assert np.allclose(row["gt_agent_lcf_feat"][:, :2], np.stack([-y, x], 1), atol=1e-5)
    assert np.allclose(row["gt_agent_lcf_feat"][:, 2], BOXES[:, 6] + np.pi / 2, atol=1e-5)
    assert np.allclose(row["gt_agent_lcf_feat"][:, 5:8], BOXES[:, [4, 3, 5]], atol=1e-5)


def test_boxes_that_are_left_out_take_theirs_along(tmp_path: Path) -> None:
    root = write_small(tmp_path / "log", change=planned(RIGHT))
    row = read_row(run(tmp_path / "out", *words(root, TURN, "log.classes=[bus]")))
    assert row["gt_agent_lcf_feat"].shape == (1, 9) and row["gt_agent_fut_yaw"].tolist() == TURNS[1:].tolist()
    assert row["gt_agent_fut_goal"].tolist() == [goal(row["gt_agent_fut_trajs"].reshape(-1, 2))]


WRONG = {
    "gt_ego_fut_cmd": [[1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0], [0.5, 0.5, 0.0], "right", 2],
    "gt_agent_fut_goal": [[4.0, 4.0], [4.0], [[4.0, 9.0]]],
    "gt_agent_fut_yaw": [[0.1, 0.2], [[0.1]]],
    "gt_agent_lcf_feat": [np.zeros((2, 9)), np.zeros((2, 8)), np.zeros((1, 9))],
}


@pytest.mark.parametrize("name, value", [(n, v) for n, values in WRONG.items() for v in values])
def test_what_is_not_what_its_name_says_is_refused(name: str, value: object, tmp_path: Path) -> None:
    def change(content: dict) -> None:
        planned(RIGHT)(content)
        content["data_list"][0][name] = value

    root = write_small(tmp_path / "log", change=change)
    (problem,) = fa.open_log("mmdet3d", root).writer(tmp_path / "o").can_express(fa.Compose([fa.MirrorScene()]))
    assert problem.field == f"small_infos.pkl: {name}"
    assert not fa.open_log("mmdet3d", root).writer(tmp_path / "o").can_express(fa.Compose([fa.Brightness(factor=0.5)]))
    out = run(tmp_path / "out", *words(root, MIRROR, f"log.keep={name}"))
    assert str(read_row(out)[name]) == str(value)


def test_steps_that_are_left_out_leave_goals_right(tmp_path: Path) -> None:
    root = write_small(tmp_path / "log", change=planned(RIGHT))
    row = read_row(run(tmp_path / "out", *words(root, TURN, "log.leave_out=[gt_agent_fut_trajs]")))
    assert "gt_agent_fut_trajs" not in row
    assert row["gt_agent_fut_goal"].tolist() == [goal(np.stack([-s[:, 1], s[:, 0]], 1)) for s in STEPS]


def test_a_run_is_checked(tmp_path: Path) -> None:
    root = write_small(tmp_path / "log", v2=False, change=planned(LEFT))
    assert main(["check", str(run(tmp_path / "out", *words(root, MIRROR)))]) == 0
