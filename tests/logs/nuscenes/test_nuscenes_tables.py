"""Tables that stay on disk: the answers that lists of all rows would give, in little memory, in every process."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import tracemalloc
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import fusion_aug as fa
from benchmarks.big_tables import write_big_tables
from fusion_aug.logs.core.kept import Kept
from fusion_aug.logs.core.tree import Tree
from fusion_aug.logs.core.twist import twist_at
from fusion_aug.logs.nuscenes import index as index_module
from fusion_aug.logs.nuscenes import steady
from fusion_aug.logs.nuscenes.fields import FIELDS
from fusion_aug.logs.nuscenes.index import Index, value_digest
from fusion_aug.logs.nuscenes.tables import LABEL_TABLES, TABLES, Tables, nanoseconds

VERSION = "v1.0-trainval"
MOST_BYTES = 96  # per row of any table; as dictionaries they take 1,000 and more


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes and a bit, 6,048 records."""
    root = tmp_path_factory.mktemp("big")
    assert write_big_tables(root, 6048) == 6048
    return root


def listed(root: Path, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((root / VERSION / f"{table}.json").read_text())
    return found


# --- answers ---------------------------------------------------------------------------------------------------------
def test_tables_answer_as_lists_do(big: Path) -> None:
    tables = Tables(Tree(big))
    assert set(FIELDS) <= {*TABLES, *LABEL_TABLES}
    for table in TABLES:
        rows, found = listed(big, table), tables.rows(table)
        assert list(found) == rows and len(found) == len(rows) and found.fields == {k for r in rows for k in r}
        assert all(tables.get(table, r["token"]) == r for r in rows[::7])
    of_sample: dict[str, list[Any]] = defaultdict(list)
    for row in sorted(listed(big, "sample_data"), key=lambda r: r["timestamp"]):
        of_sample[row["sample_token"]].append(row)
    boxes: dict[str, list[Any]] = defaultdict(list)
    for row in listed(big, "sample_annotation"):
        boxes[row["sample_token"]].append(row)
    assert len(tables.samples) == len(of_sample) == 84
    for token in tables.samples:
        assert tables.data_of_sample(token) == of_sample[token]
        assert tables.annotations_of_sample(token) == boxes[token]
    assert tables.data_of_sample("none") == tables.annotations_of_sample("none") == []
    sizes: dict[str, Any] = {}
    for row in listed(big, "sample_data"):
        sizes.setdefault(row["calibrated_sensor_token"], (row["height"], row["width"]))
    assert all(tables.picture_size(token) == size for token, size in sizes.items())
    with pytest.raises(fa.DataError, match=r"ego_pose\.json: token 'none' is missing"):
        tables.get("ego_pose", "none")


def test_the_vehicle_moves_as_all_poses_of_its_scene_tell(big: Path) -> None:
    """Of a scene only the poses about a sample are read; all of them tell the same."""
    log: Any = fa.open_log("nuscenes", big)
    tables, samples = log.tables, log.all_ids[:40]
    found: dict[int, Any] = {}
    for token in samples:
        for row in tables.data_of_sample(token):
            found.setdefault(nanoseconds(row), row)
    stamps = sorted(found)
    times, poses = torch.tensor(stamps), tables.ego_poses([found[t] for t in stamps])
    for token in (samples[0], samples[17], samples[-1]):
        sample = log.read(token)
        ego, track = sample["ego"], sample.rig.frames["ego"].pose
        velocity, angular = twist_at(ego.capture_times, times, poses)
        assert torch.equal(ego["velocity"], velocity) and torch.equal(ego["angular_velocity"], angular)
        assert torch.equal(ego["pose"], poses[torch.searchsorted(times, ego.capture_times)])
        first, last = (stamps.index(int(ego.capture_times[i])) for i in (0, -1))
        known = slice(max(first - 1, 0), last + 2)  # one more on either side, for what is between
        own = set(ego.capture_times.tolist())
        kept = [i for i in range(len(stamps))[known] if stamps[i] in own or i in (first - 1, last + 1)]
        assert track.times.tolist() == [stamps[i] for i in kept] and torch.equal(track.poses, poses[kept])


def test_samples_that_files_belong_to(big: Path) -> None:
    log: Any = fa.open_log("nuscenes", big, select="scene-0001", exclude=["RADAR_FRONT", "sweeps/CAM_BACK/*"])
    rows, scene = listed(big, "sample_data"), {r["token"]: r["scene_token"] for r in listed(big, "sample")}
    of_scene = {r["token"]: r["name"] for r in listed(big, "scene")}
    for row in rows[::5]:
        name = row["filename"]
        is_out = "/RADAR_FRONT/" in name or name.startswith("sweeps/CAM_BACK/")
        assert log.files.samples_of(name) == ([] if is_out else [row["sample_token"]])
        selected = of_scene[scene[row["sample_token"]]] == "scene-0001"
        assert log.is_selected_file(name) == (is_out or selected)
    assert log.files.samples_of("samples/LIDAR_TOP/other.pcd.bin") == []
    assert log.files.may_hold("sweeps/CAM_BACK/other.jpg") and not log.files.may_hold("maps/other.png")


def test_tokens_of_any_kind(street: Path, tmp_path: Path) -> None:
    """Names, numbers and other scripts instead of hexadecimal digits; a number is not its text."""
    folder = tmp_path / "log/v1.0-mini"
    shutil.copytree(street / "v1.0-mini", folder)
    odd = ["1", 1, "é", "雨}", "0" * 32, "0" * 31, "", None, [1]]
    (folder / "attribute.json").write_text(json.dumps([{"token": t, "name": i} for i, t in enumerate(odd)]))
    tables: Any = Tables(Tree(tmp_path / "log"))
    assert [tables.get("attribute", t)["name"] for t in odd] == list(range(len(odd)))
    (folder / "visibility.json").write_text(json.dumps([{"token": t} for t in ("a", "b", "c", "b", "a")]))
    with pytest.raises(fa.DataError, match=r"visibility\.json: b: two records have the same token"):
        tables.rows("visibility")


# --- memory ----------------------------------------------------------------------------------------------------------
def held(root: Path) -> tuple[int, int]:
    """Rows of all tables of a log, and bytes that are held when all were read."""
    tables = Tables(Tree(root))
    tracemalloc.start()
    try:
        rows = sum(len(tables.rows(table)) for table in TABLES)
        return rows, tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def test_memory_of_a_row(big: Path, tmp_path: Path) -> None:
    """What is held beside a base is so many bytes per row: the JSON of a row has 350, its dictionary 1,000."""
    write_big_tables(tmp_path, 1440)
    small, large = held(tmp_path), held(big)
    assert large[0] > 4 * small[0]
    assert (large[1] - small[1]) / (large[0] - small[0]) < MOST_BYTES


def test_few_parsed_rows_are_kept() -> None:
    made: list[int] = []

    def make(key: int) -> str:
        made.append(key)
        return str(key)

    kept: Kept[int, str] = Kept(3)
    assert [kept.get(k, make) for k in (1, 2, 1, 3, 4, 4, 1)] == list("1213441")
    assert made == [1, 2, 3, 4, 1]
    again = pickle.loads(pickle.dumps(kept))
    assert again.most == 3 and again.get(4, make) == "4" and made[-1] == 4


# --- processes -------------------------------------------------------------------------------------------------------
def test_a_log_is_sent_with_its_index_and_without_its_rows(street: Path) -> None:
    log: Any = fa.open_log("nuscenes", street)
    expected = [r["token"] for r in log.tables.data_of_sample(log.ids[1])]
    sent = pickle.dumps(log)
    again = pickle.loads(sent)
    assert [r["token"] for r in again.tables.data_of_sample(again.ids[1])] == expected
    assert b'"filename"' not in sent and expected[0].encode() not in sent
    assert again[1].streams.keys() == log[1].streams.keys()


def test_a_log_that_was_sent_before_a_table_changed_is_refused(street: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(street, tmp_path / "log"))
    log: Any = fa.open_log("nuscenes", root)
    log.read(log.ids[0])
    again = pickle.loads(pickle.dumps(log))
    path = root / "v1.0-mini/ego_pose.json"
    path.write_text(path.read_text() + "\n")
    with pytest.raises(fa.DataError, match=r"ego_pose\.json: was changed while it was being read; start again"):
        again.read(again.ids[0])


def test_files_of_tables_are_closed_with_their_log(street: Path) -> None:
    log: Any = fa.open_log("nuscenes", street)
    log.read(log.ids[0])
    path = os.path.realpath(street / "v1.0-mini/sample_data.json")
    assert path in open_files()
    del log
    assert path not in open_files()


def open_files() -> list[str]:
    """Files that this process has open."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one of the listing itself
            found.append(str(entry.readlink()))
    return found


def test_many_logs_keep_few_files_open(big: Path) -> None:
    """As ``ConcatDataset`` has them, one for each scene or part; each log is read by 6 to 9 tables."""
    logs = [Tables(Tree(big)) for _ in range(20)]
    expected = [[r["token"] for r in logs[0].data_of_sample(t)] for t in logs[0].samples[:2]]
    for tables in (*logs, *logs[::-1]):
        tables.splits  # noqa: B018
        found = [[r["token"] for r in tables.data_of_sample(t)] for t in tables.samples[:2]]
        assert found == expected
        assert all(tables.rows(t)[0] for t in ("ego_pose", "sensor", "calibrated_sensor", "instance"))
    tables_open = [path for path in open_files() if path.startswith(os.path.realpath(big))]
    assert 1 < len(tables_open) <= steady.MOST_OPEN < 7 * len(logs)


# --- index -----------------------------------------------------------------------------------------------------------
def test_index_of_values() -> None:
    drawn = np.random.default_rng(0).integers(0, 50, 400).tolist()
    values = [f"value {n}" for n in drawn]
    index = Index(b"".join(map(value_digest, values)))
    assert len(index) == len(set(values))
    for value in {*values, "another"}:
        assert index.rows(value) == [i for i, v in enumerate(values) if v == value]
        assert (value in index) == (value in values)
        assert index.first(value) == (values.index(value) if value in values else None)
    first = [v not in values[:i] for i, v in enumerate(values)]
    assert index.is_first().tolist() == first and index.repeated() == first.index(False)
    empty = Index(b"")
    assert len(empty) == 0 and empty.rows("a") == [] and empty.repeated() is None and "a" not in empty


def test_values_whose_digests_begin_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    words = {"a": (7, 1), "b": (7, 2), "c": (7, 3), "d": (2**64 - 1, 0), "e": (7, 9), "f": (2**64 - 1, 1)}
    monkeypatch.setattr(index_module, "value_digest", lambda v: np.array(words[v], np.uint64).tobytes())
    values = "cabdac"
    index = Index(b"".join(np.array(words[v], np.uint64).tobytes() for v in values))
    assert {v: index.rows(v) for v in words} == {"a": [1, 4], "b": [2], "c": [0, 5], "d": [3], "e": [], "f": []}
