"""Logs whose files or folders lie on another disc, in every format: one rule for links."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import small_logs
from places import ARM
from written import run

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.logs import FORMATS
from fusion_aug.logs.core.account import account_of

FORMAT_NAMES = (
    "kitti", "semantickitti", "nuscenes", "argoverse2", "mmdet3d", "mcap", "lerobot", "robomimic", "folder",
    "webdataset", "aloha", "rlds", "zarr", "rosbag",
)  # fmt: skip
OUTPUT = {name: ["output=folder"] for name in ("rlds", "zarr")}  # which are not written
RIGS = {name: [f"log.rig={ARM / f'{name}_rig.yaml'}"] for name in ("mcap", "lerobot")}


def make(name: str, root: Path, street: Path) -> Path:
    """A small log of a format."""
    if name == "nuscenes":
        return Path(shutil.copytree(street, root))
    if name == "mmdet3d":
        return small_logs.mmdet3d(root, street)
    if name in RIGS:
        return small_logs.arm(root, name)
    if name in ("folder", "webdataset"):
        return run(root, "log=nuscenes", f"log.root={street}", "pipeline=identity", f"output={name}", "limit=1")
    makers: dict[str, Callable[[Path], Path]] = {
        "kitti": small_logs.kitti, "argoverse2": small_logs.argoverse2, "robomimic": small_logs.robomimic,
        "semantickitti": small_logs.semantickitti,
    }  # fmt: skip
    return makers[name](root) if name in makers else Path(getattr(small_logs, name)(root))


def link_files(root: Path, store: Path) -> None:
    """Every file becomes a link to one of another name in one folder, as in the cache of the Hugging Face hub."""
    store.mkdir()
    for number, path in enumerate(sorted(p for p in root.rglob("*") if p.is_file())):
        shutil.move(path, store / f"{number:06d}")
        path.symlink_to(store / f"{number:06d}")


def link_folders(root: Path, store: Path) -> None:
    """Every folder and file of the root becomes a link to another disc."""
    store.mkdir()
    for path in sorted(root.iterdir()):
        shutil.move(path, store / path.name)
        path.symlink_to(store / path.name)


def written_files(out: Path) -> dict[str, bytes]:
    files = (p for p in out.rglob("*") if p.is_file() and p.stem != "run")
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in files}


def everything(log: fa.Log) -> None:
    """Use every item of the first sample."""
    for stream in log[0].streams.values():
        stream.realized()


def test_every_format_is_tried() -> None:
    assert set(FORMAT_NAMES) == {name for name, format in FORMATS.items() if not format.reader.written_only}


@pytest.mark.parametrize("link", [link_files, link_folders])
@pytest.mark.parametrize("name", FORMAT_NAMES)
def test_a_log_on_another_disc(name: str, link: Callable[[Path, Path], None], street: Path, tmp_path: Path) -> None:
    root, store = make(name, tmp_path / "log", street), tmp_path / "disc"
    words = [
        f"log={name}",
        f"log.root={root}",
        "pipeline=identity",
        "limit=1",
        *RIGS.get(name, []),
        *OUTPUT.get(name, []),
    ]
    plain = written_files(run(tmp_path / "plain", *words))
    before = [(g.name, g.count, g.understood) for g in account_of(fa.open_log(name, root)).files]
    link(root, store)
    with pytest.raises(fa.DataError, match=r"is a link to .*; to follow it give log\.follow_links=\[") as refused:
        everything(fa.open_log(name, root))
    assert str(store) in str(refused.value) and "\n" not in str(refused.value)
    linked = run(tmp_path / "linked", *words, f"log.follow_links=[{store}]")
    assert not any(p.is_symlink() for p in linked.rglob("*"))
    found = written_files(linked)
    assert set(found) == set(plain)
    assert [n for n in plain if found[n] != plain[n] and n != "manifest.jsonl"] == []
    assert str(store) not in found["manifest.jsonl"].decode()
    account = account_of(fa.open_log(name, root, follow_links=[str(store)]))
    assert [(g.name, g.count, g.understood) for g in account.files] == before, "known by where they are found"


@pytest.mark.parametrize("name", FORMAT_NAMES)
def test_links_below_the_root_need_no_option(name: str, street: Path, tmp_path: Path) -> None:
    root = make(name, tmp_path / "log", street)
    link_files(root, root / "store")
    words = [
        f"log={name}",
        f"log.root={root}",
        "pipeline=identity",
        "limit=1",
        *RIGS.get(name, []),
        *OUTPUT.get(name, []),
    ]
    assert len(written_files(run(tmp_path / "out", *words))) > 1


@pytest.mark.parametrize("name", FORMAT_NAMES)
def test_a_link_that_leads_nowhere(name: str, street: Path, tmp_path: Path) -> None:
    root = make(name, tmp_path / "log", street)
    link_files(root, tmp_path / "disc")
    shutil.rmtree(tmp_path / "disc")
    (tmp_path / "disc").mkdir()
    with pytest.raises(fa.DataError, match=r"is a link to .*, which does not exist"):
        everything(fa.open_log(name, root, follow_links=[str(tmp_path / "disc")]))


def test_a_check_finds_folders_that_were_named_from_elsewhere(
    street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make("nuscenes", tmp_path / "log", street)
    link_folders(root, tmp_path / "disc")
    monkeypatch.chdir(tmp_path)
    out = run(tmp_path / "out", "log=nuscenes", f"log.root={root}", "pipeline=identity", "limit=1",
              "log.follow_links=[disc]")  # fmt: skip
    monkeypatch.chdir(tmp_path / "disc")
    assert main(["check", str(out)]) == 0
