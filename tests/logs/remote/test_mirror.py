"""Logs in a store: one listing, files when they are used, and changes told."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
import small_logs
from stores import KEY, SECRET, Bucket, Fault

from calib import mirrored
from fusion_aug import ConfigError, DataError, open_log, write_log
from fusion_aug.logs.core.inputs import difference, input_lines
from fusion_aug.logs.remote.mirror import open_mirror

CLOUD = "training/velodyne/000001.bin"


@pytest.fixture
def url(bucket: Bucket, tmp_path: Path) -> str:
    return bucket.put(small_logs.kitti(tmp_path / "log"), "logs/kitti")


def holds(path: Path) -> bool:
    """Whether a file of a mirror was fetched."""
    return bool(path.stat().st_mode & 0o777)


def test_names_come_by_one_request_and_files_when_they_are_opened(bucket: Bucket, url: str, tmp_path: Path) -> None:
    mirror = open_mirror(url, tmp_path / "cache", "log.root")
    local, path = tmp_path / "log" / CLOUD, mirror.files / CLOUD
    assert bucket.proxy.counts() == {"LIST": 1}
    assert path.stat().st_size == local.stat().st_size and not holds(path)
    mirror.fill(path)
    assert path.read_bytes() == local.read_bytes() and holds(path)
    assert bucket.proxy.counts() == {"LIST": 1, "GET": 1}
    again = open_mirror(url, tmp_path / "cache", "log.root")
    assert holds(again.files / CLOUD) and bucket.proxy.counts()["LIST"] == 2
    open_mirror(url, tmp_path / "cache", "log.root", again.catalogue.digest())  # as a worker does
    assert bucket.proxy.counts()["LIST"] == 2


def test_the_tree_follows_the_store(bucket: Bucket, url: str, tmp_path: Path) -> None:
    before = open_mirror(url, tmp_path / "cache", "log.root")
    for path in (p for p in before.files.rglob("*") if p.is_file()):
        before.fill(path)
    at = f"{bucket.name}/logs/kitti"
    bucket.files.pipe_file(f"{at}/{CLOUD}", b"other")
    bucket.files.pipe_file(f"{at}/new/a.bin", b"new")
    for image in ("image_3/000000.png", "image_3/000001.png"):
        bucket.files.rm_file(f"{at}/training/{image}")
    after = open_mirror(url, tmp_path / "cache", "log.root")
    assert not holds(after.files / CLOUD) and not holds(after.files / "new/a.bin")
    assert holds(after.files / "training/image_2/000000.png") and not (after.files / "training/image_3").exists()
    after.fill(after.files / CLOUD)
    assert (after.files / CLOUD).read_bytes() == b"other"
    with pytest.raises(DataError, match="was changed since the run began"):
        open_mirror(url, tmp_path / "elsewhere", "log.root", before.catalogue.digest())


def test_a_change_after_the_opening_is_told_by_name(bucket: Bucket, url: str, tmp_path: Path) -> None:
    log = open_log("kitti", url, cache=tmp_path / "cache")
    before = list(input_lines(log))
    path = f"{bucket.name}/logs/kitti/training/velodyne/000000.bin"
    bucket.files.pipe_file(path, b"\0" * bucket.files.size(path))  # of the same size
    sample = log[0]
    with pytest.raises(DataError) as caught:
        sample["velodyne"].sources[0].bytes()
    assert str(caught.value).startswith(f"{url}/training/velodyne/000000.bin: ") and "was changed" in str(caught.value)
    assert difference(before, input_lines(log)).change is None
    log.mirror.look_again()
    assert difference(before, input_lines(log)).change == "training/velodyne/000000.bin was changed"


def test_lines_of_inputs_are_the_same_in_every_cache(url: str, tmp_path: Path) -> None:
    lines = [list(input_lines(open_log("kitti", url, cache=tmp_path / name))) for name in "ab"]
    assert lines[0] == lines[1] and len(lines[0]) == 10


@pytest.mark.parametrize("kind", ["busy", "answer lost", "slow"])
def test_faults_that_pass_are_not_seen(bucket: Bucket, url: str, tmp_path: Path, kind: str) -> None:
    bucket.proxy.faults += [Fault(kind, "GET", "list-type", 2), Fault(kind, "GET", CLOUD, 2)]
    mirror = open_mirror(url, tmp_path / "cache", "log.root")
    mirror.fill(mirror.files / CLOUD)
    assert (mirror.files / CLOUD).read_bytes() == (tmp_path / "log" / CLOUD).read_bytes()


def test_faults_that_stay_are_one_sentence_without_secrets(
    bucket: Bucket, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fusion_aug.logs.remote.store.TRIES", 1)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # of botocore, which waits longer and longer
    mirror = open_mirror(url, tmp_path / "cache", "log.root")
    bucket.proxy.faults.append(Fault("wrong tag", "GET", CLOUD, 100))
    with pytest.raises(OSError, match="was changed since the log was opened"):
        mirror.fill(mirror.files / CLOUD)
    assert not holds(mirror.files / CLOUD) and not list((mirror.home / "coming").iterdir())
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nobody is there
    with pytest.raises(DataError, match=f"{url}: cannot be listed") as caught:
        open_mirror(url, tmp_path / "cache", "log.root")
    assert KEY not in str(caught.value) and SECRET not in str(caught.value) and "\n" not in str(caught.value)


def test_what_cannot_be_read_is_refused_in_one_sentence(bucket: Bucket, url: str, tmp_path: Path) -> None:
    cases = {
        (url, None): (ConfigError, "storage.cache=DIR"),
        (url, "s3://b/cache"): (ConfigError, "storage.cache: s3://b/cache is no folder"),
        (f"{bucket.url}/none", tmp_path): (DataError, "log.root holds no files"),
        ("s3://no-such-bucket-here/a", tmp_path): (DataError, "cannot be listed|holds no files"),
        ("nosuchstore://b/c", tmp_path): (ConfigError, "there is no store nosuchstore://"),
    }
    for (place, cache), (kind, words) in cases.items():
        with pytest.raises(kind, match=words):
            open_log("kitti", place, cache=cache)
    bucket.files.pipe_file(f"{bucket.name}/clash/a", b"file")
    bucket.files.pipe_file(f"{bucket.name}/clash/a/b", b"below it")
    with pytest.raises(DataError, match=f"{re.escape(bucket.url)}/clash/a/b: lies where"):
        open_log("kitti", f"{bucket.url}/clash", cache=tmp_path)


PROCESS = """
import sys
from pathlib import Path
from fusion_aug.logs.remote.mirror import open_mirror
mirror = open_mirror(sys.argv[1], sys.argv[2], "log.root")
for path in sorted(p for p in mirror.files.rglob("*") if p.is_file()):
    if not path.stat().st_mode & 0o777:
        mirror.fill(path)
    assert path.read_bytes() == (Path(sys.argv[3]) / path.relative_to(mirror.files)).read_bytes(), path
"""


@pytest.mark.cluster
def test_processes_may_make_and_fill_one_mirror_at_once(bucket: Bucket, url: str, tmp_path: Path) -> None:
    words = [sys.executable, "-c", PROCESS, url, tmp_path / "cache", tmp_path / "log"]
    several = [subprocess.Popen(words, stderr=subprocess.PIPE, env=dict(os.environ)) for _ in range(2)]
    for process in several:
        told = process.communicate(timeout=300)[1]
        assert process.returncode == 0, told.decode()


def test_other_processes_of_a_program_fetch_too(
    bucket: Bucket, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a data loader, which are forked, or get the log as a pickle."""
    log = open_log("kitti", url, cache=tmp_path / "cache")
    child = multiprocessing.get_context("fork").Process(target=log.mirror.fill, args=(log.mirror.files / CLOUD,))
    child.start()
    child.join(60)
    assert child.exitcode == 0 and holds(log.mirror.files / CLOUD)
    monkeypatch.setattr(mirrored, "_MIRRORS", {})
    other = pickle.loads(pickle.dumps(log.mirror))
    assert other.files / CLOUD and list(mirrored._MIRRORS) == [str(log.root)]
    other.fill(other.files / "training/velodyne/000000.bin")
    assert holds(other.files / "training/velodyne/000000.bin")


def test_what_writes_into_folders_refuses_urls(tmp_path: Path, url: str) -> None:
    sample = open_log("kitti", url, cache=tmp_path / "cache")[0]
    with pytest.raises(ConfigError, match="expected a path of this computer"):
        write_log(sample, "s3://bucket/out")
