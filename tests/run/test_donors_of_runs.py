"""``donors=`` of a run, of a replay and of a check."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import small_logs
from written import manifest

from fusion_aug.cli import main
from fusion_aug.sample.manifest import tree_digest

MIX = '''
"""A mix of a user's own: the donor's intensities in the receiver's cloud."""

from dataclasses import dataclass

import fusion_aug as fa
from fusion_aug.core.mixing.transform import MixTransform


@dataclass(frozen=True, kw_only=True)
class TakeIntensity(MixTransform):
    def plan(self, rng, sample, donor):
        return {"first": int(rng.integers(1, 100))}

    @classmethod
    def mixed(cls, sample, donor, params):
        mine, other = sample["velodyne"], donor["velodyne"]
        changed = mine["intensity"].clone()
        changed[: params["first"]] = other["intensity"][: params["first"]]
        return sample.with_streams({**sample.streams, "velodyne": mine.with_values(intensity=changed)})
'''
TARGET = "+pipeline.transforms.mix={_target_: mixing_of_mine.TakeIntensity}"
ASKED = ["plugins=[mixing_of_mine]", "pipeline=identity", TARGET]


@pytest.fixture
def log(plugins: Path) -> Path:
    (plugins / "mixing_of_mine.py").write_text(MIX)
    return small_logs.kitti(plugins / "log", frames=4)


def run(log: Path, out: Path, *words: str) -> int:
    return main(["run", "log=kitti", f"log.root={log}", f"out={out}", *ASKED, *words])


def test_a_run_draws_partners_and_its_replay_finds_them(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(log, tmp_path / "a", "donors=self", "workers=2", "copies=2") == 0
    assert run(log, tmp_path / "b", "donors=self", "copies=2") == 0
    assert tree_digest(tmp_path / "a/training") == tree_digest(tmp_path / "b/training")
    lines = manifest(tmp_path / "a")
    donors = [line["history"][0]["params"][""]["donor"] for line in lines]
    assert all(donor != line["source"] for donor, line in zip(donors, lines, strict=True)) and len(set(donors)) > 1
    capsys.readouterr()
    words = ["plugins=[mixing_of_mine]"]
    assert main(["replay", str(tmp_path / "a"), lines[0]["id"], f"out={tmp_path / 'one'}", *words]) == 0
    assert main(["check", str(tmp_path / "a"), *words]) == 0, capsys.readouterr().out
    assert main(["check", str(tmp_path / "one"), *words]) == 0, capsys.readouterr().out
    assert main(["show", "log=kitti", f"log.root={log}", *ASKED, "donors=self", f"out={tmp_path / 'a.png'}"]) == 0
    small_logs.cloud(77).tofile(log / f"training/velodyne/{donors[0].rpartition('/')[2]}.bin")
    assert main(["replay", str(tmp_path / "a"), lines[0]["id"], *words]) == 2
    assert f"the donor {donors[0]!r} has changed since" in capsys.readouterr().err


def test_donors_of_another_log_are_found_again_and_watched(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = small_logs.kitti(tmp_path / "other", frames=3)
    small_logs.cloud(50).tofile(other / "training/velodyne/000001.bin")
    assert run(log, tmp_path / "out", f"donors={other}") == 0
    header = json.loads((tmp_path / "out/manifest.jsonl").read_text().splitlines()[0])
    assert header["donors"] == "other" and str(other) not in (tmp_path / "out/manifest.jsonl").read_text()
    chosen = manifest(tmp_path / "out")[0]["id"]
    words = ["plugins=[mixing_of_mine]"]
    assert main(["replay", str(tmp_path / "out"), chosen, *words]) == 0
    facts = tmp_path / "out/run.json"
    text = facts.read_text()
    facts.write_text(text.replace(json.dumps(str(other)), '"http://elsewhere.example/log"'))
    capsys.readouterr()
    assert main(["replay", str(tmp_path / "out"), chosen, *words]) == 2
    assert "which is no object store" in capsys.readouterr().err
    facts.write_text(text)
    shutil.move(other, tmp_path / "moved")
    capsys.readouterr()
    assert main(["replay", str(tmp_path / "out"), chosen, *words]) == 2
    assert "donors=DIR" in capsys.readouterr().err
    assert main(["replay", str(tmp_path / "out"), chosen, *words, f"donors={tmp_path / 'moved'}"]) == 0
    assert main(["check", str(tmp_path / "out"), *words, f"donors={tmp_path / 'moved'}"]) == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "donors: mix mixes samples; give donors=self, or donors=DIR of another log"),
        (["donors=3"], "donors: expected self, or the folder of a log, got 3"),
        (["donors=nowhere"], "donors: there is no folder 'nowhere'"),
        (["donors=self", "~pipeline.transforms.mix"], "donors: nothing in the pipeline mixes samples"),
        (["donors=self", "+pipeline.transforms.last={_target_: fusion_aug.RotateScene}", "limit=1"], ""),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    assert run(log, tmp_path / "out", *words) == (2 if sentence else 0)
    assert sentence in capsys.readouterr().err
    assert (tmp_path / "out").exists() == (not sentence)
