"""Windows: commands against the rows of the files, pictures against PyAV, transforms against whole episodes."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import policy_logs as made
import pytest
import torch
from torch.utils.data import DataLoader

import fusion_aug as fa
from fusion_aug.core.engine import run
from fusion_aug.errors import ConfigError, DataError

PARTS = {
    "observation.state": {"position": [0, 3], "rpy": [3, 6], "gripper": [6, 7]},
    "action": {"position": [0, 3], "axis_angle": [3, 6], "delta": "base", "command": [6, 7]},
}
LENGTHS = (12, 5, 9)
NOTHING = fa.Compose([])
CAMERAS = ("front", "wrist")
ARM = Path(__file__).resolve().parents[2] / "datasets" / "arm"


def numbers(frames: int, seed: int) -> np.ndarray:
    """Rows (n, 7) of poses or changes, with a gripper."""
    out = np.random.default_rng(seed).normal(scale=0.1, size=(frames, 7))
    return np.concatenate([out[:, :6], out[:, 6:] > 0], 1).astype(np.float32)


@pytest.fixture
def small(tmp_path: Path) -> Any:
    """Three short episodes without pictures."""
    states, actions = ([numbers(n, 10 * k + i) for i, n in enumerate(LENGTHS)] for k in (0, 1))
    made.lerobot(tmp_path / "log", {"observation.state": (None, states), "action": (None, actions)})
    return fa.open_log("lerobot", tmp_path / "log", parts=PARTS)


@pytest.fixture
def arm() -> Any:
    """The sample set of the arm, with two videos and depth."""
    return fa.open_log("lerobot", ARM / "lerobot", rig=str(ARM / "lerobot_rig.yaml"), exclude=["*tactile*"])


def test_starts_are_those_whose_window_lies_in_the_episode(small: Any, tmp_path: Path) -> None:
    data = fa.AugmentedDataset(small, NOTHING, observe=[-0.2, 0], chunk=0.3)
    state, action = (made.rows(tmp_path / "log", f) for f in ("observation.state", "action"))
    first = np.cumsum([0, *LENGTHS])
    expected = [(e, k) for e, n in enumerate(LENGTHS) for k in range(2, n - 2)]
    assert len(data) == len(expected)
    for i, (e, k) in enumerate(expected):
        batch = fa.to_policy(fa.collate([data[i]]))
        at = first[e] + k
        assert batch["ids"] == [f"episode_{e:06d}@{k}"]
        assert np.array_equal(batch["state"][0], state[[at - 2, at]])
        assert np.array_equal(batch["action"][0], action[at : at + 3])
        assert batch["task"] == ["go"] and not batch["action_is_pad"].any() and not batch["state_is_pad"].any()
    with pytest.raises(IndexError):
        data[len(expected)]
    assert fa.to_policy(data[-1])["ids"] == fa.to_policy(data[len(expected) - 1])["ids"]


def test_padding_repeats_and_marks_as_lerobot_does(small: Any, tmp_path: Path) -> None:
    data = fa.AugmentedDataset(small, NOTHING, observe=[-0.2, 0, 0.1], chunk=0.4, pad=True)
    assert len(data) == sum(LENGTHS)
    state, action = (made.rows(tmp_path / "log", f) for f in ("observation.state", "action"))
    first, i = 0, 0
    for n in LENGTHS:
        for k in range(n):
            batch = fa.to_policy(data[i])
            wanted, seen = k + np.arange(4), k + np.array([-2, 0, 1])
            assert np.array_equal(batch["action"][0], action[first + wanted.clip(0, n - 1)])
            assert np.array_equal(batch["action_is_pad"][0], wanted >= n)
            assert np.array_equal(batch["state"][0], state[first + seen.clip(0, n - 1)])
            assert np.array_equal(batch["state_is_pad"][0], (seen < 0) | (seen >= n))
            i += 1
        first += n


def frames_of(path: Path) -> list[np.ndarray]:
    import av

    with av.open(str(path)) as video:
        return [f.to_ndarray(format="rgb24") for f in video.decode(video=0)]


def test_pictures_are_those_of_the_video(arm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from fusion_aug.logs.lerobot import video

    seen: list[float] = []
    decoded = video.frame_at
    monkeypatch.setattr(video, "frame_at", lambda p, s: seen.append(s) or decoded(p, s))
    data = fa.AugmentedDataset(arm, NOTHING, observe=[-0.1, 0], chunk=0.5)
    assert len(data) == 46 - 1 - 4 and not seen, "the index reads no picture"
    frames = {n: frames_of(next((arm.root / "videos").glob(f"*.{n}/**/*.mp4"))) for n in ("front", "wrist")}
    for i in (0, 7, 40):
        del seen[:]
        batch = fa.to_policy(data[i])
        assert len(seen) == 4, "two pictures of two cameras"
        for n, known in frames.items():
            assert np.array_equal(batch[n][0], np.stack(known[i : i + 2]))
            assert batch[f"{n}/depth"].shape == (1, 2, 120, 160)


def same(window: fa.Sample, whole: fa.Sample, observed: dict[str, list[int]]) -> None:
    """The items of a window are those of the whole episode, to the byte."""
    for name, items in observed.items():
        mine, other = window[name], whole[name]
        assert len(mine) == len(items), name
        if isinstance(other, fa.ImageStream):
            for k, i in enumerate(items):
                assert torch.equal(mine.image(k), other.image(i)), (name, i)
        else:
            for column, value in other.values.items():
                if isinstance(value, torch.Tensor):
                    assert torch.equal(mine[column], value[torch.tensor(items)]), (name, column)


@pytest.mark.parametrize("scope", ["scene", "sample"])
def test_a_window_is_what_the_whole_episode_would_give(arm: Any, scope: str) -> None:
    pipeline = fa.Compose([
        fa.Brightness(factor=[0.5, 1.5], cameras=CAMERAS, scope=scope), fa.Fog(mor=[5, 20], scope=scope),
        fa.GaussianNoise(sigma=0.02, cameras=CAMERAS), fa.ResizeCrop(size=(60, 80), scale=[0.6, 1.0], scope=scope),
    ])  # fmt: skip
    data = fa.AugmentedDataset(arm, pipeline, seed=4, observe=[-0.2, 0], chunk=0.3)
    action = next(n for n, s in arm[0].streams.items() if isinstance(s, fa.Action))
    others = ("front", "wrist", "front/depth", "state")
    drawn = []
    for start in (0, 9):
        k = start + 2
        window = data[start]
        whole = run(pipeline, arm[0].with_meta(0, id=f"{arm[0].id}@{k}"), seed=4).realized()
        same(window, whole, {action: [k, k + 1, k + 2], **{n: [k - 2, k] for n in others if n in whole.streams}})
        drawn.append([r.params for r in window.history if r.applied])
    alike = drawn[0][0] == drawn[1][0]
    assert alike == (scope == "scene"), "scene: once per episode; sample: once per start"


@pytest.mark.parametrize("warp", [fa.SpeedWarp(speed=0.6), fa.TimeWarp(slowest=0.6, fastest=1.3)])
def test_under_a_warp_windows_are_those_of_the_warped_episode(arm: Any, warp: Any) -> None:
    pipeline = fa.Compose([warp, fa.Brightness(factor=0.7, cameras=CAMERAS)])
    data = fa.AugmentedDataset(arm, pipeline, seed=2, observe=[-0.2, 0], chunk=0.3)
    action = next(n for n, s in arm[0].streams.items() if isinstance(s, fa.Action))
    whole = run(pipeline, arm[0], seed=2).realized()
    times = whole[action].capture_times
    for start in (3, 20):
        window = data[start]
        first = int((times - window[action].capture_times[0]).abs().argmin())
        now = int(times[first])
        items = {action: [first, first + 1, first + 2]}
        for n in ("front", "wrist"):
            stamps = whole[n].capture_times
            items[n] = [int((stamps <= now + o + 1000).sum()) - 1 for o in (-200_000_000, 0)]
        same(window, whole, items)
        assert window.ref.time == now


def test_what_looks_at_other_pictures_decodes_the_whole_episode_and_says_so(arm: Any) -> None:
    with pytest.warns(UserWarning, match="DropFrames.*every window decodes its whole episode"):
        data = fa.AugmentedDataset(arm, fa.DropFrames(share=0.5), seed=1, observe=0.0, chunk=0.2)
    whole = run(fa.DropFrames(share=0.5), arm[0].with_meta(0, id=f"{arm[0].id}@10"), seed=1)
    held = int((whole["front"].capture_times <= arm[0]["front"].capture_times[10]).sum()) - 1
    assert torch.equal(data[10]["front"].image(0), whole["front"].image(held))


def test_workers_epochs_and_samples_of_a_loader(small: Any) -> None:
    pipeline = fa.MirrorScene(axis="y", p=0.5, scope="sample")
    seen = {}
    for workers in (0, 2):
        data = fa.AugmentedDataset(small, pipeline, observe=[-0.1, 0], chunk=0.2, seed=5)
        loader = DataLoader(data, batch_size=4, collate_fn=fa.collate, num_workers=workers)
        for epoch in (0, 1):
            fa.set_epoch(loader, epoch)
            batches = [fa.to_policy(b, names={"state": "observation.state", "action": "action"}) for b in loader]
            seen[workers, epoch] = torch.cat([b["observation.state"] for b in batches])
            keys = ("observation.state", "action")
            assert set(batches[0]) == {"ids", *keys, *(f"{k}_is_pad" for k in keys)}
    assert torch.equal(seen[0, 0], seen[2, 0]) and torch.equal(seen[0, 1], seen[2, 1])
    assert not torch.equal(seen[0, 0], seen[0, 1])
    again = pickle.loads(pickle.dumps(data))
    assert len(again) == len(data)


def test_items_of_a_window_are_ones_own(small: Any) -> None:
    data = fa.AugmentedDataset(small, NOTHING, observe=0, chunk=0.2)
    item = data[3]
    item["state"]["position"].zero_()
    assert bool(data[3]["state"]["position"].any())


def test_robomimic_and_folders(tmp_path: Path, small: Any) -> None:
    import h5py

    root = made.robomimic(tmp_path / "mimic")
    log = fa.open_log("robomimic", root, parts={"actions": PARTS["action"]})
    data = fa.AugmentedDataset(log, NOTHING, observe=[-0.05, 0], chunk=0.1)
    with h5py.File(root / "demos.hdf5") as file:
        actions, place = file["data/demo_0/actions"][:], file["data/demo_0/obs/robot0_eef_pos"][:]
    assert len(data) == 12 - 1 - 1
    batch = fa.to_policy(data[4], dtype=torch.float64)
    assert np.array_equal(batch["actions"][0, :, :6], actions[5:7, :6])
    assert np.array_equal(batch["robot0_eef_pos"][0], place[4:6])
    folder = fa.write_log(list(small), tmp_path / "folder")
    assert folder is None or folder
    again = fa.AugmentedDataset(fa.open_log("folder", tmp_path / "folder"), NOTHING, observe=[-0.2, 0], chunk=0.3)
    known = fa.AugmentedDataset(small, NOTHING, observe=[-0.2, 0], chunk=0.3)
    assert len(again) == len(known)
    assert torch.equal(fa.to_policy(again[5])["action"], fa.to_policy(known[5])["action"])


def test_dense_tensors_of_the_pictures_at_the_start(arm: Any) -> None:
    data = fa.AugmentedDataset(arm, NOTHING, observe=[-0.1, 0], chunk=0.2)
    dense = fa.to_dense(fa.collate([data[0], data[5]]), cameras=["front", "wrist"])
    assert dense["images"].shape[:2] == (2, 2)
    assert torch.equal(dense["images"][0, 0], data[0]["front"].image(1)), "the picture at the start"


@pytest.mark.parametrize(("settings", "words"), [
    ({"observe": []}, "observe: expected seconds"), ({"observe": [float("nan")]}, "observe: expected seconds"),
    ({"chunk": float("inf")}, "chunk: expected seconds"), ({"observe": "now"}, "observe: expected seconds"),
    ({"chunk": -1}, "chunk: expected seconds"), ({"chunk": True}, "chunk: expected seconds"),
    ({"pad": True}, "belong to windows"), ({"action": "action"}, "belong to windows"),
    ({"chunk": 0.2, "action": "nothing"}, "action: the log has no stream 'nothing'"),
])  # fmt: skip
def test_wrong_windows_are_refused(small: Any, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        len(fa.AugmentedDataset(small, NOTHING, **settings))


def test_windows_that_fit_nowhere_are_refused_with_the_length_of_the_episodes(small: Any) -> None:
    longest = (max(LENGTHS) - 1) / made.FPS
    data = fa.AugmentedDataset(small, NOTHING, observe=[-0.1, 0], chunk=10.0)
    for ask in (lambda: len(data), lambda: data[0]):
        with pytest.raises(DataError, match=f"10 s of commands fits into any of 3 episodes.* lasts {longest:g} s"):
            ask()
    assert len(fa.AugmentedDataset(small, NOTHING, observe=[-0.1, 0], chunk=10.0, pad=True)) == sum(LENGTHS)
