"""The cases of ``make kill``: small logs of two samples in every format, and what is done with them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from kill_watch import command

REPOSITORY = Path(__file__).resolve().parents[1]
ARM, DRIVE = REPOSITORY / "datasets" / "arm", REPOSITORY / "datasets" / "drive"

TURN = "+pipeline.transforms.turn={_target_: fusion_aug.RotateScene, yaw_deg: 5}"
LIGHT = "+pipeline.transforms.light={_target_: fusion_aug.Brightness, factor: 1.2}"
FRONT_LIGHT = LIGHT[:-1] + ", cameras: [front]}"
LEFT_OUT = (
    "CAM_FRONT_LEFT", "CAM_FRONT_RIGHT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_BACK_RIGHT",
    "RADAR_FRONT_LEFT", "RADAR_FRONT_RIGHT",
)  # fmt: skip
RUN = "run"  # name of a finished run below an output
Words = list[str]


class Case(NamedTuple):
    """What is killed.

    Attributes:
        make: makes the log below a folder, and returns its root.
        words: of a run of it, but ``out``.
        commands: from the words of the run and the output to what is done, command after command.
        of_run: whether it is done with a finished run, which lies in the output below ``RUN``.
        reads: whether it only reads, and is killed there.
        as_run: whether it has to come to the same bytes as a run by one command.
    """

    make: Callable[[Path], Path]
    words: tuple[str, ...]
    commands: Callable[[Words, Path], list[Words]] = lambda words, out: [["run", *words, f"out={out}"]]
    of_run: bool = False
    reads: bool = False
    as_run: bool = False


def cases() -> dict[str, Case]:
    """Name -> a run of two samples of every format, and of every one that logs of others are written in; then shards,
    and what is done with finished runs.
    """
    import small_logs

    both = (TURN, LIGHT)
    runs = {
        "kitti": Case(small_logs.kitti, ("log=kitti", *both)),
        "semantickitti": Case(lambda root: small_logs.semantickitti(root, 2), ("log=semantickitti", *both)),
        "nuscenes": Case(street, ("log=nuscenes", "link=hard", *both)),
        "argoverse2": Case(lambda root: small_logs.argoverse2(root, 2), ("log=argoverse2", *both)),
        "mmdet3d": Case(infos, ("log=mmdet3d", *both)),
        "mcap": Case(short_mcap, ("log=mcap", "log.window=0.1", LIGHT)),
        "lerobot": Case(short_lerobot, ("log=lerobot", f"log.rig={ARM}/lerobot_rig.yaml", FRONT_LIGHT)),
        "robomimic": Case(small_logs.robomimic, ("log=robomimic", LIGHT)),
        "lerobot v2.1": Case(small_logs.lerobot_v21, ("log=lerobot", FRONT_LIGHT)),
        "aloha": Case(small_logs.aloha, ("log=aloha", LIGHT)),
        "rosbag": Case(small_logs.rosbag, ("log=rosbag", LIGHT)),
        "folder": Case(folder, ("log=folder", *both)),
        "to nuscenes": Case(small_logs.kitti, ("log=kitti", "output=nuscenes", *both)),
        "to webdataset": Case(small_logs.kitti, ("log=kitti", "output=webdataset", *both)),
        "to litdata": Case(small_logs.kitti, ("log=kitti", "output=litdata", *both)),
    }
    more = {
        f"{name} in shards": runs[name]._replace(commands=in_shards((3, 1, 2)), as_run=True)
        for name in ("kitti", "argoverse2", "robomimic", "lerobot", "lerobot v2.1", "aloha", "rosbag")
    }
    more["one shard"] = runs["kitti"]._replace(commands=in_shards((1,)), as_run=True)
    for name in ("kitti", "nuscenes", "argoverse2", "mcap", "lerobot", "lerobot v2.1", "robomimic", "aloha", "rosbag"):
        more[f"replay {name}"] = runs[name]._replace(commands=replayed, of_run=True)
    for name in ("kitti", "lerobot"):
        more[f"show {name}"] = runs[name]._replace(commands=shown, of_run=True)
        more[f"record {name}"] = runs[name]._replace(commands=recorded, of_run=True)
        more[f"check {name}"] = runs[name]._replace(commands=checked, of_run=True, reads=True)
    return runs | more


# --- commands --------------------------------------------------------------------------------------------------------
def in_shards(order: Sequence[int]) -> Callable[[Words, Path], list[Words]]:
    """A run in as many shards, in an order, and their merge."""
    return lambda words, out: [
        *(["run", *words, f"out={out}", f"shard={i}/{len(order)}"] for i in order), ["merge", str(out)]
    ]  # fmt: skip


def replayed(words: Words, out: Path) -> list[Words]:
    """The last sample of a run again, as a log of its own."""
    lines = (out / RUN / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    return [["replay", str(out / RUN), json.loads(lines[-1])["id"], f"out={out / 'again'}"]]


def shown(words: Words, out: Path) -> list[Words]:
    """Pictures of a run, in a folder that is not there yet."""
    return [["show", str(out / RUN), f"out={out / 'pictures' / name}"] for name in ("a.png", "b.jpg")]


def recorded(words: Words, out: Path) -> list[Words]:
    """A recording of a run."""
    return [["show", str(out / RUN), "--rerun", f"out={out / 'pictures' / 'a.rrd'}"]]


def checked(words: Words, out: Path) -> list[Words]:
    """A check of a run, which writes nothing."""
    return [["check", str(out / RUN)]]


# --- logs ------------------------------------------------------------------------------------------------------------
def street(root: Path) -> Path:
    """Two keyframes of the recorded street with their sweeps, and a sensor of each kind, as nuScenes."""
    written(root, f"log.root={DRIVE}", "limit=2")
    for name in ("run.csv", "run.json", "manifest.jsonl"):  # it is a log of its own
        (root / name).unlink()
    tables = root / "v1.0-mini"
    rows = {name: json.loads((tables / f"{name}.json").read_text()) for name in ("calibrated_sensor", "sample_data")}
    sensors = {s["token"]: s["channel"] for s in json.loads((tables / "sensor.json").read_text())}
    mounts = {c["token"]: sensors[c["sensor_token"]] for c in rows["calibrated_sensor"]}
    for row in rows["sample_data"]:
        if mounts[row["calibrated_sensor_token"]] in LEFT_OUT:
            (root / row["filename"]).unlink()
    kept = [r for r in rows["sample_data"] if mounts[r["calibrated_sensor_token"]] not in LEFT_OUT]
    (tables / "sample_data.json").write_text(json.dumps(kept))
    return root


def folder(root: Path) -> Path:
    """The same in the exact format."""
    return written(root, f"log.root={street(root.with_name('street'))}", "output=folder")


def written(root: Path, *words: str) -> Path:
    """What a run writes of a street that it does not change."""
    command(["run", "log=nuscenes", "pipeline=identity", f"out={root}", *words])
    return root


def infos(root: Path) -> Path:
    """The same two keyframes as info files, which name nothing of radars."""
    import small_logs

    small_logs.mmdet3d(root, street(root.with_name("street")))
    for path in root.glob("*/RADAR*"):
        shutil.rmtree(path)
    return root


def short_mcap(root: Path, seconds: float = 0.2) -> Path:
    """The first messages of the recorded arm, in small chunks, which are read fast."""
    from mcap.reader import make_reader
    from mcap.writer import Writer

    root.mkdir()
    with (ARM / "mcap/arm.mcap").open("rb") as source, (root / "arm.mcap").open("wb") as target:
        reader, writer = make_reader(source), Writer(target, chunk_size=2**16)
        summary = reader.get_summary()
        assert summary is not None and summary.statistics is not None
        writer.start(profile=reader.get_header().profile)
        schemas = {k: writer.register_schema(s.name, s.encoding, s.data) for k, s in summary.schemas.items()}
        channels = {
            k: writer.register_channel(c.topic, c.message_encoding, schemas[c.schema_id], dict(c.metadata))
            for k, c in summary.channels.items()
        }
        end = summary.statistics.message_start_time + round(seconds * 1e9)
        for _, channel, message in reader.iter_messages(end_time=end):
            writer.add_message(
                channels[channel.id], message.log_time, message.data, message.publish_time, message.sequence
            )
        writer.finish()
    return root


def short_lerobot(root: Path, frames: int = 6) -> Path:
    """The first frames of the recorded arm, as two episodes in one file of every kind."""
    import pyarrow as pa
    from pyarrow import parquet

    shutil.copytree(ARM / "lerobot", root)
    data, episodes = root / "data/chunk-000/file-000.parquet", root / "meta/episodes/chunk-000/file-000.parquet"
    table = parquet.read_table(data).slice(0, 2 * frames)
    again = [*range(frames), *range(frames)]
    times = pa.array(table["timestamp"].to_pylist()[:frames] * 2, table["timestamp"].type)
    columns = {"frame_index": again, "episode_index": [0] * frames + [1] * frames, "timestamp": times}
    for name, values in columns.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(at, table.schema.field(at), pa.array(values, table.schema.field(at).type))
    parquet.write_table(table, data)
    old = parquet.read_table(episodes)
    rows = [dict(old.to_pylist()[0]) for _ in range(2)]
    info = json.loads((root / "meta/info.json").read_text())
    for k, row in enumerate(rows):
        row |= {"episode_index": k, "length": frames}
        row |= {"dataset_from_index": k * frames, "dataset_to_index": (k + 1) * frames}
        for name in (n for n in row if n.startswith("videos/")):
            if name.endswith("_timestamp"):
                row[name] = (k + name.endswith("to_timestamp")) * frames / info["fps"]
    parquet.write_table(pa.Table.from_pylist(rows, old.schema), episodes)
    info |= {"total_episodes": 2, "total_frames": 2 * frames, "splits": {"train": "0:2"}}
    (root / "meta/info.json").write_text(json.dumps(info))
    return root
