"""A mixed keyframe of nuScenes is a scene of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from devkit_rules import DevkitLog
from written import manifest

import fusion_aug as fa
from fusion_aug.cli import main

MIX = '''
"""A mix of a user's own: half of the donor's boxes and points, where they stand in its own frame."""

from dataclasses import dataclass

import torch

import fusion_aug as fa
from fusion_aug.core.mixing.transform import MixTransform, new_instance


@dataclass(frozen=True, kw_only=True)
class TakeBoxes(MixTransform):
    def plan(self, rng, sample, donor):
        return {}

    @classmethod
    def mixed(cls, sample, donor, params):
        mine, other = sample.boxes(), donor.boxes()
        other = other.select(torch.arange(other.rows) % 2 == 0)
        other = other.with_values(
            instance=fa.strings(new_instance(donor.id, i) for i in other["instance"]),
            record=fa.strings([""] * other.rows),
        )
        values = {
            n: torch.cat([v, other[n]]) if isinstance(v, torch.Tensor) else fa.strings([*v, *other[n]])
            for n, v in mine.values.items()
        }
        return sample.with_streams({**sample.streams, "boxes": mine.repacked([values])})
'''
TARGET = "+pipeline.transforms.mix={_target_: mixing_of_boxes.TakeBoxes, p: 0.6}"


@pytest.fixture
def words(plugins: Path) -> list[str]:
    (plugins / "mixing_of_boxes.py").write_text(MIX)
    return ["plugins=[mixing_of_boxes]"]


def test_mixed_keyframes_are_scenes_that_the_devkit_reads(
    words: list[str], street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["log=nuscenes", f"log.root={street}", "pipeline=identity", TARGET, "donors=self", *words]
    assert main(["run", *asked, f"out={tmp_path / 'out'}", "copies=2", "limit=3"]) == 0
    lines = manifest(tmp_path / "out")
    mixed = {line["id"] for line in lines if line["history"][-1]["applied"]}
    assert 0 < len(mixed) < len(lines) == 6
    log = DevkitLog(tmp_path / "out")
    rest = {line["copy"] for line in lines if line["id"] not in mixed}
    assert len(log.t["scene"]) == len(mixed) + len(rest) and len(log.samples()) == 6
    source = fa.open_log("nuscenes", street)
    written = fa.open_log("nuscenes", tmp_path / "out")
    for line in lines:
        after, before = written.read(log_id(tmp_path / "out", line["id"])), source.read(line["source"])
        if line["id"] in mixed:
            donor = source.read(line["history"][-1]["params"][""]["donor"])
            assert after.boxes().rows == before.boxes().rows + (donor.boxes().rows + 1) // 2
            assert torch.isnan(after.boxes()["velocity"]).all()
            last = np.asarray(after.boxes()["pose"][-1, :3, 3])
            assert np.allclose(last, donor.boxes()["pose"][::2][-1, :3, 3], atol=1e-5)
        else:
            assert after.boxes().rows == before.boxes().rows
        sweeps = [[len(s) for s in sample.of_type(fa.Points).values()] for sample in (after, before)]
        assert sweeps[0] == sweeps[1]
    capsys.readouterr()
    assert main(["check", str(tmp_path / "out"), *words]) == 0, capsys.readouterr().out
    one = ["replay", str(tmp_path / "out"), min(mixed), f"out={tmp_path / 'one'}"]
    assert main([*one, *words]) == 0
    assert main(["run", *asked, f"out={tmp_path / 'dry'}", "dry_run=true"]) == 0
    assert "every mixed keyframe is a scene of its own" in capsys.readouterr().out


def log_id(out: Path, written: str) -> str:
    """Token under which a sample of the manifest lies in the tables."""
    from fusion_aug.logs.core.sidecar import ids_in_manifest

    return next(token for token, name in ids_in_manifest(out).items() if name == written)
