"""What a data set of episodes holds beside its numbers is kept: lists, tasks, splits, ends. Damage is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from places import ARM

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.errors import UnhandledStream

h5py = pytest.importorskip("h5py")
pq = pytest.importorskip("pyarrow.parquet")


def robomimic(folder: Path, demos: tuple[str, ...] = ("demo_0", "demo_1", "demo_10"), **more: Any) -> Path:
    """Demonstrations of 12 frames; ``more`` are datasets of each."""
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / "a.hdf5", "w") as file:
        for demo in demos:
            group = file.create_group(f"data/{demo}")
            group["obs/robot0_joint_pos"] = np.linspace(0, 1, 84).reshape(12, 7)
            group["obs/robot0_joint_vel"] = np.ones((12, 7), np.float32)
            group["obs/front_image"] = np.zeros((12, 6, 8, 3), np.uint8)
            group["actions"], group["rewards"] = np.zeros((12, 7)), np.arange(12) == 11
            group["dones"] = (np.arange(12) == 11).astype(np.int64)
            for name, value in more.items():
                group[name] = value
        if len(demos) > 2:
            file["mask/train"], file["mask/valid"] = np.array([b"demo_0", b"demo_10"]), np.array([b"demo_1"])
    return folder


def words(kind: str, root: Path, out: Path, *more: str) -> list[str]:
    return ["run", f"log={kind}", f"log.root={root}", f"out={out}", *more]


@pytest.mark.quick
def test_copies_are_in_the_lists_of_their_source(tmp_path: Path) -> None:
    root = robomimic(tmp_path / "log")
    assert main(words("robomimic", root, tmp_path / "out", "pipeline=photometric", "copies=2")) == 0
    with h5py.File(tmp_path / "out" / "a.hdf5") as file:
        lists = {k: sorted(n.decode() for n in v[:]) for k, v in file["mask"].items()}
        assert lists == {"train": ["demo_0", "demo_10", "demo_11", "demo_13"], "valid": ["demo_1", "demo_12"]}
        assert set(lists["train"] + lists["valid"]) == set(file["data"])


@pytest.mark.parametrize("speed", [0.6, 0.8, 1.1, 1.37, 1.8])
def test_the_end_is_never_lost(tmp_path: Path, speed: float) -> None:
    root = robomimic(tmp_path / "log", ("demo_0",))
    warp = [
        "pipeline=identity",
        "+pipeline.transforms.x._target_=fusion_aug.SpeedWarp",
        f"+pipeline.transforms.x.speed={speed}",
    ]
    assert main(words("robomimic", root, tmp_path / "out", *warp, "log.exclude=[actions]")) == 0
    with h5py.File(tmp_path / "out" / "a.hdf5") as file:
        for name in ("dones", "rewards"):
            assert bool(file[f"data/demo_0/{name}"][-1]) and int(file[f"data/demo_0/{name}"][:].sum()) <= 2, name


def test_states_of_a_simulator_are_not_taken_along(tmp_path: Path) -> None:
    log = fa.open_log("robomimic", robomimic(tmp_path / "log", ("demo_0",), states=np.zeros((12, 30))))
    sample = log[0].with_streams({"states": log[0]["states"]})
    with pytest.raises(UnhandledStream, match=r"'states'.* leave the feature out with log\.exclude"):
        fa.MirrorScene()(sample)
    assert fa.Brightness(factor=1.2)(log[0])["states"] is not None


def linked(file: Any) -> None:
    del file["data/demo_0/dones"]
    file["data/demo_0/dones"] = h5py.ExternalLink("/etc/hostname", "/x")


def outside(file: Any) -> None:
    del file["data/demo_0/obs/robot0_joint_vel"]
    file["data/demo_0/obs"].create_dataset(
        "robot0_joint_vel", (12, 7), "f4", external=[("/etc/hostname", 0, 12 * 7 * 4)]
    )


def virtual(file: Any) -> None:
    del file["data/demo_0/dones"]
    layout = h5py.VirtualLayout((12,), "i8")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", shape=(12,))
    file["data/demo_0"].create_virtual_dataset("dones", layout)


def worded(file: Any) -> None:
    del file["data/demo_0/dones"]
    file["data/demo_0/dones"] = np.array([b"x"] * 12)


def flat(file: Any) -> None:
    del file["data/demo_0"]
    file["data/demo_0"] = np.zeros(3)


def empty(file: Any) -> None:
    del file["data/demo_0"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (linked, "/data/demo_0/dones: is a link to another file"),
        (outside, "robot0_joint_vel: its data lie in another file"),
        (virtual, "dones: its data lie in another file"),
        (worded, "demo_0/dones: a row of |S1"),
        (flat, "data/demo_0: expected a group"),
        (empty, "data: holds no demonstration"),
    ],
)
def test_a_file_reads_nothing_but_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Any], None], message: str
) -> None:
    root = robomimic(tmp_path / "log", ("demo_0",))
    with h5py.File(root / "a.hdf5", "a") as file:
        damage(file)
    assert main(words("robomimic", root, tmp_path / "out", "pipeline=photometric")) == 2
    errors = capsys.readouterr().err
    assert message in errors and "a.hdf5" in errors
    assert not (tmp_path / "out").exists()


# --- LeRobot ---------------------------------------------------------------------------------------------------------
def lerobot(target: Path) -> Path:
    return Path(shutil.copytree(ARM / "lerobot", target, copy_function=shutil.copy))


def table(root: Path) -> tuple[Path, Any]:
    path = next((root / "data").rglob("*.parquet"))
    return path, pq.read_table(path)


def with_column(found: Any, name: str, values: list[Any]) -> Any:
    import pyarrow as pa

    i = found.column_names.index(name) if name in found.column_names else None
    column = pa.array(values) if i is None else pa.array(values, type=found.schema.field(i).type)
    return found.append_column(name, column) if i is None else found.set_column(i, found.schema.field(i), column)


def info(root: Path, **changes: Any) -> None:
    path = root / "meta" / "info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_tasks_of_frames_and_ends_are_kept(tmp_path: Path) -> None:
    import pyarrow as pa

    root = lerobot(tmp_path / "log")
    path, found = table(root)
    n = len(found)
    found = with_column(found, "task_index", [int(k >= 20) for k in range(n)]).replace_schema_metadata(None)
    found = found.append_column("next.done", pa.array([k == n - 1 for k in range(n)]))
    pq.write_table(found, path)
    old = pq.read_table(root / "meta" / "tasks.parquet")
    name = next(c for c in old.column_names if c != "task_index")
    pq.write_table(pa.table({"task_index": [0, 1], name: ["push", "turn left"]}), root / "meta" / "tasks.parquet")
    features = json.loads((root / "meta" / "info.json").read_text())["features"]
    info(root, features=features | {"next.done": {"dtype": "bool", "shape": [1], "names": None}}, total_tasks=2)
    rig = (f"log.rig={ARM / 'lerobot_rig.yaml'}", "log.exclude=['*images*','*tactile*']")
    mirror = ["pipeline=identity", "+pipeline.transforms.m._target_=fusion_aug.MirrorRobot",
              "+pipeline.transforms.x._target_=fusion_aug.SpeedWarp", "+pipeline.transforms.x.speed=0.8"]  # fmt: skip
    assert main(words("lerobot", root, tmp_path / "out", *rig, *mirror)) == 0
    assert main(["check", str(tmp_path / "out")]) == 0
    written = table(tmp_path / "out")[1]
    tasks = written["task_index"].to_pylist()
    assert tasks == sorted(tasks) and 24 <= tasks.index(1) <= 26, "20 frames at 0.8 times the speed"
    sentences = pq.read_table(tmp_path / "out/meta/tasks.parquet")[name].to_pylist()
    assert sentences == ["push", "turn right"]
    assert written["next.done"].to_pylist()[-1] is True and sum(written["next.done"].to_pylist()) <= 2
    episode = pq.read_table(next((tmp_path / "out/meta/episodes").rglob("*.parquet"))).to_pylist()[0]
    assert episode["tasks"] == sentences and episode["length"] == len(tasks)


def test_splits_are_kept_with_copies(real_data: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(real_data / "panda_lift" / "lerobot_v3", tmp_path / "log", copy_function=shutil.copy))
    (root / "meta" / "info.json").chmod(0o644)
    info(root, splits={"train": "0:1", "val": "1:2"})
    assert (
        main(words("lerobot", root, tmp_path / "out", "pipeline=identity", "copies=2", "log.exclude=[*images*]")) == 0
    )
    assert json.loads((tmp_path / "out/meta/info.json").read_text())["splits"] == {"train": "0:2", "val": "2:4"}
    index = [pq.read_table(p)["index"].to_pylist() for p in sorted((tmp_path / "out/data").rglob("*.parquet"))]
    assert np.concatenate(index).tolist() == list(range(sum(map(len, index)))), (
        "files follow one another as their frames do"
    )
    assert main(["check", str(tmp_path / "out")]) == 0


def episodes(root: Path, change: Callable[[dict[str, Any]], None]) -> None:
    import pyarrow as pa

    path = next((root / "meta" / "episodes").rglob("*.parquet"))
    rows = pq.read_table(path).to_pylist()
    for row in rows:
        change(row)
    pq.write_table(pa.Table.from_pylist(rows), path)


def stamped(root: Path, change: Callable[[float], float]) -> None:
    path, found = table(root)
    pq.write_table(with_column(found, "timestamp", [change(t) for t in found["timestamp"].to_pylist()]), path)


def reshaped(root: Path) -> None:
    features = json.loads((root / "meta" / "info.json").read_text())["features"]
    info(root, features=features | {"observation.state": features["observation.state"] | {"shape": [10**9]}})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda r: info(r, chunks_size=0), "info.json: chunks_size: expected a whole number above 0, got 0"),
        (lambda r: info(r, splits={"train": "all"}), "info.json: splits.train: expected START:STOP, got 'all'"),
        (lambda r: episodes(r, lambda row: row.update(length=None)), "meta/episodes: length: expected whole numbers"),
        (lambda r: episodes(r, lambda row: row.pop("data/file_index")), "meta/episodes: data/file_index"),
        (lambda r: info(r, fps=60), "timestamp: is not one frame after the other at 60 fps"),
        (lambda r: stamped(r, lambda t: float("nan")), "timestamp: is not one frame after the other"),
        (reshaped, "observation.state: rows of"),
        (lambda r: pq.write_table((t := table(r))[1].drop_columns(["task_index"]), t[0]), "'task_index' is missing"),
    ],
)  # fmt: skip
def test_damaged_tables_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None], message: str
) -> None:
    root = lerobot(tmp_path / "log")
    damage(root)
    assert main(words("lerobot", root, tmp_path / "out", "pipeline=photometric")) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_metadata_that_nobody_could_read_is_left_out(tmp_path: Path) -> None:
    root = lerobot(tmp_path / "log")
    path, found = table(root)
    pq.write_table(found.replace_schema_metadata({b"huggingface": b"{"}), path)
    assert main(words("lerobot", root, tmp_path / "out", "pipeline=identity")) == 0
    assert b"huggingface" not in (table(tmp_path / "out")[1].schema.metadata or {})
