"""The cases of ``make changed-inputs``: logs of every format, with the files that options name."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from kill_cases import ARM, LIGHT, cases
from kill_watch import command

FORMATS = (
    "kitti", "semantickitti", "nuscenes", "argoverse2", "mmdet3d", "mcap", "lerobot", "lerobot v2.1", "robomimic",
    "aloha", "rosbag", "folder",
)  # fmt: skip
PLUGIN = """import fusion_aug as fa
import own_numbers


class OwnLight(fa.Brightness):
    pass
"""
Maker = Callable[[Path], list[str]]  # makes inputs below a folder; the words of a run of two samples from there


def makers() -> dict[str, Maker]:
    """Name -> what makes a case: logs of every format, outputs of ours as logs, and what options name."""
    own = {name: _plain(name) for name in FORMATS} | {"mcap": _mcap, "lerobot": _lerobot}
    return own | {f"{name} again": _again(maker) for name, maker in own.items()} | {"plugin": _plugin, "links": _links}


def _plain(name: str) -> Maker:
    case = cases()[name]

    def make(folder: Path) -> list[str]:
        folder.mkdir(parents=True, exist_ok=True)
        root = case.make(folder / "log")
        shutil.rmtree(folder / "street", ignore_errors=True)  # which info files were made of
        return [*(w for w in case.words if not w.startswith("link=")), f"log.root={root}"]

    return make


def _again(maker: Maker) -> Maker:
    """What a run of ours writes, a sample and its copy, as the log of the next."""

    def make(folder: Path) -> list[str]:
        words = maker(folder / "before")
        mount = "+pipeline.transforms.mount={_target_: fusion_aug.Miscalibrate, sensors: ['*'], z_deg: 1}"
        robots = tuple(f"log={name}" for name in ("mcap", "lerobot", "robomimic", "aloha", "rosbag"))
        named = [] if any(w.startswith(robots) for w in words) else [mount]
        command(["run", *words, *named, "pipeline=identity", "keep_original=true", "limit=1", "lossy=true",
                 f"out={folder / 'log'}"])  # fmt: skip
        if (folder / "before/beside").is_dir():
            shutil.move(folder / "before/beside", folder / "beside")
        shutil.rmtree(folder / "before")
        return [w.replace(f"{folder}/before/", f"{folder}/") for w in words]

    return make


def _rig(folder: Path, name: str) -> str:
    """A rig file with the description and the pictures that it names, beside the log."""
    beside = folder / "beside"
    beside.mkdir(parents=True)
    for path in (ARM / f"{name}_rig.yaml", ARM / "arm.urdf", *ARM.glob("tactile_*.png")):
        shutil.copyfile(path, beside / path.name)
    return f"log.rig={beside}/{name}_rig.yaml"


def _mcap(folder: Path) -> list[str]:
    words = [w for w in _plain("mcap")(folder) if w != LIGHT]
    return [*words, _rig(folder, "mcap"), LIGHT[:-1] + ", cameras: null}"]  # all but gels


def _lerobot(folder: Path) -> list[str]:
    words = [w for w in _plain("lerobot")(folder) if not w.startswith("log.rig=")]
    return [*words, _rig(folder, "lerobot")]


def _plugin(folder: Path) -> list[str]:
    words = _plain("kitti")(folder)
    (folder / "own_light.py").write_text(PLUGIN)
    (folder / "own_numbers.py").write_text("FACTOR = 1.25  # of the lamps of our hall, as they were measured\n")
    return [*words, "plugins=[own_light]", "+pipeline.transforms.own={_target_: own_light.OwnLight, factor: 1.1}"]


def _links(folder: Path) -> list[str]:
    """A log whose pictures lie on another disk."""
    words, disk = _plain("kitti")(folder), folder / "disk"
    for name in ("image_2", "velodyne"):
        disk.mkdir(exist_ok=True)
        shutil.move(folder / "log/training" / name, disk / name)
        (folder / "log/training" / name).symlink_to(disk / name)
    return [*words, f"log.follow_links=[{disk}]"]
