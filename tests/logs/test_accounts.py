"""Every file and field of every format is accounted for: planted unknown ones show before a run and in its account."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import small_logs
from argoverse_log import make_maps
from places import ARM, DRIVE
from plants import PLANTS

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.logs.core.account import account_of
from fusion_aug.logs.core.contents import KEPT, LEFT_OUT

RIGS = {"mcap": ARM / "mcap_rig.yaml", "lerobot": ARM / "lerobot_rig.yaml"}


def kitti(root: Path, street: Path) -> Path:
    return small_logs.kitti(root, frames=1)


def nuscenes(root: Path, street: Path) -> Path:
    return Path(shutil.copytree(street, root))


def mmdet3d(root: Path, street: Path) -> Path:
    """The street without its radars, of which info files name nothing."""
    small_logs.mmdet3d(root, street)
    for path in root.glob("*/RADAR*"):
        shutil.rmtree(path)
    return root


def folder(root: Path, street: Path) -> Path:
    words = ["log=nuscenes", f"log.root={street}", "pipeline=identity", "output=folder", "limit=1", f"out={root}"]
    assert main(["run", *words]) == 0
    return root


MAKERS: dict[str, Callable[[Path, Path], Path]] = {
    "kitti": kitti,
    "semantickitti": lambda root, street: small_logs.semantickitti(root, scans=1),
    "nuscenes": nuscenes,
    "argoverse2": lambda root, street: small_logs.argoverse2(root, sweeps=1),
    "mmdet3d": mmdet3d,
    "mcap": lambda root, street: small_logs.arm(root, "mcap"),
    "lerobot": lambda root, street: small_logs.arm(root, "lerobot"),
    "robomimic": lambda root, street: small_logs.robomimic(root, demos=1),
    "aloha": lambda root, street: small_logs.aloha(root),
    "rosbag": lambda root, street: small_logs.rosbag(root),
    "folder": folder,
}


def words(kind: str, root: Path) -> list[str]:
    rig = [f"log.rig={RIGS[kind]}"] if kind in RIGS else []
    return [f"log={kind}", f"log.root={root}", *rig]


@pytest.mark.parametrize("kind", MAKERS)
def test_what_nothing_knows_shows_before_a_run_and_in_its_account(
    kind: str, street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = MAKERS[kind](tmp_path / "log", street)
    clean = account_of(fa.open_log(kind, root, **({"rig": str(RIGS[kind])} if kind in RIGS else {})))
    assert not clean.not_understood
    fields = PLANTS[kind](root)
    (root / "mine").mkdir()
    deepest = max((p for p in root.rglob("*") if p.is_dir()), key=lambda p: (len(p.parts), str(p)))
    planted = [root / "mine_a.xyz", deepest / "mine_b.xyz"]
    for path in planted:
        path.write_text("x")
    assert main(["inspect", *words(kind, root)]) == 0
    told = capsys.readouterr().out
    assert "not understood" in told
    for name in (*fields, "mine_a.xyz", "mine_b.xyz"):
        assert name in told, f"inspect does not name {name}"
    out = tmp_path / "out"
    assert main(["run", *words(kind, root), "pipeline=identity", "limit=1", f"out={out}"]) == 0
    told = capsys.readouterr().out
    account = json.loads((out / "manifest.jsonl").read_text().splitlines()[0])["account"]
    listed = [*account["files"], *account["fields"]]
    unknown = {g["name"]: g for g in listed if not g.get("understood", True)}
    for name in (*fields, "mine_a.xyz", "mine_b.xyz"):
        group = next((g for n, g in unknown.items() if name in n), None)
        group = group or next((g for g in listed if any(name in f for f in g.get("fields", ()))), None)
        assert group is not None, f"the account of the run does not name {name}"
        assert group["fate"] in (KEPT, LEFT_OUT) and (name in told or "fields" in group)
    for path in planted:
        assert unknown[path.relative_to(root).as_posix()]["fate"] == LEFT_OUT
        assert not (out / path.relative_to(root)).exists()


@pytest.mark.parametrize("kind", MAKERS)
def test_what_a_run_writes_is_understood_again(kind: str, street: Path, tmp_path: Path) -> None:
    """Copies, sidecars, the manifest and all."""
    root, out = MAKERS[kind](tmp_path / "log", street), tmp_path / "out"
    assert main(["run", *words(kind, root), "pipeline=identity", "limit=1", "copies=2", f"out={out}"]) == 0
    assert not_understood(kind, out, **({"rig": str(RIGS[kind])} if kind in RIGS else {})) == []


BESIDE_SAMPLES = {
    "kitti": {"training/planes/*.txt"},
    "nuscenes": {"*/log.json", "*/map.json", "*/attribute.json", "maps/**", "*/scene.json:name",
                 "*/sample_annotation.json:attribute_tokens", "*/sample_annotation.json:num_lidar_pts"},
    "argoverse2": {"**/map/log_map_archive_*.json", "**/map/*___img_Sim2_city.json",
                   "**/annotations.feather:num_interior_pts"},
}  # fmt: skip


@pytest.mark.parametrize("kind", BESIDE_SAMPLES)
def test_what_no_sample_holds_is_left_out_by_name_in_another_format(
    kind: str, street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, out = MAKERS[kind](tmp_path / "log", street), tmp_path / "out"
    if kind == "kitti":
        (root / "training/planes").mkdir(exist_ok=True)
        (root / "training/planes/000000.txt").write_text("# Plane\nWidth 4\nHeight 1\n0 -1 0 1.65\n")
    if kind == "argoverse2":
        maps = next(root.rglob("calibration")).with_name("map")
        shutil.rmtree(maps)
        make_maps(maps, "LOG")
    own = {
        g.name: g.fate for account in [account_of(fa.open_log(kind, root))] for g in (*account.files, *account.fields)
    }
    assert not any(own[name] == LEFT_OUT for name in BESIDE_SAMPLES[kind])
    assert main(["run", *words(kind, root), "pipeline=identity", "limit=1", "output=folder", f"out={out}"]) == 0
    told = "".join(capsys.readouterr().out.split())
    assert all(name in told for name in BESIDE_SAMPLES[kind])
    account = json.loads((out / "manifest.jsonl").read_text().splitlines()[0])["account"]
    fates = {g["name"]: g["fate"] for g in (*account["files"], *account["fields"])}
    assert all(fates[name] == LEFT_OUT for name in BESIDE_SAMPLES[kind])
    tables = [name.partition(":")[0] for name in fates if ":" in name]
    assert not any(fates.get(table) == LEFT_OUT for table in tables), "no fields of what is left out as a whole"


REAL = {
    "kitti": "kitti", "nuscenes": "nuscenes", "argoverse2": "argoverse2", "mcap": "panda_lift/panda_lift_mcap",
    "lerobot": "panda_lift/lerobot_v3",
}  # fmt: skip


def not_understood(kind: str, root: Path, **options: Any) -> list[str]:
    return [g.name for g in account_of(fa.open_log(kind, root, **options)).not_understood]


@pytest.mark.quick
@pytest.mark.parametrize("kind, root", [("nuscenes", DRIVE), ("mcap", ARM / "mcap"), ("lerobot", ARM / "lerobot")])
def test_everything_of_the_sample_logs_is_understood(kind: str, root: Path) -> None:
    assert not_understood(kind, root, **({"rig": str(RIGS[kind])} if kind in RIGS else {})) == []


@pytest.mark.parametrize("kind", REAL)
def test_everything_of_the_real_logs_is_understood(kind: str, real_data: Path) -> None:
    assert not_understood(kind, real_data / REAL[kind]) == []


def test_the_robomimic_file_among_other_things_is_understood(real_data: Path) -> None:
    """Its folder holds other logs too; of the file itself everything is."""
    account = account_of(fa.open_log("robomimic", real_data / "panda_lift"))
    assert all(g.understood for g in account.fields) and any(g.name == "*.hdf5" for g in account.files)
