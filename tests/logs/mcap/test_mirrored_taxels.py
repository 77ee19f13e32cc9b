"""Which number of a skin's message gets which force in a mirror: by the places of the taxels, in numpy alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bags
import numpy as np
import pytest
import test_taxels_of_many_links as skins
import yaml

import fusion_aug as fa
from calib.errors import CalibrationError
from fusion_aug.cli import main
from fusion_aug.errors import ConfigError, DataError, Obstacle
from fusion_aug.run.scope import check_names

pytest.importorskip("mcap")
FINGERS = ("left", "right")
BARE = {side: {"mirror_of": None} for side in FINGERS}


def mirror(axis: str = "y") -> str:
    return f"{{_target_: fusion_aug.MirrorScene, axis: {axis}, p: 1.0}}"


def where(poses: list[list[float]]) -> np.ndarray:
    return np.array([p[:3] for p in poses])


def columns(**changed: dict[str, Any]) -> list[int]:
    """For every number of the message the one that it becomes in a mirror: that whose taxel lies at its mirror image.

    The frames of both fingers and of the hand have their axes alike, so a mirror of the arm reverses y in each.
    """
    told, out = skins.sensors(**changed), {}
    for a, b in (("left", "right"), ("right", "left"), ("palm", "palm")):
        old, new = told[f"hand/touch:{a}"], told[f"hand/touch:{b}"]
        images = where(old["poses"]) * [1, -1, 1]
        for k, place in enumerate(where(new["poses"])):
            far = np.linalg.norm(images - place, axis=1)
            assert far.min() < 1e-9
            out[new["rows"][0] + k] = old["rows"][0] + int(far.argmin())
    return [out[k] for k in range(len(out))]


def mirrored(folder: Path, log: Path, axis: str = "y") -> np.ndarray:
    return skins.numbers(skins.run(log, folder, mirror(axis)))


@pytest.mark.parametrize("axis", ["y", "x"])
@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]])
def test_forces_come_to_the_taxel_at_the_mirror_image(tmp_path: Path, order: list[int], axis: str) -> None:
    changed = {"right": {"poses": [skins.pad(1)[k] for k in order]}}
    after = mirrored(tmp_path / "out", skins.skin(tmp_path, skins.table(), **changed), axis)
    assert np.array_equal(after, skins.table()[:, columns(**changed)])
    assert columns(**changed)[4:8] == order  # another order of the right finger is another order of its numbers


UNEQUAL = {"right": {"poses": [skins.pad(1)[k] for k in (2, 0, 3, 1)]}}


@pytest.mark.parametrize("between", [None, fa.ScaleScene(scale=1.5), fa.MirrorScene(axis="x", p=1.0)])
def test_a_second_mirror_brings_every_force_back(tmp_path: Path, between: fa.Transform | None) -> None:
    sample = bags.open_recording(skins.skin(tmp_path, skins.table(), **UNEQUAL))[0]
    first, last = fa.MirrorScene(axis="y", p=1.0), fa.MirrorScene(axis="y", p=1.0)
    steps = [first, last] if between is None else [first, between, last]
    made = fa.Compose(steps)(sample, seed=0)
    one_by_one = sample
    for step in steps:
        one_by_one = fa.Compose([step])(one_by_one, seed=0)
    force = np.concatenate([made[f"hand/touch:{n}"]["force"] for n in (*FINGERS, "palm")], 1)
    even = not isinstance(between, fa.MirrorScene)  # of the mirrors, of which each takes the robot to the other side
    assert np.array_equal(force, skins.table() if even else skins.table()[:, columns(**UNEQUAL)])
    for name in ("left", "right", "palm"):
        a, b = (s[f"hand/touch:{name}"] for s in (made, one_by_one))
        assert np.array_equal(a["force"], b["force"]) and (a.poses - b.poses).abs().max() < 1e-9  # type: ignore[attr-defined]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_mirrors_are_undone(tmp_path: Path, count: int) -> None:
    sample = bags.open_recording(skins.skin(tmp_path, skins.table(), **UNEQUAL))[0]
    made = fa.Compose([fa.MirrorScene(axis="yxy"[k], p=1.0) for k in range(count)])(sample, seed=0)
    for name, other in (("left", "right"), ("right", "left"), ("palm", "palm")):
        new = f"hand/touch:{other if count % 2 else name}"
        undone, source = fa.invert(made[new], made.history, name=new), sample[f"hand/touch:{name}"]
        assert undone.frame == source.frame and np.array_equal(undone["force"], source["force"])
        assert (undone.poses - source.poses).abs().max() < 1e-9  # type: ignore[attr-defined]


@pytest.mark.parametrize("axis", ["y", "x"])
def test_sides_in_names_are_partners_on_links_that_swap(tmp_path: Path, axis: str) -> None:
    after = mirrored(tmp_path / "out", skins.skin(tmp_path, skins.table(), **BARE), axis)
    assert np.array_equal(after, skins.table()[:, columns()])


def test_two_pads_of_one_link_are_partners(tmp_path: Path) -> None:
    log = skins.skin(tmp_path, skins.table(10), palm={"rows": [8, 10], "poses": [[0.03, 0, 0, 1, 0, 0, 0]] * 2})
    rig = yaml.safe_load((tmp_path / "rig.yaml").read_text())
    del rig["sensors"]["hand/touch:palm"]
    for k, (side, y) in enumerate((("left", 0.015), ("right", -0.015))):
        pose = [0.05, y, 0, 1.0, 0, 0, 0]
        rig["sensors"][f"hand/touch:palm_{side}"] = {
            "kind": "taxels", "frame": "hand", "rows": [8 + k, 9 + k], "poses": [pose]
        }  # fmt: skip
    (tmp_path / "rig.yaml").write_text(yaml.safe_dump(rig))
    assert np.array_equal(mirrored(tmp_path / "out", log), skins.table(10)[:, [4, 5, 6, 7, 0, 1, 2, 3, 9, 8]])


def test_a_pad_that_is_no_mirror_image_of_itself_keeps_its_rows(tmp_path: Path) -> None:
    places = [[0.03, y, 0, 1.0, 0, 0, 0] for y in (-0.01, 0.0, 0.013)]
    log = skins.skin(tmp_path, skins.table(), palm={"poses": places})
    out = skins.run(log, tmp_path / "out", mirror())
    assert np.array_equal(skins.numbers(out)[:, skins.PALM], skins.table()[:, skins.PALM])
    moved = fa.open_log("mcap", out, rig=str(tmp_path / "rig.yaml"))[0]["hand/touch:palm"].poses  # type: ignore[attr-defined]
    assert np.abs(moved[0, :, 1, 3].numpy() + where(places)[:, 1]).max() < 1e-6


@pytest.mark.parametrize("change", [[0.001, 0, 0], [0, 0.0006, 0]])
def test_partners_with_other_places_are_refused(tmp_path: Path, change: list[float]) -> None:
    poses = skins.pad(1)
    poses[2][:3] = [x + d for x, d in zip(poses[2], change, strict=False)]
    sample = bags.open_recording(skins.skin(tmp_path, skins.table(), right={"poses": poses}))[0]
    with pytest.raises(DataError, match=r"sensors.hand/touch:left.poses: a mirror brings none of its taxels to 1 of "
                       r"the 4 of 'hand/touch:right' within 0.5 mm .*taxel 2 .*rig file \(log.rig\)"):  # fmt: skip
        fa.MirrorScene(axis="y", p=1.0)(sample, seed=0)


def test_the_name_of_a_part_is_refused_where_it_would_select_nothing(tmp_path: Path) -> None:
    sample = bags.open_recording(skins.skin(tmp_path, skins.table()))[0]
    made = (fa.Latency(delay=0.1, sensors=["hand/touch:left"]), fa.Jitter(sigma=0.1, sensors=["hand/touch:*"]),
            fa.DropFrames(share=0.5, sensors=["hand/touch:palm"]), fa.TemporalMask(sensors=["hand/touch:left"]),
            fa.ClockOffset(offset=0.1, sensors=["hand/touch:left"]),
            fa.ModalityDropout(sensors=["hand/touch:left"]))  # fmt: skip
    for transform in made:
        with pytest.raises(ConfigError, match=r"sensors: 'hand/touch:.*' selects nothing, since 'hand/touch:.*' comes "
                           r"with 'hand/touch' .*; write hand/touch$"):  # fmt: skip
            check_names(transform, sample)
    check_names(fa.Latency(delay=0.1, sensors=["hand/touch", "camera_*"]), sample)
    check_names(fa.KinematicNoise(hand_eye=0.001, sensors=["hand/touch:left"]), sample)  # that one moves the pad alone


def test_misspelled_sensors_are_named_where_the_numbers_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = skins.skin(tmp_path, skins.table())
    path = tmp_path / "rig.yaml"
    path.write_text(path.read_text().replace("hand/touch:", "hand/tuch:"))
    with pytest.raises(Obstacle, match=r"has rows of hand/tuch:left, hand/tuch:right, hand/tuch:palm, but no "
                       r"message of that name.*call the sensors with these rows hand/touch:PART"):  # fmt: skip
        fa.MirrorScene(axis="y", p=1.0)(bags.open_recording(log)[0], seed=0)
    words = ["inspect", "log=mcap", f"log.root={log}", f"log.rig={path}"]
    assert main(words) == 0 and "everything is understood" not in capsys.readouterr().out
    path.write_text(path.read_text().replace("hand/tuch:", "hand/touch:"))
    assert main(words) == 0 and "everything is understood" in capsys.readouterr().out


def test_names_of_sensors_may_begin_with_the_slash_of_their_topic(tmp_path: Path) -> None:
    log = skins.skin(tmp_path, skins.table())
    path = tmp_path / "rig.yaml"
    path.write_text(path.read_text().replace("hand/touch:", "/hand/touch:"))
    assert np.array_equal(mirrored(tmp_path / "out", log), skins.table()[:, columns()])
    rig = yaml.safe_load(path.read_text())
    rig["sensors"]["hand/touch:left"] = rig["sensors"]["/hand/touch:left"]
    path.write_text(yaml.safe_dump(rig))
    with pytest.raises(ConfigError, match=r"rig.yaml: sensors.*hand/touch:left: is listed twice"):
        bags.open_recording(log)[0]


def test_an_unknown_frame_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    log = skins.skin(tmp_path, skins.table(), left={"frame": "finger_lft"})
    with pytest.raises(CalibrationError, match=r"there is no frame 'finger_lft' \(there are finger_left, "):
        bags.open_recording(log)[0]
