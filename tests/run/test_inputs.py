"""What goes into a run and comes out of it: selections, copies, splits, formats."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import small_logs

from fusion_aug.cli import main
from fusion_aug.errors import DataError
from fusion_aug.logs import open_log
from fusion_aug.sample.manifest import read_manifest


def tree(out: Path) -> dict[str, str]:
    """Digest of every file of the same-bytes promise."""
    files = sorted(p for p in out.rglob("*") if p.is_file() and p.stem != "run")
    return {str(p.relative_to(out)): hashlib.blake2b(p.read_bytes()).hexdigest() for p in files}


def words(root: Path, out: Path, *more: str, log: str = "nuscenes") -> list[str]:
    return ["run", f"log={log}", f"log.root={root}", "pipeline=driving", "seed=3", f"out={out}", *more]


def copy_frame(real_data: Path, root: Path, *names: str) -> Path:
    """A KITTI tree that holds the real frame under several names."""
    for name in names:
        for folder, suffix in (("calib", ".txt"), ("velodyne", ".bin"), ("image_2", ".png"), ("label_2", ".txt")):
            target = root / "training" / folder / f"{name}{suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(real_data / f"kitti/training/{folder}/000008{suffix}", target)
    return root


def test_copies_that_would_collide_are_refused(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Copies of copies: an id may not be given twice."""
    root = real_data / "kitti"
    first = ["run", "log=kitti", f"log.root={root}", "pipeline=identity", "copies=2", f"out={tmp_path / 'a'}"]
    assert main(first) == 0
    again = ["run", "log=kitti", f"log.root={tmp_path / 'a'}", "pipeline=identity", "copies=2", f"out={tmp_path / 'b'}"]
    assert main(again) == 2
    assert "training/000008__1" in capsys.readouterr().err and not (tmp_path / "b").exists()
    assert main([*again, "log.select=training/000008"]) == 0


def test_another_input_is_another_job(street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, other = tmp_path / "out", tmp_path / "other"
    assert main(words(street, out, "limit=1")) == 0
    shutil.copytree(street, other)
    assert main(words(other, out, "limit=1")) == 2
    assert "another job" in capsys.readouterr().err
    mine = tmp_path / "mine"
    assert main(words(other, mine, "limit=1")) == 0
    table = other / "v1.0-mini/sample_annotation.json"
    table.write_text(table.read_text() + "\n")
    assert main(words(other, mine, "limit=1")) == 2


def begun(root: Path, out: Path) -> list[str]:
    """Words of a run over a KITTI tree of which the first half is there."""
    command = ["run", "log=kitti", f"log.root={root}", "pipeline=identity", f"out={out}"]
    assert main([*command, "shard=1/2"]) == 0
    return command


@pytest.mark.parametrize("added", [True, False])
def test_a_file_that_makes_it_another_job_is_named(
    tmp_path: Path, added: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """One more frame, or a cloud from which follows another scale of the intensities."""
    root, out = small_logs.kitti(tmp_path / "log"), tmp_path / "out"
    command, cloud = begun(root, out), root / "training/velodyne/000001.bin"
    if added:
        shutil.copyfile(cloud, cloud.with_stem("000002"))
    else:
        (np.fromfile(cloud, "<f4") * 200).astype("<f4").tofile(cloud)
    said = "000002.bin is new" if added else "000001.bin was changed"
    for words in (command, ["merge", str(out)]):
        assert main(words) == 2
        told = capsys.readouterr().err
        assert f"training/velodyne/{said} since it began" in told and len(told.splitlines()) == 1
    assert not (out / "run.json").exists()
    assert main([*command, "seed=9"]) == 2
    assert "of another input" in capsys.readouterr().err, "and where both differ the file is named first"


def test_files_with_their_old_date_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, out = small_logs.kitti(tmp_path / "log"), tmp_path / "out"
    command = begun(root, out)
    (root / "training/calib/000001.txt").chmod(0o600)
    assert main(command) == 0
    notes = json.loads((out / "run.json").read_text())["notes"]
    assert len(notes) == 1 and "1 files, first training/calib/000001.txt" in notes[0]
    assert " ".join(notes[0].split()) in " ".join(capsys.readouterr().out.split())


def test_chains_lead_past_what_was_not_written(street: Path, tmp_path: Path) -> None:
    import fusion_aug as fa

    ids = fa.open_log("nuscenes", street).ids
    out = tmp_path / "out"
    assert main([*words(street, out), f"log.select=[{ids[0]},{ids[2]},{ids[4]}]"]) == 0
    assert list(fa.open_log("nuscenes", out).ids) == [ids[0], ids[2], ids[4]]
    assert main(["check", str(out)]) == 0


def test_splits_follow_the_source(real_data: Path, tmp_path: Path) -> None:
    """Frames whose own names look like copies stay in their split; copies join their source's."""
    root = copy_frame(real_data, tmp_path / "kitti", "drive__1", "drive")
    (root / "ImageSets").mkdir()
    (root / "ImageSets/train.txt").write_text("drive\n")
    (root / "ImageSets/val.txt").write_text("drive__1\n")
    base = ["run", "log=kitti", f"log.root={root}", "pipeline=identity"]
    assert main([*base, f"out={tmp_path / 'a'}"]) == 0
    assert (tmp_path / "a/ImageSets/train.txt").read_text() == "drive\n"
    assert (tmp_path / "a/ImageSets/val.txt").read_text() == "drive__1\n"
    assert main([*base, f"out={tmp_path / 'b'}", "log.select=val", "copies=2"]) == 0
    assert (tmp_path / "b/ImageSets/val.txt").read_text() == "drive__1\ndrive__1__1\n"
    for kind in ("calib", "label_2"):
        source = root / f"training/{kind}/drive.txt"
        assert (tmp_path / f"a/training/{kind}/drive.txt").read_bytes() == source.read_bytes(), "nothing changed"


def test_output_in_our_own_format(street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    perspective = "+pipeline.transforms.p={_target_:fusion_aug.PerspectiveImage,strength:0.05}"
    assert main(words(street, out, "output=folder", "limit=2", perspective)) == 0, "our format holds a perspective"
    assert main(["check", str(out)]) == 0
    entry = read_manifest(out).entries[1]
    assert main(["replay", str(out), entry.id]) == 0
    assert "agrees" in capsys.readouterr().out
    assert main(["run", "log=folder", f"log.root={out}", "pipeline=geometry", f"out={tmp_path / 'more'}"]) == 0
    assert main(["check", str(tmp_path / "more")]) == 0
    assert main(["show", str(out), f"out={tmp_path / 'a.png'}"]) == 0


def test_a_lossy_output_records_the_residual(real_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["run", "log=kitti", f"log.root={real_data / 'kitti'}", "pipeline=geometry", f"out={out}", "lossy=true"]
    assert main([*command, "+pipeline.transforms.yaw.roll_deg=5"]) == 0
    line = json.loads((out / "manifest.jsonl").read_text().splitlines()[1])
    # the camera of the source is itself tilted by about a degree against the velodyne
    assert 4.0 < line["residual"]["box_tilt_deg"] < 6.5
    assert line["residual"]["distortion_px"] < 1e-6


def test_a_lost_label_is_found(real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["run", "log=kitti", f"log.root={real_data / 'kitti'}", "pipeline=geometry", f"out={out}"]) == 0
    labels = out / "training/label_2/000008.txt"
    labels.write_text("\n".join(labels.read_text().splitlines()[1:]) + "\n")
    assert main(["check", str(out)]) == 1
    assert any(x.startswith("files changed") and "FAIL" in x for x in capsys.readouterr().out.splitlines())
    (out / "training/calib/000008.txt").unlink()
    assert main(["check", str(out)]) == 1
    assert "000008.txt" in capsys.readouterr().out
    assert main(["check", str(out), "log.select=nobody"]) == 2


def test_skipping_can_be_decided_later(street: Path, tmp_path: Path) -> None:
    log = Path(shutil.copytree(street, tmp_path / "log"))
    bad = sorted((log / "samples/LIDAR_TOP").iterdir())[2]
    bad.write_bytes(bad.read_bytes()[:77])
    out = tmp_path / "out"
    assert main(words(log, out)) == 2
    assert main(words(log, out, "on_error=skip")) == 0
    assert len(read_manifest(out).entries) == 4
    assert main(["check", str(out)]) == 0


def test_draws_per_sensor_stay_per_sensor_in_a_scene(street: Path, tmp_path: Path) -> None:
    """nuScenes keeps calibration per scene: one draw per scene and camera, for mountings too."""
    out = tmp_path / "out"
    zoom = "+pipeline.transforms.z={_target_:fusion_aug.ResizeCrop,scale:[1.0,1.5],scope:sensor}"
    wrong = "+pipeline.transforms.m={_target_:fusion_aug.Miscalibrate,sensors:['CAM*'],z_deg:[-2,2]}"
    command = [w for w in words(street, out) if not w.startswith("pipeline")]
    assert main([*command, "pipeline=identity", zoom, wrong]) == 0
    mounted = json.loads((out / "v1.0-mini/calibrated_sensor.json").read_text())
    assert len(mounted) == 10, "one record per sensor of the scene"
    focal = {m["camera_intrinsic"][0][0] for m in mounted if m["camera_intrinsic"]}
    assert len(focal) == 6
    entries = read_manifest(out).entries
    for path in ("z", "m"):
        drawn = [next(r.params for r in e.history if r.path == path) for e in entries]
        assert all(d == drawn[0] for d in drawn) and len({str(p) for p in drawn[0].values()}) > 2


def test_a_first_sample_that_cannot_be_read_is_skipped_too(real_data: Path, tmp_path: Path) -> None:
    root = copy_frame(real_data, tmp_path / "kitti", "000007", "000008")
    (root / "training/calib/000007.txt").write_text("P0: 1 2 3\n")
    command = ["run", "log=kitti", f"log.root={root}", "pipeline=driving", f"out={tmp_path / 'out'}"]
    assert main(command) == 2
    assert main([*command, "on_error=skip"]) == 0
    assert [e.source for e in read_manifest(tmp_path / "out").entries] == ["training/000008"]


@pytest.mark.parametrize(
    "word, hint",
    [
        ("+ouput=folder", "did you mean output"), ("+pipeline.yaw=5", "did you mean yaw_deg"),
        ("pipeline.yaw=5", "no such key"), ("output=kitti3", "is no format; samples of any log are written as"),
    ],
)  # fmt: skip
def test_mistyped_options_are_refused(
    street: Path, tmp_path: Path, word: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["run", "log=nuscenes", f"log.root={street}", "pipeline=geometry", f"out={tmp_path / 'o'}", word]
    assert main(command) == 2
    assert re.search(hint, capsys.readouterr().err) and not (tmp_path / "o").exists()


def test_what_finds_nothing_to_act_on_is_named(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "log=kitti", f"log.root={real_data / 'kitti'}", "pipeline=[radar,photometric]"]
    assert main([*words, f"out={tmp_path / 'o'}"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "nothing for these to act on: rcs, radar_noise, radar_missed, radar_ghosts, radar_clutter" in printed


def test_a_root_one_level_too_deep_points_up(real_data: Path, street: Path) -> None:
    with pytest.raises(DataError, match="give the folder above"):
        open_log("kitti", real_data / "kitti" / "training").ids  # noqa: B018
    with pytest.raises(DataError, match="give the folder above"):
        open_log("nuscenes", street / "v1.0-mini").ids  # noqa: B018
