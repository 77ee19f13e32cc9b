"""``Gate``: good pictures pass, moved, mirrored and altered ones do not, and what was not calibrated never passes."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from networks import write_translator
from places import DRIVE

import fusion_aug as fa
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.ops.orientation import edges_of, local_shifts
from fusion_aug.transforms.generative.gate_figures import FIGURES, figures_of
from fusion_aug.transforms.generative.shown_objects import boxes_in

DOT = np.ones((1, 1))
CAMERAS = ("CAM_FRONT", "CAM_BACK", "CAM_FRONT_LEFT", "CAM_BACK_RIGHT", "CAM_BACK_LEFT", "CAM_FRONT_RIGHT")


def dusk(picture: np.ndarray) -> np.ndarray:
    """Darker, greyer, redder."""
    grey = picture.mean(-1, keepdims=True)
    return np.clip((0.5 * picture + 0.3 * grey) * [0.8, 0.6, 0.55], 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def pictures() -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    log = fa.open_log("nuscenes", DRIVE)
    out = []
    for place in range(6):
        for name in CAMERAS:
            picture = log[place][name].image(0).numpy()  # type: ignore[attr-defined]
            out.append((picture, dusk(picture), boxes_in(log[place], name, 0)))
    return out


@pytest.fixture(scope="module")
def gate(pictures: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> fa.Gate:
    return fa.Gate.calibrated(pictures[:30], "dusk")


def moved(picture: np.ndarray, dx: float, dy: float) -> np.ndarray:
    return cv2.warpAffine(
        picture, np.array([[1, 0, dx], [0, 1, dy]]), picture.shape[1::-1], borderMode=cv2.BORDER_REFLECT
    )


@pytest.mark.parametrize("shift", [(0.0, 0.0), (3.0, -2.0), (-5.4, 1.3), (0.5, 11.0)])
def test_shifts_are_measured(
    pictures: list[tuple[np.ndarray, np.ndarray, np.ndarray]], shift: tuple[float, float]
) -> None:
    before = pictures[0][0]
    found = local_shifts(edges_of(before), edges_of(moved(dusk(before), *shift)), 66, 12)
    rich = found.weight > np.median(found.weight)
    assert np.abs(np.median(found.shift[rich], 0) - shift).max() < 0.3
    assert found.peak[rich].mean() > 0.6


def test_it_knows_good_from_moved_mirrored_and_altered(
    pictures: list[tuple[np.ndarray, np.ndarray, np.ndarray]], gate: fa.Gate
) -> None:
    judged = {"removed": 0, "looked for": 0}
    for before, after, boxes in pictures[30:]:
        good = gate.judged(before, after, boxes, "dusk")
        assert good.word == "passed" and not good.beyond and set(good.figures) == set(FIGURES)
        assert gate.judged(before, moved(after, 1.6, -1.3), boxes, "dusk").word == "failed"
        assert "agreement" in gate.judged(before, after[:, ::-1].copy(), boxes, "dusk").beyond
        alone = np.ascontiguousarray(after)
        for left, top, right, bottom in boxes.round().astype(int):
            if min(right - left, bottom - top) >= 24:
                mask = np.zeros(after.shape[:2], np.uint8)
                mask[top : bottom + 1, left : right + 1] = 255
                said = gate.judged(before, cv2.inpaint(alone, mask, 3, cv2.INPAINT_TELEA), boxes, "dusk")
                judged["removed"] += "kept" in said.beyond
                judged["looked for"] += 1
        strange = alone.copy()
        strange[200:240, 300:360] = np.random.default_rng(0).integers(0, 256, (10, 15, 3)).repeat(4, 0).repeat(4, 1)
        assert "new" in gate.judged(before, strange, boxes, "dusk").beyond
    assert judged["looked for"] >= 3 and judged["removed"] == judged["looked for"]


def test_boxes_are_where_the_projection_of_their_corners_is() -> None:
    sample = fa.open_log("nuscenes", DRIVE)[4]
    boxes, rig = sample["boxes"].realized(), sample.rig
    for name in CAMERAS[:3]:
        sensor, T = rig.camera(name), np.linalg.inv(sample.T_ref(name, 0).numpy())
        found = boxes_in(sample, name, 0)
        assert len(found) or name != "CAM_FRONT"
        time = int(sample[name].capture_times[0])
        wanted = []
        for pose, size in zip(boxes.poses_at(0, time).numpy(), boxes["size"].numpy(), strict=True):
            corners = np.array([[x, y, z, 1] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
            seen = (T @ pose @ (corners * [*size, 1]).T)[:3]
            pixel = (sensor.A @ sensor.model.K).numpy() @ (seen / seen[2])
            wanted.append([*pixel[:2].min(1), *pixel[:2].max(1)])
        assert all(np.abs(np.array(wanted) - box).max(1).min() < 0.01 for box in found)


def test_what_was_not_calibrated_never_passes(
    pictures: list[tuple[np.ndarray, np.ndarray, np.ndarray]], gate: fa.Gate
) -> None:
    before = pictures[0][0]
    assert gate.judged(before, before, None, "snow").word == "uncalibrated"
    with pytest.raises(DataError, match=r"Gate: snow: calibration takes 30 good pictures at least, got 29"):
        fa.Gate.calibrated(pictures[:29], "snow")
    with pytest.raises(DataError, match=r"expected two pictures of one size"):
        figures_of(before, before[:-1])


def test_files(tmp_path: Path, gate: fa.Gate) -> None:
    path = tmp_path / "dusk.json"
    gate.save(path)
    again = fa.Gate.from_config(str(path))
    assert again == gate and again.to_config() == str(path)
    both = again | fa.Gate({"day": gate.limits["dusk"]}, {"day": 40})
    assert set(both.limits) == {"dusk", "day"} and fa.Gate.from_config(both.recorded()) == both
    stored = json.loads(path.read_text())
    del stored["limits"]["dusk"]["new"]
    path.write_text(json.dumps(stored))
    with pytest.raises(ConfigError, match=r"style 'dusk': expected a finite limit for agreement, moved"):
        fa.Gate.from_config(path)
    for text in ("", "[]", "{}", '{"limits": 3, "counted": {}}', "\x80\x04K\x01."):
        path.write_text(text, encoding="latin-1")
        with pytest.raises(ConfigError, match=r"Gate: "):
            fa.Gate.from_config(path)


def test_stylize_keeps_what_the_gate_refuses(tmp_path: Path, gate: fa.Gate) -> None:
    sample = fa.open_log("nuscenes", DRIVE)[8]
    calm = write_translator(tmp_path / "calm.onnx", DOT * 0.6)
    kernel = np.zeros((9, 9))
    kernel[4, 8] = 0.6  # the picture moves by four pixels
    moving, words = write_translator(tmp_path / "moving.onnx", kernel), {"gate": gate.recorded(), "style": "dusk"}
    out = fa.Stylize(model=calm, **words)(sample, seed=1)
    params = out.history[0].params[""]
    assert {one["verdict"] for one in params["judged"].values()} == {"passed"} and not params["kept"]
    assert out["CAM_FRONT"].image(0).float().mean() < 0.7 * sample["CAM_FRONT"].image(0).float().mean()  # type: ignore[attr-defined]
    kept = fa.Stylize(model=moving, redraws=2, **words)(sample, seed=1)
    params = kept.history[0].params[""]
    assert "moved" in params["judged"]["CAM_FRONT[0]"]["beyond"] and params["kept"] and params["redraws"] == 2
    assert all(kept[n].image(0).equal(sample[n].image(0)) for n in CAMERAS)  # type: ignore[attr-defined]
    assert json.loads(json.dumps(params)) == params and fa.replay(sample, kept.history)["CAM_BACK"].image(0).shape
    unknown = fa.Stylize(model=calm, gate=gate.recorded(), style="noon")(sample, seed=1)
    assert {one["verdict"] for one in unknown.history[0].params[""]["judged"].values()} == {"uncalibrated"}
    assert unknown["CAM_FRONT"].image(0).equal(sample["CAM_FRONT"].image(0))  # type: ignore[attr-defined]
