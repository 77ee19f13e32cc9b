"""Names of the jobs of a multirun: what changes the result, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_logs
import yaml
from places import REPOSITORY
from test_unfinished import tree

from fusion_aug.cli import main
from fusion_aug.run.config import compose_config
from fusion_aug.run.job import Job
from fusion_aug.run.keys import HOW_ONLY
from fusion_aug.run.sweeping import sweep

OTHERWISE = {
    "donors": "donors=self",
    "out": "out=b", "seed": "seed=1", "workers": "workers=2", "copies": "copies=3",
    "keep_original": "keep_original=true",
    "shard": "shard=1/2", "limit": "limit=1", "dry_run": "dry_run=true",
    "report": "report=true", "on_error": "on_error=skip",
    "sample_seconds": "sample_seconds=5", "lossy": "lossy=true", "link": "link=hard", "plugins": "plugins=[json]",
    "storage": "storage.claim_seconds=9", "log": "log.select=*1", "engine": "engine=ray", "output": "output=folder",
    "pipeline": "pipeline=geometry",
}  # fmt: skip


def test_settings_that_change_nothing_are_those_that_do_not_enter_the_fingerprint(tmp_path: Path) -> None:
    """Of every setting of a run another value; the fingerprint says whether the bytes may be others."""
    lines = yaml.safe_load((REPOSITORY / "configs/run.yaml").read_text())
    groups = {name for group in lines.pop("defaults") if isinstance(group, dict) for name in group}
    assert groups | set(lines) == set(OTHERWISE)
    words = ["log=kitti", f"log.root={small_logs.kitti(tmp_path / 'log')}", "pipeline=identity", "out=a"]
    plain = Job(compose_config("run", words)).fingerprint()
    same = {key for key, word in OTHERWISE.items() if Job(compose_config("run", [*words, word])).fingerprint() == plain}
    assert same == HOW_ONLY


@pytest.mark.quick
def test_names_hold_what_changes_the_result() -> None:
    words = [
        "log=kitti",
        "log.root=x",
        "seed=1,2",
        "shard=1/3",
        "workers=4",
        "storage.cache=c",
        "engine=local",
        "out=o",
    ]
    assert [name for name, _ in sweep(words)] == ["seed-1", "seed-2"]
    assert [name for name, _ in sweep(["out=o", "log.root=x", "workers=1,2", "shard=1/2,2/2"])] == ["job"] * 4
    assert len({name for name, _ in sweep(["log.root=choice(a,b)", "seed=1"])}) == 2, "of two logs two folders"


@pytest.mark.slow
def test_shards_of_a_multirun_are_merged(tmp_path: Path) -> None:
    root = small_logs.kitti(tmp_path / "log")
    words = ["run", "-m", "log=kitti", f"log.root={root}", "pipeline=identity", "seed=1,2"]
    assert main([*words, f"out={tmp_path / 'whole'}"]) == 0
    for shard in ("2/2", "1/2"):
        assert main([*words, f"out={tmp_path / 'out'}", f"shard={shard}"]) == 0
    names = sorted(p.name for p in (tmp_path / "whole").iterdir())
    assert len(names) == 2 and sorted(p.name for p in (tmp_path / "out").iterdir()) == names
    for name in names:
        assert main(["merge", str(tmp_path / "out" / name)]) == 0
        assert tree(tmp_path / "out" / name) == tree(tmp_path / "whole" / name)
