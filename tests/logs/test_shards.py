"""WebDataset and LitData outputs: the same bytes however they are made, read by their own loaders and by ours."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_logs
import torch

from fusion_aug import DataError, open_log
from fusion_aug.cli import main
from fusion_aug.logs import write_log
from fusion_aug.logs.core.account import account_of
from fusion_aug.sample.manifest import NAME
from fusion_aug.streams import Camera, Points


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.stem != "run"}


TWICE = b'{"format": "webdataset", "version": 1}\n' + b'{"pack": "shard-000000.tar", "samples": [["a", "s"]]}\n' * 2


def linked() -> bytes:
    """A shard with a link in it."""
    raw, info = io.BytesIO(), tarfile.TarInfo("training/000000.sample.json")
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/hostname"
    with tarfile.open(fileobj=raw, mode="w") as shard:
        shard.addfile(info)
    return raw.getvalue()


@pytest.fixture(scope="module")
def kitti(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_logs.kitti(tmp_path_factory.mktemp("log"))


def run(root: Path, out: Path, *words: str) -> Path:
    assert main(["run", "log=kitti", f"log.root={root}", "pipeline=geometry", f"out={out}", *words]) == 0
    return out


@pytest.fixture(scope="module")
def shards(kitti: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(kitti, tmp_path_factory.mktemp("shards") / "out", "output=webdataset", "copies=2")


def test_a_run_reads_back_as_from_folders(kitti: Path, shards: Path, tmp_path: Path) -> None:
    folder = open_log("folder", run(kitti, tmp_path / "folder", "output=folder", "copies=2"))
    log = open_log("webdataset", shards)
    assert list(log.ids) == list(folder.ids) and len(log) == 4
    assert [log.scene_of(i) for i in log.ids] == [folder.scene_of(i) for i in folder.ids]
    for one, other in zip(log, folder, strict=True):
        assert one.meta.ref == other.meta.ref and list(one.streams) == list(other.streams)
        for name, stream in one.streams.items():
            if isinstance(stream, Camera):
                assert torch.equal(stream.image(0), other[name].image(0))
            if isinstance(stream, Points):
                assert torch.equal(stream.loaded().values["xyz"], other[name].loaded().values["xyz"])


def test_no_dates_no_owners_and_nothing_pickled(shards: Path) -> None:
    for path in shards.glob("*.tar"):
        with tarfile.open(path) as shard:
            members = list(shard)
            assert members and all((m.mtime, m.uid, m.gid, m.uname, m.gname) == (0, 0, 0, "", "") for m in members)
            assert {Path(m.name).suffix for m in members} <= {".json", ".npz", ".png", ".jpg"}
            for member in members:
                if member.name.endswith(".npz"):
                    with np.load(io.BytesIO(shard.extractfile(member).read()), allow_pickle=False) as arrays:
                        assert all(arrays[n].dtype.kind in "biufU" for n in arrays)


@pytest.mark.slow
@pytest.mark.parametrize("words", [["workers=2"], ["shard=1/2"]])
def test_the_same_bytes_however_it_is_made(kitti: Path, shards: Path, tmp_path: Path, words: list[str]) -> None:
    out = tmp_path / "out"
    run(kitti, out, "output=webdataset", "copies=2", *words)
    if words[0].startswith("shard"):
        run(kitti, out, "output=webdataset", "copies=2", "shard=2/2")
        assert main(["merge", str(out)]) == 0
    assert bytes_of(out) == bytes_of(shards)


def test_shards_are_cut_between_samples(kitti: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = open_log("kitti", kitti)[:2]
    monkeypatch.setattr("fusion_aug.logs.packed.writer.MIB", 2**10)  # the log is small
    whole = write_log(log, tmp_path / "a", "webdataset", shard_mb=1)
    assert [p.name for p in sorted((tmp_path / "a").glob("*.tar"))] == ["shard-000000.tar", "shard-000001.tar"]
    assert [s.id for s in whole] == [s.id for s in log]
    with pytest.raises(Exception, match=r"output\.shard_mb: expected a whole number of at least 1, got 0"):
        write_log(log, tmp_path / "b", "webdataset", shard_mb=0)
    with pytest.raises(Exception, match=r"output\.shards: the format 'webdataset' has no such option"):
        write_log(log, tmp_path / "b", "webdataset", shards=0)


def test_jpegs_of_shards_are_copied_not_encoded_again(street: Path, tmp_path: Path) -> None:
    words = ["run", f"log.root={street}", "pipeline=identity", "limit=1"]
    assert main([*words, "log=nuscenes", "output=webdataset", f"out={tmp_path}/a"]) == 0
    words[1] = f"log.root={tmp_path}/a"
    assert main([*words, "log=webdataset", "output=folder", f"out={tmp_path}/b"]) == 0
    log = open_log("nuscenes", street)
    for name, camera in log[0].of_type(Camera).items():
        (written,) = tmp_path.glob(f"b/samples/*/streams/{name}/000000.*")
        assert written.read_bytes() == camera.sources[0].bytes()


def test_check_takes_shards(shards: Path, capsys: Any) -> None:
    assert main(["check", str(shards)]) == 0
    assert "not compared" not in capsys.readouterr().out.replace("\n", " ").split("counts")[-1]


def test_damaged_shards(shards: Path, tmp_path: Path) -> None:
    for name, data, what in (
        ("index.jsonl", b"{", "is not valid JSON"),
        ("index.jsonl", b'{"version": 9}\n', "line 1: this reads webdataset of version 1"),
        ("index.jsonl", TWICE, "line 3: sample 'a' is there twice"),
        ("shard-000000.tar", b"no tar", "is no tar file, or is damaged"),
        ("shard-000000.tar", linked(), "is no plain file"),
    ):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        for file, raw in bytes_of(shards).items():
            (folder / file).write_bytes(data if file == name else raw)
        with pytest.raises(DataError, match=what):
            open_log("webdataset", folder)[0]


def with_members(shards: Path, folder: Path, *names: str) -> Path:
    """The shards with further files in the first of them."""
    folder.mkdir()
    for file, raw in bytes_of(shards).items():
        (folder / file).write_bytes(raw)
    with tarfile.open(folder / "shard-000000.tar", "a") as shard:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 2
            shard.addfile(info, io.BytesIO(b"{}"))
    return folder


FOREIGN = {
    "training/000000.notes.txt": "*.notes.txt",
    "training/000000.radar.extra.json": "*.radar.extra.json",  # a stream without a description
    "training/000000.image_2.notes.json": "*.image_2.notes.json",
    "other/000009.cls": "other/*.cls",
    "../../x.y.json": "../../*.y.json",
}


def test_what_nothing_reads_of_a_shard_is_named(shards: Path, tmp_path: Path, capsys: Any) -> None:
    log = open_log("webdataset", shards)
    assert log.fields()["shard-000000.tar"]() == {"sample.json", "stream.json", "arrays.npz", "pictures"}
    assert account_of(log).not_understood == []
    root = with_members(shards, tmp_path / "log", *FOREIGN)
    (root / "shard-000007.tar").write_bytes(b"")  # which the index does not name
    log = open_log("webdataset", root)
    unknown = {g.example for g in account_of(log).not_understood}
    assert unknown == {"shard-000007.tar", *(f"shard-000000.tar:{pattern}" for pattern in FOREIGN.values())}
    assert main(["run", "log=webdataset", f"log.root={root}", "pipeline=identity", f"out={tmp_path}/out"]) == 0
    text = capsys.readouterr().out
    assert "notes.txt" in text and "other/*.cls" in text
    header = json.loads((tmp_path / "out" / NAME).read_text().splitlines()[0])
    left = {g["example"] for g in header["account"]["fields"] if g.get("understood") is False}
    assert left == {f"shard-000000.tar:{pattern}" for pattern in FOREIGN.values()}


def test_files_of_a_shard_in_a_store_are_not_fetched_to_be_listed(shards: Path) -> None:
    log = open_log("webdataset", shards)
    log.mirror = object()  # type: ignore[assignment]
    assert log.fields()["shard-000000.tar"]() == {"not listed"}
    part = log.field_part("shard-000000.tar", "not listed")
    assert part is not None and part.fate == "left out"


def test_a_file_that_is_there_twice(shards: Path, tmp_path: Path) -> None:
    root = with_members(shards, tmp_path / "log", "training/000000.sample.json")
    with pytest.raises(DataError, match=r"shard-000000\.tar: training/000000\.sample\.json: is there twice"):
        open_log("webdataset", root)[0]


def test_webdataset_reads_them(shards: Path) -> None:
    wds = pytest.importorskip("webdataset")
    urls = [str(p) for p in sorted(shards.glob("*.tar"))]
    samples = list(wds.WebDataset(urls, shardshuffle=False).decode("rgb8"))
    assert [s["sample.json"]["id"] for s in samples] == list(open_log("webdataset", shards).ids)
    first = samples[0]
    ours = open_log("webdataset", shards)[0]
    assert np.array_equal(first["image_2.000000.png"], ours["image_2"].image(0).numpy())
    assert np.array_equal(first["velodyne.arrays.npz"]["values/xyz"], ours["velodyne"].loaded().values["xyz"].numpy())


def test_litdata_reads_them(kitti: Path, tmp_path: Path) -> None:
    litdata = pytest.importorskip("litdata")
    outs = [run(kitti, tmp_path / str(n), "output=litdata", *more) for n, more in enumerate([[], ["workers=1"]])]
    assert bytes_of(outs[0]) == bytes_of(outs[1])
    data = litdata.StreamingDataset(str(outs[0]))
    first = data[0]
    assert first["id"] == open_log("kitti", kitti).ids[0] and json.loads(first["sample.json"])["id"] == first["id"]
    assert all(isinstance(v, bytes) for k, v in first.items() if k != "id")
    with np.load(io.BytesIO(first["velodyne.arrays.npz"]), allow_pickle=False) as arrays:
        assert arrays["values/xyz"].shape[1] == 3
    assert (outs[0] / NAME).is_file()
    with pytest.raises(DataError, match="StreamingDataset reads them"):
        open_log("litdata", outs[0])
