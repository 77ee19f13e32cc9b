"""Runs over logs in object stores: the same bytes as from disk, no secret anywhere, and changes found."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import small_logs
from stores import KEY, SECRET, Bucket, Fault
from test_unfinished import TURN, refused, tree, words

from fusion_aug.cli import main


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return small_logs.kitti(tmp_path / "log")


def there(url: str, out: Path, cache: Path, *more: str) -> list[str]:
    """Words of a run over a log in a store."""
    return [*words(Path(), out, *more, f"storage.cache={cache}")[:2], f"log.root={url}", "pipeline=identity", TURN,
            f"out={out}", f"storage.cache={cache}", *more]  # fmt: skip


def test_the_same_bytes_as_from_disk_and_from_any_cache(bucket: Bucket, root: Path, tmp_path: Path) -> None:
    url = bucket.put(root, "kitti")
    assert main(words(root, tmp_path / "disk")) == 0
    for name in ("one", "two"):
        assert main(there(url, tmp_path / name, tmp_path / f"cache-{name}")) == 0
    assert tree(tmp_path / "one") == tree(tmp_path / "two") == tree(tmp_path / "disk")
    facts = [json.loads((tmp_path / name / "run.json").read_text()) for name in ("one", "two")]
    assert facts[0]["source_root"] == url
    assert facts[0]["inputs"] == facts[1]["inputs"] and facts[0]["fingerprint"] == facts[1]["fingerprint"]
    for path in (p for p in tmp_path.rglob("*") if p.is_file()):
        assert KEY.encode() not in path.read_bytes() and SECRET.encode() not in path.read_bytes()


def test_requests_of_a_run_are_few(bucket: Bucket, root: Path, tmp_path: Path) -> None:
    """One listing when it begins and one when it ends; each file once."""
    url = bucket.put(root, "kitti")
    assert main(there(url, tmp_path / "out", tmp_path / "cache")) == 0
    assert bucket.proxy.counts() == {"LIST": 2, "GET": 10}


def test_a_merge_opens_a_store_only_where_the_user_says_through_which_folder(
    bucket: Bucket, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not through the one that the plan names, which may be somebody else's."""
    url, out, cache = bucket.put(root, "kitti"), tmp_path / "out", tmp_path / "cache"
    assert main(there(url, tmp_path / "whole", tmp_path / "other")) == 0
    assert main(there(url, out, cache, "shard=1/1")) == 0
    before = bucket.proxy.counts()
    refused(capsys, ["merge", str(out)], url, "storage.cache=DIR")
    assert bucket.proxy.counts() == before
    assert main(["merge", str(out), f"storage.cache={cache}", f"log.root={url}"]) == 0
    assert tree(out) == tree(tmp_path / "whole")


@pytest.mark.cluster
def test_workers_list_nothing_and_results_can_be_asked_about(
    bucket: Bucket, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, out, cache = bucket.put(root, "kitti"), tmp_path / "out", f"storage.cache={tmp_path / 'cache'}"
    assert main(there(url, out, tmp_path / "cache", "workers=2")) == 0
    assert bucket.proxy.counts()["LIST"] == 2
    refused(capsys, ["check", str(out)], url, "storage.cache=DIR")
    assert main(["check", str(out), cache]) == 0
    assert main(["replay", str(out / "manifest.jsonl"), "training/000001", cache]) == 0
    assert main(["inspect", "log=kitti", f"log.root={url}", cache]) == 0
    said = capsys.readouterr()
    assert url in said.out.replace("\n", "") and str(tmp_path / "cache") not in said.out + said.err


def test_a_change_while_a_run_is_at_work_stops_it_at_the_end(
    bucket: Bucket, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from fusion_aug.run.job import Job

    url, whole = bucket.put(root, "kitti"), Job.process

    def changed(job: Job, number: int) -> None:
        whole(job, number)
        bucket.files.pipe_file(f"{bucket.name}/kitti/training/calib/000001.txt", b"other")

    monkeypatch.setattr(Job, "process", changed)
    refused(capsys, there(url, tmp_path / "out", tmp_path / "cache", "limit=1"), url, "calib/000001.txt was changed")
    assert not (tmp_path / "out/run.json").exists()


def test_faults_and_a_damaged_file_are_told_by_url(
    bucket: Bucket, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = bucket.put(root, "kitti")
    bucket.proxy.faults += [Fault("busy", "GET", "velodyne", 2), Fault("slow", "HEAD", "image_2", 2)]
    assert main(there(url, tmp_path / "out", tmp_path / "cache")) == 0
    bucket.files.pipe_file(f"{bucket.name}/kitti/training/calib/000000.txt", b"no numbers")
    refused(capsys, there(url, tmp_path / "b", tmp_path / "cache"), f"{url}/training/calib/000000.txt: ")


def test_a_run_of_a_stranger_does_not_lead_anywhere(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(words(root, out)) == 0
    text = (out / "run.json").read_text()
    (out / "run.json").write_text(re.sub(r'"source_root": "[^"]*"', '"source_root": "sftp://host/log"', text))
    refused(capsys, ["check", str(out), f"storage.cache={tmp_path}"], "sftp://host/log", "no object store")
