"""SemanticKITTI as it is read: an independent NumPy reader finds the same, and wrong files are told in one sentence."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from semantickitti_tree import (
    PERIOD,
    STEP,
    TURN,
    by_class,
    drive,
    read_calibration,
    read_poses,
    read_scan,
    read_times,
    write_sequence,
    write_tree,
)

import fusion_aug as fa
from calib import CalibrationError
from fusion_aug import ConfigError, DataError
from fusion_aug.logs.core.account import account_of
from fusion_aug.logs.core.contents import LEFT_OUT
from fusion_aug.logs.semantickitti.classes import CLASSES, NAMES

NAME = "semantickitti"
FUSION_ERRORS = (DataError, CalibrationError)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "log")


def test_points_labels_and_instances_are_those_of_the_files(root: Path) -> None:
    log = fa.open_log(NAME, root)
    assert list(log.ids) == ["00/000000", "00/000001", "00/000002", "11/000000", "11/000001"]
    for sample in log[:3]:
        points, label, instance = read_scan(root / "sequences/00", sample.id.partition("/")[2])
        cloud = sample["velodyne"]
        assert np.array_equal(cloud["xyz"].numpy(), points[:, :3])
        assert np.array_equal(cloud["intensity"].numpy(), points[:, 3])
        assert np.array_equal(cloud["label"].numpy(), label) and by_class(label)[252] > 10
        assert np.array_equal(cloud["instance"].numpy(), instance) and instance.max() == 65535
        assert cloud.label_names == NAMES and cloud.air_label == 1 and cloud.motion == "compensated"
        assert log.scene_of(sample.id) == sample.meta.scene == "00"
    assert [NAMES[n] for n in (0, 1, 10, 40, 99, 252, 259)] == [CLASSES[n] for n in (0, 1, 10, 40, 99, 252, 259)]
    assert NAMES[2] == "" and len(NAMES) == 260


def test_poses_and_speeds_are_those_of_the_published_rule(root: Path) -> None:
    poses, times = read_poses(root / "sequences/00"), read_times(root / "sequences/00")
    assert np.abs(poses - drive(3)).max() < 1e-5, "the tree itself"
    for k, sample in enumerate(fa.open_log(NAME, root)[:3]):
        ego, stamp = sample["ego"], round(times[k] * 1e9)
        assert sample.ref.time == stamp and all(s.capture_times.tolist() == [stamp] for s in sample.streams.values())
        assert np.abs(ego["pose"][0].numpy() - poses[k]).max() < 1e-6
        assert np.abs(sample.rig.T("world", "velodyne", stamp).numpy() - poses[k]).max() < 1e-6
        assert np.abs(ego["velocity"][0].numpy() - np.array(STEP) / PERIOD).max() < 0.12
        assert np.abs(ego["angular_velocity"][0].numpy() - [0, 0, TURN / PERIOD]).max() < 1e-4


def test_pixels_are_those_of_P_and_Tr(root: Path) -> None:
    sample = fa.open_log(NAME, root)[1]
    rows, points = read_calibration(root / "sequences/00"), read_scan(root / "sequences/00", "000001")[0]
    for camera in ("image_2", "image_3"):
        pixels, visible = sample.project("velodyne", camera)
        seen = np.column_stack([points[:, :3], np.ones(len(points))]) @ (rows[f"P{camera[-1]}"] @ rows["Tr"])[:3].T
        own = (seen[:, :2] / seen[:, 2:])[visible.numpy()]
        assert len(own) > 30 and np.abs(pixels.numpy()[visible.numpy()] - own).max() < 1e-3


@pytest.mark.parametrize("above", ["", "dataset"])
def test_the_root_is_above_the_sequences_or_above_the_dataset(tmp_path: Path, above: str) -> None:
    write_sequence(tmp_path / "log" / above / "sequences/08", cameras=())
    assert fa.open_log(NAME, tmp_path / "log")[0].id == "08/000000"
    for wrong in ("sequences", "sequences/08"):
        with pytest.raises(DataError, match="give the folder above"):
            fa.open_log(NAME, tmp_path / "log" / above / wrong)


def test_a_part_is_selected_by_sequence_scan_and_published_split(root: Path) -> None:
    ids = list(fa.open_log(NAME, root).ids)
    for word, wanted in (("00", ids[:3]), ("train", ids[:3]), ("test", ids[3:]), ("11/000001", ids[4:])):
        assert list(fa.open_log(NAME, root, select=word).ids) == wanted
    with pytest.raises(ConfigError, match=re.escape("'valid' matches nothing")):
        fa.open_log(NAME, root, select="valid").ids  # noqa: B018


def test_a_sequence_without_labels_pictures_poses_and_times(root: Path) -> None:
    sample = fa.open_log(NAME, root)[4]
    assert set(sample.streams) == {"velodyne"} and set(sample["velodyne"].values) == {"xyz", "intensity"}
    assert sample.ref.time == 100_000_000 and "world" not in sample.rig.frames
    (root / "sequences/11/calib.txt").unlink()
    assert set(fa.open_log(NAME, root)[4].rig.sensors) == {"velodyne"}


def test_of_a_folder_that_lacks_scans_rows_go_by_number(tmp_path: Path) -> None:
    """The tables have a row for every number; where there are as many as scans, they go by place."""
    folder = write_sequence(tmp_path / "log/sequences/00", scans=(1, 4, 5), cameras=())
    samples = fa.open_log(NAME, tmp_path / "log")[:]
    assert np.abs(samples[1]["ego"]["pose"][0].numpy() - read_poses(folder)[4]).max() < 1e-6
    assert samples[1].ref.time == round(read_times(folder)[4] * 1e9)
    assert bool(samples[0]["ego"]["velocity"].isnan().all()), "no neighbour in time tells its speed"
    assert np.abs(samples[2]["ego"]["velocity"][0].numpy() - np.array(STEP) / PERIOD).max() < 0.12
    for name in ("poses.txt", "times.txt"):
        lines = (folder / name).read_text().splitlines(keepends=True)
        (folder / name).write_text("".join(lines[k] for k in (1, 4, 5)))
    again = fa.open_log(NAME, tmp_path / "log")[1]
    assert torch.equal(again["ego"]["pose"], samples[1]["ego"]["pose"]) and again.ref.time == samples[1].ref.time


def test_a_batch_of_a_sequence(root: Path) -> None:
    log = fa.open_log(NAME, root)
    batch = fa.merge([log[0], log[2]])
    assert batch["velodyne"].rows == 1200
    labels = np.concatenate([read_scan(root / "sequences/00", name)[1] for name in ("000000", "000002")])
    assert np.array_equal(batch["velodyne"]["label"].numpy(), labels)


# --- wrong files -----------------------------------------------------------------------------------------------------
def edit(name: str, change: Callable[[str], str]) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(change((folder / name).read_text())) and None


def longer(folder: Path) -> None:
    path = folder / "labels/000001.label"
    path.write_bytes(path.read_bytes() + bytes(4))


def cut_row(line: int, text: str) -> Callable[[str], str]:
    def change(table: str) -> str:
        lines = table.splitlines()
        lines[line] = text
        return "\n".join(lines) + "\n"

    return change


WRONG: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "labels too many": (longer, ("labels/000001.label", "601 labels", "600 points of 000001.bin")),
    "labels of no points": (
        lambda f: (f / "labels/000001.label").write_bytes(b"abc"), ("labels/000001.label", "(3 bytes)")
    ),
    "a cloud cut off": (
        lambda f: (f / "velodyne/000001.bin").write_bytes(bytes(30)), ("velodyne/000001.bin", "truncated")
    ),
    "poses cut off": (edit("poses.txt", lambda t: t[:-40]), ("poses.txt: line 3", "expected 12 numbers")),
    "too few poses": (
        edit("poses.txt", lambda t: t[: t.index("\n") + 1]),
        ("poses.txt: holds 1 rows for 3 scans", "none for scan 000001"),
    ),
    "no poses at all": (edit("poses.txt", lambda t: ""), ("poses.txt: holds 0 rows",)),
    "words in poses": (edit("poses.txt", cut_row(1, "x " * 12)), ("poses.txt: line 2", "expected 12 numbers")),
    "NaN in poses": (edit("poses.txt", cut_row(2, "nan " * 12)), ("poses.txt: line 3", "NaN")),
    "no rotation": (edit("poses.txt", cut_row(0, "1 " * 12)), ("poses.txt: line 1", "no rotation")),
    "times back": (edit("times.txt", cut_row(2, "0.05")), ("times.txt: line 3", "must increase")),
    "times twice": (edit("times.txt", cut_row(1, "0.000000e+00")), ("times.txt: line 2", "must increase")),
    "no time": (edit("times.txt", cut_row(1, "1e999")), ("times.txt: line 2", "no time in seconds")),
    "no number": (edit("times.txt", cut_row(0, "soon")), ("times.txt: line 1", "expected 1 number")),
    "too few times": (edit("times.txt", lambda t: "0\n0.1\n"), ("times.txt: holds 2 rows",)),
    "Tr missing": (edit("calib.txt", lambda t: t.replace("Tr:", "Ts:")), ("calib.txt: row Tr is missing",)),
    "Tr of object detection": (
        edit("calib.txt", lambda t: t.replace("Tr:", "Tr_velo_to_cam:")), ("calib.txt: row Tr is missing",)
    ),
    "Tr cut off": (edit("calib.txt", lambda t: t[:-30] + "\n"), ("calib.txt: Tr: expected 12 numbers",)),
    "Tr no rotation": (
        edit("calib.txt", lambda t: t[: t.index("Tr:")] + "Tr: " + "2 " * 12), ("calib.txt: Tr: is not a rotation",)
    ),
    "no row of a camera": (edit("calib.txt", lambda t: t.replace("P3:", "Q3:")), ("calib.txt: row P3", "image_3")),
    "no calibration": (lambda f: (f / "calib.txt").unlink(), ("calib.txt: is missing",)),
    "two pictures": (
        lambda f: shutil.copy(f / "image_2/000001.png", f / "image_2/000001.jpg"), ("000001", "the same scan")
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_wrong_files_are_told_in_one_sentence(tmp_path: Path, what: str) -> None:
    folder = write_sequence(tmp_path / "log/sequences/00")
    change, parts = WRONG[what]
    change(folder)
    with pytest.raises(FUSION_ERRORS) as raised:
        sample = fa.open_log(NAME, tmp_path / "log")[1]
        sample["velodyne"]["label"].sum()
    message = str(raised.value)
    assert "\n" not in message and all(part in message for part in parts), message


def test_what_belongs_to_no_scan_is_left_out_by_name(root: Path) -> None:
    folder = root / "sequences/00"
    for name in ("voxels/000000.bin", "predictions/000000.label", "../12/calib.txt", "velodyne/notes.bin"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"")
    (root / "poses").mkdir()
    (root / "poses/00.txt").write_text("")
    shutil.copy(folder / "labels/000000.label", folder / "labels/000009.label")
    account = account_of(fa.open_log(NAME, root))
    fates = {group.name: group.fate for group in account.files if group.understood}
    for pattern in ("**/sequences/*/voxels/**", "**/sequences/*/predictions/**", "**/poses/*.txt",
                    "**/sequences/*/labels/*.label (no scan)", "a sequence without scans"):  # fmt: skip
        assert fates[pattern] == LEFT_OUT
    assert [g.name for g in account.not_understood] == ["sequences/00/velodyne/notes.bin"]
    assert len(fa.open_log(NAME, root)) == 5


def test_where_the_vehicle_was_and_will_be(tmp_path: Path) -> None:
    """``log.past`` and ``log.future`` join the poses of the sequence, without the clouds of its other scans."""
    folder = write_sequence(tmp_path / "log/sequences/00", scans=range(9), cameras=())
    for name in ("000003", "000005"):
        (folder / f"velodyne/{name}.bin").write_bytes(b"damaged")
    sample = fa.open_log(NAME, tmp_path / "log", past=0.25, future=0.25)[4]
    ways, poses = sample["waypoints"], read_poses(folder)
    wanted = np.linalg.inv(poses[4]) @ poses[2:7]
    assert np.abs(ways["pose"].numpy() - wanted).max() < 1e-6
    assert np.abs(ways["time_offset"].numpy() - PERIOD * np.arange(-2, 3)).max() < 1e-6
