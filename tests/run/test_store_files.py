"""Files of samples and their markers in a store, of computers that share nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from stores import Bucket

from fusion_aug import FusionAugError
from fusion_aug.run.store_files import SampleFiles


def test_computers_that_share_nothing_join_a_run(bucket: Bucket, tmp_path: Path) -> None:
    """As nodes of a cluster do: each puts files and marker, and another one fetches the parts."""
    files = SampleFiles(f"{bucket.url}/out", alone=True)
    with pytest.raises(FusionAugError, match="holds no run that is at work"):
        files.join(tmp_path / "node")
    bucket.files.pipe_file(f"{bucket.name}/out/.work/plan.json", b"{}")
    files.join(tmp_path / "node")
    assert (tmp_path / "node/.work/plan.json").read_bytes() == b"{}"
    paths = [tmp_path / "node" / name for name in ("a/b.bin", ".work/parts/[1]/c.bin")]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode())
    marker = {"files": files.put(tmp_path / "node", paths), "rows": {}}
    files.put_marker(3, marker)
    assert marker["files"] == {"a/b.bin": 5, ".work/parts/[1]/c.bin": 5} and not any(p.exists() for p in paths)
    assert json.loads(bucket.tree("out")[".work/done/00000003.json"]) == marker
    assert list(files.lost([(3, marker)], tmp_path / "listing")) == []
    files.fetch_parts(tmp_path / "other", [marker])
    assert (tmp_path / "other/.work/parts/[1]/c.bin").read_bytes() == b"c.bin"
    assert not (tmp_path / "other/a").exists()
    bucket.files.pipe_file(f"{bucket.name}/out/a/b.bin", b"cut")
    assert list(files.lost([(3, marker), (4, {"skipped": "why"})], tmp_path / "listing")) == [3]
