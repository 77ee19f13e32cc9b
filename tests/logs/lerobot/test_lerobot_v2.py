"""LeRobotDataset v2.1 and v2.0, of which ``tests/data`` holds a set that lerobot 0.3.3 made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import small_logs
from small_logs import LEROBOT_V21_PARTS as PARTS

import fusion_aug as fa
from fusion_aug.cli import main

pq, av = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("av")
MIRROR = "+pipeline.transforms.mirror={_target_: fusion_aug.MirrorScene, axis: y, p: 1.0}"
DARKER = "+pipeline.transforms.dark={_target_: fusion_aug.Brightness, factor: 0.8}"
WARP = "+pipeline.transforms.warp={_target_: fusion_aug.TimeWarp, slowest: 0.8, fastest: 0.8, period: [2, 6]}"
SIGNS = np.array([1, -1, 1, -1, 1, -1])  # of x y z roll pitch yaw in the plane's mirror


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return small_logs.lerobot_v21(tmp_path / "log")


def run(root: Path, out: Path, *words: str) -> Path:
    assert main(["run", "log=lerobot", f"log.root={root}", f"out={out}", *words]) == 0
    return out


def table(root: Path, episode: int = 0) -> Any:
    return pq.read_table(root / f"data/chunk-000/episode_{episode:06d}.parquet")


def rows(root: Path, feature: str, episode: int = 0) -> np.ndarray:
    return np.array(table(root, episode)[feature].to_pylist())


def lines(root: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / "meta" / f"{name}.jsonl").read_text().splitlines()]


def video(root: Path, episode: int = 0) -> np.ndarray:
    path = root / f"videos/chunk-000/observation.images.front/episode_{episode:06d}.mp4"
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def as_v20(root: Path) -> Path:
    """The set as version 2.0 had it: statistics of all episodes only, without counts."""
    stats = [e["stats"] for e in lines(root, "episodes_stats")]
    whole = {f: {n: v for n, v in stats[0][f].items() if n != "count"} for f in stats[0]}
    (root / "meta/stats.json").write_text(json.dumps(whole))
    (root / "meta/episodes_stats.jsonl").unlink()
    info = json.loads((root / "meta/info.json").read_text()) | {"codebase_version": "v2.0"}
    (root / "meta/info.json").write_text(json.dumps(info))
    return root


def test_what_is_read_is_what_lies_there(root: Path) -> None:
    sample = fa.open_log("lerobot", root)[1]
    assert np.array_equal(sample["state"]["value"].numpy(), rows(root, "observation.state", 1).astype(np.float32))
    assert list(sample["task"]["text"]) == [lines(root, "tasks")[1]["task"]]
    cell = table(root, 1)["observation.images.wrist"][3].as_py()["bytes"]
    picture = cv2.imdecode(np.frombuffer(cell, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.array_equal(sample["wrist"].image(3).numpy(), picture)
    assert np.array_equal(sample["front"].image(5).numpy(), video(root, 1)[5])


def test_identity_copies_every_byte(root: Path, tmp_path: Path) -> None:
    out = run(root, tmp_path / "out", "pipeline=identity")
    names = sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())
    assert [n for n in names if (out / n).read_bytes() != (root / n).read_bytes()] == ["meta/info.json"]
    infos = [json.loads((r / "meta/info.json").read_text()) for r in (root, out)]
    assert infos[0] == infos[1]  # which ends with a new line
    assert main(["check", str(out)]) == 0


def test_copies_have_numbers_of_their_own(root: Path, tmp_path: Path) -> None:
    out = run(root, tmp_path / "out", "pipeline=identity", "copies=2", "log.select=episode_000001")
    assert [(e["episode_index"], e["length"]) for e in lines(out, "episodes")] == [(0, 8), (1, 8)]
    assert [t["task"] for t in lines(out, "tasks")] == [lines(root, "tasks")[1]["task"]]
    assert rows(out, "index", 1).tolist() == list(range(8, 16)) and set(rows(out, "task_index")) == {0}
    assert np.array_equal(video(out, 1), video(root, 1))
    info = json.loads((out / "meta/info.json").read_text())
    counts = [info[f"total_{n}"] for n in ("episodes", "frames", "tasks", "videos", "chunks")]
    assert counts == [2, 16, 1, 2, 1] and info["splits"] == {"train": "0:2"}
    assert main(["check", str(out)]) == 0


def test_a_mirror_moves_poses_pictures_and_words(root: Path, tmp_path: Path) -> None:
    out = run(root, tmp_path / "out", "pipeline=identity", MIRROR, PARTS)
    for feature in ("observation.state", "action"):
        np.testing.assert_allclose(rows(out, feature), rows(root, feature) * SIGNS, atol=1e-6)
    cells = [table(r)["observation.images.wrist"][2].as_py()["bytes"] for r in (root, out)]
    before, after = (cv2.imdecode(np.frombuffer(c, np.uint8), cv2.IMREAD_COLOR) for c in cells)
    assert np.array_equal(after, before[:, ::-1])
    assert np.abs(video(out).astype(int) - video(root)[:, :, ::-1]).mean() < 3
    assert "right cup" in lines(out, "tasks")[0]["task"] and np.array_equal(
        rows(out, "timestamp"), rows(root, "timestamp")
    )
    stats = lines(out, "episodes_stats")[0]["stats"]["observation.state"]
    np.testing.assert_allclose(stats["min"], rows(out, "observation.state").min(0), atol=1e-6)
    np.testing.assert_allclose(stats["std"], rows(out, "observation.state").std(0), atol=1e-6)
    assert "q01" not in stats and stats["count"] == [8]
    assert main(["check", str(out), PARTS]) == 0


def test_a_warp_resamples_every_column(root: Path, tmp_path: Path) -> None:
    out = run(root, tmp_path / "out", "pipeline=identity", WARP, PARTS)
    count = table(out).num_rows
    assert count == 9 and len(video(out)) == count and lines(out, "episodes")[0]["length"] == count
    seconds = rows(out, "timestamp")
    np.testing.assert_allclose(seconds, np.arange(count) / 10, atol=1e-6)
    before = np.interp(seconds * 0.8, np.arange(8) / 10, rows(root, "observation.state")[:, 0])
    np.testing.assert_allclose(rows(out, "observation.state")[:, 0], before, atol=2e-3)
    assert main(["check", str(out), PARTS]) == 0


def test_light_changes_pictures_alone(root: Path, tmp_path: Path) -> None:
    out = run(root, tmp_path / "out", "pipeline=identity", DARKER)
    assert np.array_equal(rows(out, "action"), rows(root, "action"))
    assert np.abs(video(out) - 0.8 * video(root).astype(float)).mean() < 3
    kept = [s["stats"]["action"] for s in lines(root, "episodes_stats")]
    assert [s["stats"]["action"] for s in lines(out, "episodes_stats")] == kept
    means = [lines(r, "episodes_stats")[0]["stats"]["observation.images.wrist"]["mean"] for r in (root, out)]
    np.testing.assert_allclose(np.array(means[1]), 0.8 * np.array(means[0]), atol=5e-3)
    assert main(["check", str(out)]) == 0


def test_v20_becomes_v21_with_the_statistics_of_both(root: Path, tmp_path: Path) -> None:
    out = run(as_v20(root), tmp_path / "out", "pipeline=identity")
    assert json.loads((out / "meta/info.json").read_text())["codebase_version"] == "v2.1"
    stats = lines(out, "episodes_stats")[1]["stats"]
    np.testing.assert_allclose(stats["action"]["mean"], rows(root, "action", 1).mean(0), atol=1e-6)
    assert np.shape(stats["observation.images.front"]["mean"]) == (3, 1, 1) and np.shape(stats["index"]["max"]) == (1,)
    whole = json.loads((out / "meta/stats.json").read_text())
    both = np.concatenate([rows(root, "action", k) for k in (0, 1)])
    np.testing.assert_allclose(whole["action"]["std"], both.std(0), rtol=1e-5)
    data = "data/chunk-000/episode_000000.parquet"
    assert (out / data).read_bytes() == (root / data).read_bytes()


def test_numbers_of_tasks_stay(root: Path, tmp_path: Path) -> None:
    """Also where episodes use them in another order."""
    tasks = lines(root, "tasks")
    swapped = [{**tasks[1], "task_index": 0}, {**tasks[0], "task_index": 1}]
    (root / "meta/tasks.jsonl").write_text("".join(json.dumps(t) + "\n" for t in swapped))
    run(root, tmp_path / "out", "pipeline=identity")
    assert lines(tmp_path / "out", "tasks") == swapped and set(rows(tmp_path / "out", "task_index")) == {0}


def test_what_episodes_hold_beside_is_kept(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    episodes = [{**e, "my_operator": "Ann"} for e in lines(root, "episodes")]
    (root / "meta/episodes.jsonl").write_text("".join(json.dumps(e) + "\n" for e in episodes))
    out = run(root, tmp_path / "out", "pipeline=identity")
    assert "my_operator" in capsys.readouterr().out
    assert all(e["my_operator"] == "Ann" for e in lines(out, "episodes"))


@pytest.mark.parametrize(("name", "text", "said"), [
    ("info.json", None, "codebase_version: this reads v3.0, v2.1, v2.0, got 'v1.6'"),
    ("episodes.jsonl", "", "holds no episode"),
    ("episodes.jsonl", '{"episode_index": -1, "length": 8}\n', "episode_index: expected whole numbers"),
    ("episodes.jsonl", "[1]\n", "line 1: expected an object"),
    ("episodes.jsonl", '{"episode_index": 0, "length": 9}\n', "8 rows, but its table of episodes says 9"),
    ("tasks.jsonl", '{"task_index": "0"}\n', "expected task_index"),
    ("tasks.jsonl", "{\n", "line 1: is not valid JSON"),
])  # fmt: skip
def test_what_is_wrong_is_named(root: Path, name: str, text: str | None, said: str) -> None:
    path = root / "meta" / name
    path.write_text(path.read_text().replace("v2.1", "v1.6") if text is None else text)
    with pytest.raises(fa.DataError, match=f"{name}: .*{said}" if "rows" not in said else said):
        fa.open_log("lerobot", root)[0]


def test_a_path_that_leads_out_is_refused(root: Path) -> None:
    path = root / "meta/info.json"
    path.write_text(path.read_text().replace('"data/chunk-', '"../data/chunk-'))
    shutil.copytree(root / "data", root.parent / "data")
    with pytest.raises(fa.DataError, match="leaves the log's folder"):
        fa.open_log("lerobot", root)[0]
