"""Formats that join parts at the end: where the merge runs elsewhere they are fetched."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_logs
from places import ARM
from stores import Bucket
from test_unfinished import tree

from fusion_aug.cli import main

pytestmark = pytest.mark.cluster


def mcap(root: Path) -> list[str]:
    return [f"log.root={small_logs.arm(root, 'mcap')}", f"log.rig={ARM / 'mcap_rig.yaml'}", "log.window=2"]


def lerobot(root: Path) -> list[str]:
    return [f"log.root={small_logs.arm(root, 'lerobot')}", f"log.rig={ARM / 'lerobot_rig.yaml'}"]


def robomimic(root: Path) -> list[str]:
    return [f"log.root={small_logs.robomimic(root)}"]


def argoverse2(root: Path) -> list[str]:
    return [f"log.root={small_logs.argoverse2(root)}"]


@pytest.mark.parametrize("make", [mcap, lerobot, robomimic, argoverse2], ids=lambda f: f.__name__)
def test_shards_into_a_store_merged_elsewhere(bucket: Bucket, tmp_path: Path, make: object) -> None:
    command = ["run", f"log={make.__name__}", *make(tmp_path / "log"), "pipeline=identity", "limit=2"]  # type: ignore[operator, attr-defined]
    assert main([*command, f"out={tmp_path / 'disk'}"]) == 0
    for i in (1, 2):
        assert main([*command, f"out={bucket.url}/out", f"storage.cache={tmp_path / f'c{i}'}", f"shard={i}/2"]) == 0
    assert main(["merge", f"{bucket.url}/out", f"storage.cache={tmp_path / 'm'}"]) == 0
    for name, data in bucket.tree("out").items():
        (tmp_path / "there" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "there" / name).write_bytes(data)
    assert tree(tmp_path / "there") == tree(tmp_path / "disk")
