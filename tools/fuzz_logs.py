"""Small logs and outputs of runs for ``fuzz.py`` to damage."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import small_infos
import small_logs
from places import ARM

import fusion_aug as fa
from calib import save_rig
from fusion_aug import cli

# folder -> the format that it is read as; those of other names than their format
FORMATS = {
    "rig": "kitti", "old": "mmdet3d", "run": "kitti", "arm_run": "robomimic", "street_run": "nuscenes", "half": "kitti",
    "lerobot_v21": "lerobot", "umi": "zarr", "shards_run": "webdataset", "litdata_run": "litdata",
}  # fmt: skip
OPTIONS = {
    "mcap": {"rig": "{root}/mcap_rig.yaml"},
    "lerobot": {"rig": "{root}/lerobot_rig.yaml"},
    "rig": {"rig": "{root}/rig.yaml"},
}
INPUTS = {  # of the outputs
    "run": "kitti", "half": "kitti", "arm_run": "robomimic", "street_run": "nuscenes", "shards_run": "kitti",
    "litdata_run": "kitti",
}  # fmt: skip
MCAP_SECONDS = 0.25


def make(good: Path, only: str) -> None:
    """Write a small log of every format, finished and unfinished runs, and files that are nobody's business.

    Args:
        good: folder of the logs. only: name of the one that is wanted, with what it is made from; "" for all.
    """
    makers: dict[str, Callable[[Path], Any]] = {
        "kitti": small_logs.kitti,
        "semantickitti": partial(small_logs.semantickitti, scans=2),
        "argoverse2": partial(small_logs.argoverse2, sweeps=2),
        "robomimic": partial(small_logs.robomimic, frames=6),
        "mmdet3d": partial(small_infos.write_small, samples=2),
        "old": partial(small_infos.write_small, v2=False, samples=2),
        "nuscenes": _street,
        "mcap": _recording,
        "lerobot": _episodes,
        "lerobot_v21": small_logs.lerobot_v21,
        "aloha": small_logs.aloha,
        "rosbag": small_logs.rosbag,
        "rlds": small_logs.rlds,
        "zarr": small_logs.zarr,
        "umi": small_logs.umi,
        "folder": lambda root: _run(root, good / "kitti", "kitti", "output=folder"),
        "webdataset": lambda root: _run(root, good / "kitti", "kitti", "output=webdataset"),
        "rig": lambda root: save_rig(fa.open_log("kitti", small_logs.kitti(root))[0].rig, root / "rig.yaml"),
        "run": lambda root: _run(root, good / "kitti", "kitti"),
        "half": lambda root: _run(root, good / "kitti", "kitti", "shard=1/1"),
        "arm_run": lambda root: _run(root, good / "robomimic", "robomimic", "pipeline=photometric"),
        "street_run": lambda root: _run(root, good / "nuscenes", "nuscenes", "limit=1"),
        "shards_run": lambda root: _run(root, good / "kitti", "kitti", "output=webdataset"),
        "litdata_run": lambda root: _run(root, good / "kitti", "kitti", "output=litdata"),
    }
    needed = {only, {**INPUTS, "folder": "kitti", "webdataset": "kitti"}.get(only, only)}
    for name, maker in makers.items():
        if not only or name in needed:
            maker(good / name)
    outside, here = good.parent / "outside", good.parent / "here"
    outside.mkdir()
    here.mkdir()
    (outside / "secret.json").write_text('{"secret": 1}')
    (here / "evil.py").write_text("open('it_ran', 'w').close()\n")


def run_words(source: Path, format: str, *more: str) -> list[str]:
    """Words of the run that an output is from."""
    words = ["run", f"log={format}", f"log.root={source}", "workers=0", *more]
    return words if any(w.startswith("pipeline=") for w in more) else [*words, "pipeline=driving"]


def _run(root: Path, source: Path, format: str, *more: str) -> None:
    assert cli.main([*run_words(source, format, *more), f"out={root}"]) == 0


def _street(root: Path) -> None:
    from fusion_aug.synth.drive import Size, make_log

    make_log(root, frames=2, size=Size((90, 160), 90, 23, 1))


def _recording(root: Path) -> None:
    """The beginning of the arm's recording."""
    from mcap.reader import make_reader
    from mcap.writer import Writer

    root.mkdir(parents=True)
    with (ARM / "mcap" / "arm.mcap").open("rb") as source, (root / "arm.mcap").open("wb") as target:
        writer, channels = Writer(target, chunk_size=2**16), {}
        writer.start(profile="ros2")
        start = None
        for schema, channel, message in make_reader(source).iter_messages():
            start = message.log_time if start is None else start
            if message.log_time > start + MCAP_SECONDS * 1e9:
                break
            if channel.topic not in channels:
                kind = writer.register_schema(schema.name, schema.encoding, schema.data)
                channels[channel.topic] = writer.register_channel(
                    channel.topic, channel.message_encoding, kind, channel.metadata
                )
            writer.add_message(channels[channel.topic], message.log_time, message.data, message.publish_time)
        writer.finish()
    _beside("mcap", root)


def _episodes(root: Path) -> None:
    shutil.copytree(ARM / "lerobot", root)
    _beside("lerobot", root)


def _beside(kind: str, root: Path) -> None:
    """Put the rig of the arm, and what it names, into the folder of a log."""
    for path in (*ARM.glob("*.png"), *ARM.glob("*.urdf"), ARM / f"{kind}_rig.yaml"):
        shutil.copy(path, root)
