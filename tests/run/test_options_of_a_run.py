"""What a manifest says of the options of the output is told by the manifest's name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import small_logs
from refusals import fails

from fusion_aug.cli import main


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shard_mb": "large"}, "output.shard_mb: expected a whole number of at least 1, got 'large'"),
        ({"shards": 1}, "output.shards: the format 'webdataset' has no such option (it has shard_mb)"),
        ([1], "output_options: expected a mapping, got '[1]'"),
    ],
)
@pytest.mark.parametrize("command", ["replay", "check"])
def test_options_that_no_writer_has(tmp_path: Path, command: str, options: Any, said: str, capsys: Any) -> None:
    root, out = small_logs.kitti(tmp_path / "log"), tmp_path / "out"
    words = ["run", "log=kitti", f"log.root={root}", "pipeline=identity", "output=webdataset", "limit=1"]
    assert main([*words, f"out={out}"]) == 0
    manifest = out / "manifest.jsonl"
    header, *lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join([json.dumps({**json.loads(header), "output_options": options}), *lines]) + "\n")
    capsys.readouterr()
    sample = [json.loads(lines[0])["id"]] if command == "replay" else []
    assert fails(capsys, [command, str(out), *sample]) == f"fusion-aug: {manifest}: {said}"
