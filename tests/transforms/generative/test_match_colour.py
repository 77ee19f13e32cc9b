"""``MatchColour``: means and covariances of the other pictures, by a map that is the published one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from places import DRIVE
from scipy.linalg import sqrtm

import fusion_aug as fa
from fusion_aug.errors import ConfigError
from fusion_aug.physics.colour_match import moved_colours

RNG = np.random.default_rng(3)
NUMBERS = fa.MatchColour.example["like"]


def covariance(spread: float) -> np.ndarray:
    root = RNG.normal(size=(3, 3)) * spread
    return root @ root.T + 1e-3 * np.eye(3)


def test_it_is_the_optimal_transport_of_normal_colours() -> None:
    was, becomes = covariance(0.2), covariance(0.1)
    matrix, shift = moved_colours([0.4, 0.5, 0.6], was, [0.2, 0.3, 0.1], becomes)
    half = np.real(sqrtm(was))
    wanted = np.linalg.inv(half) @ np.real(sqrtm(half @ becomes @ half)) @ np.linalg.inv(half)
    assert np.abs(matrix - wanted).max() < 2e-3 * np.abs(wanted).max()  # but for the least variance
    assert np.abs(matrix @ was @ matrix.T - becomes).max() < 1e-4
    assert np.allclose(matrix @ [0.4, 0.5, 0.6] + shift, [0.2, 0.3, 0.1])


def folder(path: Path, mean: Any, spread: float, count: int = 3) -> Path:
    path.mkdir()
    for i in range(count):
        noise = RNG.normal(size=(60, 80, 3)) @ (np.diag([1, 0.7, 0.5]) * spread)
        cv2.imwrite(
            str(path / f"{i}.png"), np.clip((np.array(mean) + noise) * 255, 0, 255).round().astype(np.uint8)[..., ::-1]
        )
    return path


def test_a_log_gets_the_colours_of_a_folder(tmp_path: Path) -> None:
    own, like = folder(tmp_path / "own", [0.5, 0.5, 0.5], 0.1), folder(tmp_path / "like", [0.3, 0.4, 0.6], 0.05)
    pipeline = fa.MatchColour(pictures=str(own), like=str(like))
    sample = fa.open_log("nuscenes", DRIVE)[0]
    picture = cv2.resize(cv2.imread(str(own / "1.png")), (704, 396), interpolation=cv2.INTER_NEAREST)
    given = torch.from_numpy(picture[..., ::-1].copy())
    stream = sample["CAM_FRONT"]
    camera = type(stream)(frame=stream.frame, capture_times=stream.capture_times, items=(given,))
    sample = sample.with_streams({"CAM_FRONT": camera})
    out = pipeline(sample, seed=1)
    found = out["CAM_FRONT"].image(0).reshape(-1, 3).double().numpy() / 255
    assert np.abs(found.mean(0) - [0.3, 0.4, 0.6]).max() < 0.01
    assert np.abs(found.std(0) - [0.05, 0.035, 0.025]).max() < 0.004
    again = fa.replay(sample, out.history)
    assert torch.equal(again["CAM_FRONT"].image(0), out["CAM_FRONT"].image(0))
    config = pipeline.to_config()
    assert (
        config["pictures"] == str(own) and fa.MatchColour(pictures=config["pictures"], like=config["like"]) == pipeline
    )


@pytest.mark.parametrize(("value", "text"), [
    ({"mean": [0.1, 0.2], "covariance": NUMBERS["covariance"]}, r"MatchColour\.like\.mean: expected 3 numbers, got"),
    ({"mean": NUMBERS["mean"], "covariance": [[0, 1, 0], [0, 0, 0], [0, 0, 0]]}, r"is no covariance"),
    ({"mean": "grey", "covariance": 3}, r"like\.mean: expected 3 numbers, got 'grey'"),
    ({"mean": NUMBERS["mean"]}, r"expected a folder, or a mapping of mean and covariance, got \['mean'\]"),
    ("nowhere", r"there is no folder 'nowhere'"),
])  # fmt: skip
def test_wrong_colours(value: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        fa.MatchColour(pictures=NUMBERS, like=value)


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    bad = folder(tmp_path / "bad", [0.5, 0.5, 0.5], 0.1)
    (bad / "1.png").write_bytes(b"no picture")
    with pytest.raises(ConfigError, match=r"MatchColour\.like: .*1\.png"):
        fa.MatchColour(pictures=NUMBERS, like=str(bad))
