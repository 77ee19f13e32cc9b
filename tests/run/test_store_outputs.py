"""Runs into object stores: the same bytes as on disk whatever fails, one writer, and nothing left over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import small_logs
from stores import KEY, SECRET, Bucket, Fault
from test_unfinished import refused, tree, words

from fusion_aug.cli import main
from fusion_aug.logs.remote.address import address_of
from fusion_aug.logs.remote.writing import WritableStore
from fusion_aug.run.claims import Claim
from fusion_aug.run.job import Job

RUN_FILES = {"run.json", "run.csv"}  # of which two runs differ


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return small_logs.kitti(tmp_path / "log", frames=3)


@pytest.fixture
def disk(root: Path, tmp_path: Path) -> Path:
    """The same run into a folder."""
    assert main(words(root, tmp_path / "disk")) == 0
    return tmp_path / "disk"


def into(root: Path, bucket: Bucket, tmp_path: Path, *more: str) -> list[str]:
    """Words of a run into the store."""
    own = [f"out={bucket.url}/out", f"storage.cache={tmp_path / 'cache'}", *more]
    return [*(w for w in words(root, Path()) if not w.startswith("out=")), *own]


def same(bucket: Bucket, disk: Path) -> bool:
    """Whether the store holds the bytes of the folder, and nothing else."""
    here = {str(p.relative_to(disk)): p.read_bytes() for p in disk.rglob("*") if p.is_file()}
    there = bucket.tree("out")
    assert set(there) == set(here)
    return all(there[name] == here[name] for name in set(here) - RUN_FILES)


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.cluster)])
def test_the_same_bytes_as_into_a_folder_and_few_requests(
    bucket: Bucket, root: Path, disk: Path, tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fusion_aug.run.publishing.GROUP_SECONDS", 1e9)
    assert main(into(root, bucket, tmp_path, f"workers={workers}")) == 0
    assert same(bucket, disk)
    puts = [path for method, path in bucket.proxy.requests if method == "PUT"]
    assert sum("/training/" in path for path in puts) == 15 and sum("/.work/done/" in path for path in puts) == 1
    assert not list((tmp_path / "cache").glob("*/stage-*"))  # nothing is left here
    text = b"".join(bucket.tree("out").values())
    assert KEY.encode() not in text and SECRET.encode() not in text and str(tmp_path / "cache").encode() not in text
    assert main(into(root, bucket, tmp_path)) == 0 and same(bucket, disk)  # it is finished already


@pytest.mark.parametrize(
    "faults",
    [
        {"dropped": ["image_2/000001", "manifest", "plan.json", "run.json", "/done/"]},
        {"answer lost": ["velodyne", "claims", "run.json"], "busy": ["label_2"], "slow": ["manifest"]},
    ],
    ids=["dropped", "others"],
)
def test_what_a_store_does_wrong_once_changes_nothing(
    bucket: Bucket, root: Path, disk: Path, tmp_path: Path, faults: dict[str, list[str]]
) -> None:
    bucket.proxy.faults += [Fault(kind, "PUT", path) for kind, paths in faults.items() for path in paths]
    assert main(into(root, bucket, tmp_path)) == 0
    assert all(f.times == 0 for f in bucket.proxy.faults) and same(bucket, disk)


def test_what_it_does_wrong_always_is_one_sentence(
    bucket: Bucket, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.proxy.faults.append(Fault("dropped", "PUT", "velodyne/000001", 100))
    refused(capsys, into(root, bucket, tmp_path), bucket.url, "training/000001", "are not there though the store said")
    bucket.proxy.faults[:] = [Fault("dropped", "PUT", "run.json", 100)]
    refused(capsys, into(root, bucket, tmp_path), bucket.url, "run.json", "it is not there")
    bucket.proxy.faults.clear()
    refused(capsys, into(root, bucket, tmp_path, "seed=5"), bucket.url, "unfinished run of another job")
    assert main(into(root, bucket, tmp_path)) == 0
    refused(capsys, into(root, bucket, tmp_path, "seed=5"), bucket.url, "finished run of another job")
    bucket.files.pipe_file(f"{bucket.name}/full/a.txt", b"of somebody else")
    command = [w if not w.startswith("out=") else f"out={bucket.url}/full" for w in into(root, bucket, tmp_path)]
    refused(capsys, command, f"{bucket.url}/full", "is not empty")
    assert bucket.tree("full") == {"a.txt": b"of somebody else"}


def test_a_store_that_cannot_create_exclusively_is_refused(
    bucket: Bucket, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    whole = s3fs.S3FileSystem._pipe_file

    async def overwriting(self: object, path: str, data: bytes, mode: str = "overwrite", **more: object) -> None:
        await whole(self, path, data, **more)

    monkeypatch.setattr(s3fs.S3FileSystem, "_pipe_file", overwriting)
    refused(capsys, into(root, bucket, tmp_path), "s3://", "cannot create a file only where there is none")


@contextmanager
def interrupted(after: int) -> Iterator[None]:
    """Ctrl-C after so many samples."""
    whole, seen = Job.process, []

    def process(job: Job, number: int) -> None:
        if len(seen) == after:
            raise KeyboardInterrupt
        seen.append(number)
        whole(job, number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Job, "process", process)
        yield


def test_an_interrupted_run_goes_on_and_what_is_done_stays(
    bucket: Bucket, root: Path, disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        with interrupted(1):
            assert main(into(root, bucket, tmp_path)) == 130
        assert not list((tmp_path / "cache").glob("*/stage-*"))
    refused(capsys, ["check", f"{bucket.url}/out", f"storage.cache={tmp_path / 'cache'}"], "interrupted run")
    start = len(bucket.proxy.requests)
    assert main(into(root, bucket, tmp_path)) == 0 and same(bucket, disk)
    again = [path for method, path in bucket.proxy.requests[start:] if method == "PUT" and "/training/" in path]
    assert {path.rpartition("/")[2][:6] for path in again} == {"000002"}


def test_notes_of_a_shard_reach_the_merge_and_a_dry_run_puts_nothing(
    bucket: Bucket, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shards and the merge have nothing in common but the store."""
    monkeypatch.delenv("MKL_CBWR", raising=False)
    assert main(into(root, bucket, tmp_path / "a", "shard=1/2")) == 0
    with monkeypatch.context() as there:
        there.setenv("MKL_CBWR", "COMPATIBLE")
        assert main(into(root, bucket, tmp_path / "b", "shard=2/2")) == 0
    before = bucket.tree("out")
    assert ".work/told/2-of-2.json" in before
    capsys.readouterr()
    assert main(into(root, bucket, tmp_path / "c", "dry_run=true")) == 0
    assert "this run already, unfinished" in " ".join(capsys.readouterr().out.split())
    refused(capsys, into(root, bucket, tmp_path / "c", "dry_run=true", "seed=4"), "seed: 0 there, 4 now", bucket.url)
    assert bucket.tree("out") == before and not list((tmp_path / "c").rglob("stage-*"))
    assert main(["merge", f"{bucket.url}/out", f"storage.cache={tmp_path / 'c'}"]) == 0
    assert "COMPATIBLE now" in json.loads(bucket.tree("out")["run.json"])["notes"][0]


@pytest.mark.cluster
def test_a_killed_run_blocks_nobody_longer_than_its_claim(
    bucket: Bucket, root: Path, disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket.proxy.faults.append(Fault("slow", "PUT", "training", 1000))
    command = into(root, bucket, tmp_path)
    process = subprocess.Popen([sys.executable, "-m", "fusion_aug", *command], env=dict(os.environ))
    while not any("/training/" in path for _, path in bucket.proxy.requests):
        time.sleep(0.05)
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    bucket.proxy.faults.clear()
    refused(capsys, command, "another run is writing", "without a sign for 600 s")
    time.sleep(2.5)  # dates of a store are whole seconds
    assert main([*command, "storage.claim_seconds=1"]) == 0 and same(bucket, disk)


def test_of_two_runs_at_once_one_finishes_and_the_other_says_why(
    bucket: Bucket, root: Path, disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = into(root, bucket, tmp_path)
    other = [*command, f"storage.cache={tmp_path / 'other'}"]  # a process may hold a lock twice
    whole = Job.process

    def beside(job: Job, number: int) -> None:
        if number == 1:
            refused(capsys, other, "another run is writing", bucket.url)
        whole(job, number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Job, "process", beside)
        assert main(command) == 0
    assert same(bucket, disk)


def test_one_of_many_claims_wins(bucket: Bucket) -> None:
    """Also of those that take over a claim that was released."""
    store = WritableStore(address_of(f"{bucket.url}/out", "out"))
    for _ in range(2):
        won, lost = [], []

        def race(won: list[Claim] = won, lost: list[str] = lost) -> None:
            claim = Claim(store, None, 600)
            try:
                claim.take()
            except ValueError as error:
                lost.append(str(error))
            else:
                won.append(claim)

        threads = [threading.Thread(target=race) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1 and len(lost) == 5 and all("another run is writing" in text for text in lost)
        won[0].release()


def test_whoever_was_taken_for_dead_stops(
    bucket: Bucket, root: Path, disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second run takes over while the first one sleeps; the first does not finish, and harms nothing."""
    whole = Job.process

    def asleep(job: Job, number: int) -> None:
        if number == 1 and not bucket.files.exists(f"{bucket.name}/out/run.json"):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Job, "process", whole)
                patch.setattr(Claim, "_refuse_alive", lambda *_: None)  # as if its claim had lapsed
                assert main([*into(root, bucket, tmp_path), f"storage.cache={tmp_path / 'other'}"]) == 0
        whole(job, number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Job, "process", asleep)
        refused(capsys, into(root, bucket, tmp_path), bucket.url, "another")
    assert {n: b for n, b in bucket.tree("out").items() if not n.startswith((".work", "run."))} == {
        str(p.relative_to(disk)): p.read_bytes() for p in disk.rglob("*") if p.is_file() and p.stem != "run"
    }


@pytest.mark.cluster
def test_shards_and_their_merge_with_caches_of_their_own(
    bucket: Bucket, root: Path, disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = into(root, bucket, tmp_path)
    for i in (2, 1):
        own = f"storage.cache={tmp_path / f'cache{i}'}"
        assert main([*(w for w in command if not w.startswith("storage.cache")), own, f"shard={i}/2"]) == 0
        if i == 2:
            refused(capsys, ["merge", f"{bucket.url}/out", own], "1 of 3 samples are missing")
    refused(capsys, ["merge", f"{bucket.url}/out", "seed=1"], "merge takes the settings of the run")
    assert main(["merge", f"{bucket.url}/out", f"storage.cache={tmp_path / 'merge'}"]) == 0
    assert same(bucket, disk)
    assert main(["merge", f"{bucket.url}/out", f"storage.cache={tmp_path / 'merge'}"]) == 0


def test_the_facts_name_no_place_of_this_computer(bucket: Bucket, root: Path, tmp_path: Path) -> None:
    url = bucket.put(root, "in")
    command = [w if not w.startswith("log.root") else f"log.root={url}" for w in into(root, bucket, tmp_path)]
    assert main(command) == 0
    facts = json.loads(bucket.tree("out")["run.json"])
    assert facts["source_root"] == url and str(tmp_path) not in json.dumps(facts)
    nested = [w if not w.startswith("out=") else f"out={url}/out" for w in command]
    assert main(nested) == 2
    assert tree(tmp_path / "log") and not any(n.startswith("out") for n in bucket.tree("in"))


@pytest.mark.cluster
def test_on_a_cluster(bucket: Bucket, root: Path, disk: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    assert main(into(root, bucket, tmp_path, "engine=ray", "workers=1")) == 0
    assert same(bucket, disk)
