"""A vector of data sets whose numbers are taxels on several links, told by rows of the sensors of the rig file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import policy_logs as made
import pytest
import yaml
from written import run

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.streams import Taxels

FRAMES = 20
RIG = {
    "frames": {"base": {}, **{f"finger_{s}": {"parent": "base", "translation": [0.3, y, 0.1]}
                              for s, y in (("left", 0.02), ("right", -0.02))}},
    "sensors": {f"touch:{s}": {"kind": "taxels", "frame": f"finger_{s}", "rows": [4 * k, 4 * k + 4],
                               "mirror_of": f"touch:{o}",
                               "poses": [[0.01 * i, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0] for i in range(4)]}
                for k, (s, o) in enumerate((("left", "right"), ("right", "left")))},
}  # fmt: skip


def forces(width: int = 8) -> np.ndarray:
    return (np.arange(width) + np.sin(np.arange(FRAMES) / 5)[:, None] + 2).astype(np.float32)


def words(tmp_path: Path, width: int = 8) -> list[str]:
    features: Any = {"observation.state": (["j1", "j2"], [np.zeros((FRAMES, 2), np.float32)]),
                     "observation.touch": (None, [forces(width)])}  # fmt: skip
    root = made.lerobot(tmp_path / "log", features)
    (tmp_path / "rig.yaml").write_text(yaml.safe_dump(RIG, default_flow_style=None))
    return ["log=lerobot", f"log.root={root}", f"log.rig={tmp_path / 'rig.yaml'}", "pipeline=identity"]


@pytest.mark.parametrize(("transform", "columns"), [
    ("", [*range(8)]),
    ("{_target_: fusion_aug.MirrorScene, axis: y, p: 1.0}", [4, 5, 6, 7, 0, 1, 2, 3]),
])  # fmt: skip
def test_parts_of_a_vector_are_taxels_on_their_links(tmp_path: Path, transform: str, columns: list[int]) -> None:
    more = [f"+pipeline.transforms.m={transform}"] if transform else []
    out = run(tmp_path / "out", *words(tmp_path), "log.exclude=[observation.state]", *more)
    assert np.array_equal(made.rows(out, "observation.touch"), forces()[:, columns])
    assert main(["check", str(out)]) == 0


def test_numbers_of_no_sensor_keep_their_place(tmp_path: Path) -> None:
    told = words(tmp_path, 10)
    sample = fa.open_log("lerobot", tmp_path / "log", rig=str(tmp_path / "rig.yaml"))[0]
    assert {n: s["force"].shape[1] for n, s in sample.of_type(Taxels).items()} == {"touch:left": 4, "touch:right": 4}
    assert np.array_equal(sample["touch"]["value"].numpy(), forces(10)[:, 8:])
    out = run(tmp_path / "out", *told, "+pipeline.transforms.d={_target_: fusion_aug.TaxelDropout, share: 0.5}")
    after = made.rows(out, "observation.touch")
    dead = (after == 0).all(0)
    assert dead[:8].any() and np.array_equal(after[:, ~dead], forces(10)[:, ~dead])
    assert main(["check", str(out)]) == 0
