"""Every field of an info file is moved, kept, refused by name or left out with a word."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_infos import CROP, GREY, MIRROR, TURN, read_content, read_row, rows, words, write_small
from written import run

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.logs.core.account import account_of
from fusion_aug.logs.core.contents import FATES, part_of
from fusion_aug.logs.mmdet3d.contents import CONTENTS, EVERYTHING, KNOWN_FIELDS
from fusion_aug.logs.mmdet3d.writer import Mmdet3dWriter


def plant(content: dict) -> None:
    """A field that nobody knows, at every level."""
    row = content["data_list"][0]
    row["row_field"] = 1
    row["lidar_points"]["cloud_field"] = [1.0]
    row["images"]["CAM_FRONT"]["camera_field"] = "x"
    row["instances"][1]["box_field"] = True
    row["lidar_sweeps"] = [
        {"timestamp": row["timestamp"] - 1, "sweep_field": 1.5,
         "lidar_points": {"lidar_path": "0000.bin", "lidar2sensor": np.eye(4).tolist(), "deep_field": 0}}
    ]  # fmt: skip
    content["metainfo"]["meta_field"], content["file_field"] = 2, 3


PLANTED = {
    "row_field", "lidar_points.cloud_field", "images.camera_field", "instances.box_field", "lidar_sweeps.sweep_field",
    "lidar_sweeps.lidar_points.deep_field", "metainfo.meta_field", "file.file_field",
}  # fmt: skip


def plant_old(content: dict) -> None:
    row = content["infos"][0]
    row["row_field"], row["cams"]["CAM_FRONT"]["camera_field"], content["file_field"] = 1, 2, 3
    content["metadata"]["meta_field"] = 4


PLANTED_OLD = {"row_field", "cams.camera_field", "metadata.meta_field", "file.file_field"}


@pytest.mark.parametrize("v2, planted, names", [(True, plant, PLANTED), (False, plant_old, PLANTED_OLD)])
def test_unknown_fields_of_every_level(
    v2: bool, planted: Callable, names: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused before the first byte where geometry moves, taken out or kept on demand, kept under mere light."""
    root = write_small(tmp_path / "log", v2=v2, change=planted)
    listed = f"[{','.join(sorted(names))}]"
    for what in (TURN, CROP, MIRROR):
        assert main(["run", *words(root, what), f"out={tmp_path / 'no'}"]) == 2
        message = capsys.readouterr().err
        assert all(n in message for n in names) and f"log.leave_out={listed}" in message and "\n" not in message.strip()
    assert not (tmp_path / "no").exists()
    found = {g.example.partition(":")[2] for g in account_of(fa.open_log("mmdet3d", root), Mmdet3dWriter).fields
             if not g.understood}  # fmt: skip
    assert found == names
    kept = read_content(run(tmp_path / "light", *words(root, GREY)))
    assert kept["file_field"] == 3 and kept["data_list" if v2 else "infos"][0]["row_field"] == 1
    kept = read_content(run(tmp_path / "kept", *words(root, TURN, f"log.keep={listed}")))
    assert kept["file_field"] == 3
    text = str(read_content(run(tmp_path / "without", *words(root, TURN, f"log.leave_out={listed}"))))
    assert "_field" not in text
    assert main(["check", str(tmp_path / "without")]) == 0


@pytest.mark.parametrize("option", ["leave_out", "keep"])
@pytest.mark.parametrize(
    "name, part",
    [("row_feld", "no field 'row_feld'"), ("box_field", "did you mean instances.box_field"),
     ("instances.bbox_3d", "written anew by every run")],
)  # fmt: skip
def test_a_field_that_cannot_be_named(option: str, name: str, part: str, tmp_path: Path) -> None:
    log = fa.open_log("mmdet3d", write_small(tmp_path / "log", change=plant), **{option: [name]})
    with pytest.raises(fa.ConfigError, match=rf"log\.{option}: .*{part}"):
        log.writer(tmp_path / "out").can_express(fa.Compose([fa.RotateScene(yaw_deg=3)]))


@pytest.mark.quick
def test_paths_of_a_planner_move_with_the_scene(tmp_path: Path) -> None:
    """Steps in the LiDAR's axes: (x, y) -> (-y, x) by a quarter turn, (x, -y) by a mirror, times s by a scale."""
    steps, agents = [[1.0, 0.25], [2.0, -0.5]], np.arange(8, dtype=np.float32).reshape(2, 4)

    def more(row: dict) -> None:
        row |= {
            "gt_ego_fut_trajs": steps,
            "gt_ego_his_trajs": np.array(steps, np.float32),
            "gt_agent_fut_trajs": agents,
        }
        row |= {"gt_ego_fut_masks": [1, 0], "gt_ego_fut_cmd": []}

    scale = "+pipeline.transforms.s={_target_:fusion_aug.ScaleScene,scale:1.5}"
    cases = [((TURN,), [[0, -1], [1, 0]]), ((MIRROR,), [[1, 0], [0, -1]]), ((MIRROR, scale), [[1.5, 0], [0, -1.5]])]
    for v2 in (True, False):
        root = write_small(tmp_path / f"log{v2}", v2=v2, change=rows(more))
        for number, (steps_of, L) in enumerate(cases):
            row = read_row(run(tmp_path / f"out{v2}{number}", *words(root, *steps_of)))
            moved = np.array(steps) @ np.array(L, float).T
            assert np.allclose(row["gt_ego_fut_trajs"], moved, atol=1e-12) and isinstance(row["gt_ego_fut_trajs"], list)
            assert np.allclose(row["gt_ego_his_trajs"], moved, atol=1e-6)
            assert row["gt_ego_his_trajs"].dtype == np.float32
            assert np.allclose(row["gt_agent_fut_trajs"].reshape(-1, 2), agents.reshape(-1, 2) @ np.array(L, float).T)


@pytest.mark.parametrize("steps", [np.ones((6, 3)), [1.0, 2.0], [[1.0], [2.0, 3.0]], np.array([["a", "b"]])])
def test_paths_of_another_shape_are_refused(steps: object, tmp_path: Path) -> None:
    root = write_small(tmp_path / "log", change=rows(lambda row: row.update(gt_ego_fut_trajs=steps)))
    for made in (fa.RotateScene(yaw_deg=3), fa.MirrorScene(), fa.ScaleScene(scale=2)):
        (problem,) = fa.open_log("mmdet3d", root).writer(tmp_path / "o").can_express(fa.Compose([made]))
        assert problem.field == "small_infos.pkl: gt_ego_fut_trajs"
    out = run(tmp_path / "out", *words(root, TURN, "log.keep=gt_ego_fut_trajs"))
    assert str(read_row(out)["gt_ego_fut_trajs"]) == str(steps)


def test_kept_is_kept_as_it_is(tmp_path: Path) -> None:
    """``log.keep`` also of what a rule would move."""

    def more(row: dict) -> None:
        row["gt_ego_fut_trajs"] = [[1.0, 0.0]]
        row["instances"][0]["bbox"] = [10.0, 5.0, 30.0, 25.0]

    root = write_small(tmp_path / "log", change=rows(more))
    row = read_row(run(tmp_path / "out", *words(root, MIRROR, "log.keep=[gt_ego_fut_trajs,instances.bbox]")))
    assert row["gt_ego_fut_trajs"] == [[1.0, 0.0]] and row["instances"][0]["bbox"] == [10.0, 5.0, 30.0, 25.0]


def test_paths_are_in_the_axes_of_a_lidar_that_looks_sideways(tmp_path: Path) -> None:
    """nuScenes' LiDAR has x to the right: a left-right mirror reverses its x."""

    def turned(row: dict) -> None:
        lidar2ego = np.array([[0.0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
        row["lidar_points"]["lidar2ego"] = lidar2ego.tolist()
        row["images"]["CAM_FRONT"]["cam2ego"] = (
            lidar2ego @ np.linalg.inv(row["images"]["CAM_FRONT"]["lidar2cam"])
        ).tolist()
        row["gt_ego_fut_trajs"] = [[0.5, 3.0]]

    out = run(tmp_path / "out", *words(write_small(tmp_path / "log", change=rows(turned)), MIRROR))
    assert np.allclose(read_row(out)["gt_ego_fut_trajs"], [[-0.5, 3.0]], atol=1e-9)


REFUSED_UNDER = [
    ("can_bus", TURN), ("map_annos", TURN), ("occ_gt", TURN), ("cam_sync_instances", CROP), ("gt_ego_lcf_feat", TURN),
    ("gt_ego_fut_cmd", MIRROR), ("radars", TURN), ("image_sweeps", CROP),
]  # fmt: skip


@pytest.mark.parametrize("name, what", REFUSED_UNDER)
def test_geometry_without_a_rule_is_refused_by_name(
    name: str, what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_small(tmp_path / "log", change=rows(lambda row: row.update({name: [1.0, 2.0]})))
    assert main(["run", *words(root, what), f"out={tmp_path / 'o'}"]) == 2
    assert f"log.leave_out=[{name}]" in capsys.readouterr().err and not (tmp_path / "o").exists()
    assert read_row(run(tmp_path / "light", *words(root, GREY)))[name] == [1.0, 2.0]


def test_what_a_camera_sees_of_a_box(tmp_path: Path) -> None:
    """A rigid motion of the scene changes no picture, so what is told of boxes in pictures holds."""
    seen = {"truncated": 0.5, "alpha": 1.0, "depth": 12.0, "center_2d": [5.0, 6.0]}
    root = write_small(tmp_path / "log", change=rows(lambda row: row["instances"][0].update(seen)))
    found = read_row(run(tmp_path / "turn", *words(root, TURN)))["instances"][0]
    assert {k: found[k] for k in seen} == seen
    writer = fa.open_log("mmdet3d", root).writer(tmp_path / "o")
    for transform, names in (
        (fa.ScaleScene(scale=1.1), ["depth"]),
        (fa.ResizeCrop(scale=2.0), ["center_2d", "truncated"]),
        (fa.MirrorScene(), ["alpha", "center_2d", "truncated"]),
    ):
        (problem,) = writer.can_express(fa.Compose([transform]))
        assert problem.field == "small_infos.pkl: " + ", ".join(f"instances.{n}" for n in names)


def test_what_does_not_touch_a_field_lets_it_be(tmp_path: Path) -> None:
    """A zoom of the pictures leaves the vehicle's motion alone, a motion that is none leaves everything alone."""
    root = write_small(tmp_path / "log", change=rows(lambda row: row.update(can_bus=[1.0], strange=[2.0])))
    still = "+pipeline.transforms.t={_target_:fusion_aug.RotateScene,yaw_deg:0}"
    assert read_row(run(tmp_path / "a", *words(root, still)))["strange"] == [2.0]
    assert read_row(run(tmp_path / "b", *words(root, CROP, "log.keep=strange")))["can_bus"] == [1.0]
    empty = write_small(tmp_path / "empty", change=rows(lambda row: row.update(map_annos={}, strange=None)))
    assert read_row(run(tmp_path / "c", *words(empty, TURN)))["map_annos"] == {}


@pytest.mark.quick
def test_the_table_of_fields() -> None:
    """Fates are those of the account, what is refused says by which changes, and no name is there twice."""
    assert len({f.name for f in KNOWN_FIELDS}) == len(KNOWN_FIELDS)
    for field in KNOWN_FIELDS:
        assert field.fate in FATES and bool(field.touched) == (field.fate == "refused"), field.name
        assert set(field.touched) <= set(EVERYTHING)
        assert part_of(f"a/b_infos.pkl:{field.name}", CONTENTS).fate == field.fate  # type: ignore[union-attr]


def test_files_that_no_sample_names(tmp_path: Path) -> None:
    root = write_small(tmp_path / "log")
    (root / "extra").mkdir()
    (root / "extra/unknown.bin").write_bytes(b"1234")
    (root / "extra/unknown.xyz").write_bytes(b"1234")
    (root / "kitti_dbinfos_train.pkl").write_bytes(b"")
    found = {g.name: g for g in account_of(fa.open_log("mmdet3d", root), Mmdet3dWriter).files}
    assert found["**dbinfos*.pkl"].fate == "left out" and found["**infos*.pkl"].fate == "changed"
    assert (found["**.bin"].count, found["clouds and pictures"].fate) == (1, "left out")
    assert [g.example for g in found.values() if not g.understood] == ["extra/unknown.xyz"]
