"""Samples made by hand as LeRobot data sets: commands, tasks, gaps, what does not fit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from lerobot_tables import info_of, table
from scipy.spatial.transform import Rotation

import fusion_aug as fa
from calib import Frame, Rig
from fusion_aug.logs.core.episodes import Undeclared
from fusion_aug.logs.core.log import find_exporter
from fusion_aug.logs.lerobot.export_options import read_options
from fusion_aug.logs.lerobot.export_plan import plan_of
from fusion_aug.sample import Ref, Sample, SampleMeta
from fusion_aug.sample.manifest import tree_digest
from fusion_aug.streams import Action, BodyPose, Camera, JointState, Signal, Stream, Text, strings


def stamps(count: int, step: float, first: float = 0.0) -> torch.Tensor:
    return torch.tensor([round((first + k * step) * 1e9) for k in range(count)])


def picture(k: int) -> torch.Tensor:
    return torch.full((16, 24, 3), 10 * k, dtype=torch.uint8)


def episode(name: str = "one", **more: Stream | None) -> Sample:
    """Two seconds of two joints, a gripper, a hand, commands, and a camera at 10 Hz."""
    times, turn = stamps(41, 0.05), torch.linspace(0, 3, 41, dtype=torch.float64)
    pose = torch.eye(4, dtype=torch.float64).repeat(41, 1, 1)
    pose[:, :3, :3] = torch.from_numpy(
        Rotation.from_euler("z", 2 * turn.numpy()[:, None]).as_matrix()
    )  # past half a turn
    pose[:, 0, 3] = turn
    streams: dict[str, Stream | None] = {
        "joints": JointState(
            frame="base", capture_times=times, names=("a", "b"), values={"position": torch.stack([turn, -turn], 1)}
        ),
        "hand": BodyPose(frame="base", child="tool", capture_times=times, values={"pose": pose}),
        "gripper": Undeclared(frame="base", capture_times=times[::8], values={"value": torch.arange(6.0)[:, None]}),
        "command": Action(
            frame="base", capture_times=times, names=("a", "b"),
            values={"joint_position": torch.stack([turn, turn], 1), "gripper": turn[:, None]},
        ),
        "cam": Camera(frame="cam", capture_times=stamps(21, 0.1), items=tuple(map(picture, range(21)))),
        "reward": Signal(frame="base", capture_times=times, values={"event": torch.zeros(41, 1, dtype=torch.float64)}),
        "task": Text(frame="base", capture_times=times[[0, 20]], values={"text": strings(["go", "stop"])}),
        **more,
    }  # fmt: skip
    frames = {"base": Frame(), "tool": Frame(parent="base", pose=torch.eye(4, dtype=torch.float64)),
              "cam": Frame(parent="base", pose=torch.eye(4, dtype=torch.float64))}  # fmt: skip
    rig = Rig(frames, {})
    meta = SampleMeta(id=name, scene=name, ref=Ref("base", 0), rig=rig, true_rig=rig, clock="cam")
    return Sample(metas=(meta,), streams={n: s for n, s in streams.items() if s is not None})


def export(root: Path, *samples: Sample, **options: Any) -> Path:
    fa.write_log(samples, root, "lerobot", **{"codec": "h264", "video": False, **options})
    return root


def test_a_hand_commands_tasks_and_what_is_not_continuous(tmp_path: Path) -> None:
    root = export(tmp_path / "out", episode(), state=["joints", "hand"])
    rows, features = table(root), info_of(root)["features"]
    assert features["observation.state"]["names"] == [
        "a",
        "b",
        "tool.x",
        "tool.y",
        "tool.z",
        *(f"tool.q{c}" for c in "xyzw"),
    ]
    quaternion = rows["observation.state"][:, 5:]
    assert np.abs(np.diff(quaternion, axis=0)).max() < 0.2  # no change of sign
    turn = np.linspace(0, 3, 41)[::2]
    angle = Rotation.from_quat(quaternion).as_euler("zyx")[:, 0]
    assert np.allclose(np.unwrap(angle), 2 * turn, atol=1e-6)
    assert np.allclose(rows["action"], np.stack([turn, turn, turn], 1), atol=1e-6)
    assert features["action"]["names"] == ["a", "b", "command.gripper"]
    held = np.minimum(np.arange(21) // 4, 5)  # the last one at or before the frame
    assert np.array_equal(rows["observation.gripper"].reshape(-1), held)
    assert "next.reward" in features and list(np.flatnonzero(np.diff(rows["task_index"]))) == [9]
    back = fa.open_log("lerobot", root)[0]
    assert type(back["state"]).__name__ == "RobotState" and back["state"].child == "tool"
    assert isinstance(back["gripper"], Undeclared) and isinstance(back["action"], Action)
    assert back["task"]["text"].tolist() == ["go", "stop"]
    assert all(torch.equal(back["cam"].image(k), picture(k)) for k in range(21))  # type: ignore[attr-defined]


def test_version_2_and_several_episodes(tmp_path: Path) -> None:
    root = export(tmp_path / "out", episode("one"), episode("two"), version="v2.1", video=True, state=["joints"])
    info = info_of(root)
    assert (info["codebase_version"], info["total_episodes"], info["total_videos"]) == ("v2.1", 2, 2)
    lines = [json.loads(line) for line in (root / "meta" / "episodes.jsonl").read_text().splitlines()]
    assert [(e["episode_index"], e["length"], e["tasks"]) for e in lines] == [
        (0, 21, ["go", "stop"]),
        (1, 21, ["go", "stop"]),
    ]
    second = pq.read_table(root / "data/chunk-000/episode_000001.parquet")
    assert second["index"].to_pylist() == list(range(21, 42)) and set(second["episode_index"].to_pylist()) == {1}
    assert len(fa.open_log("lerobot", root)) == 2


def test_the_last_step_can_be_done_again(tmp_path: Path) -> None:
    kind = find_exporter("lerobot")
    writer = kind(None, tmp_path, options={"codec": "h264", "state": ["joints"]})
    samples = [episode("one"), episode("two")]
    rows = [json.loads(json.dumps(writer.stage(s, s, s.id, tmp_path))) for s in samples]
    digests = []
    for _ in range(2):
        writer.finish(json.loads(json.dumps(rows)), [("one", "one"), ("two", "two")])
        digests.append(tree_digest(tmp_path))
    assert digests[0] == digests[1] and len(fa.open_log("lerobot", tmp_path)) == 2


def test_frames_are_where_all_features_are(tmp_path: Path) -> None:
    late = replace(episode()["joints"], capture_times=stamps(41, 0.05, 0.33))
    rows = table(export(tmp_path / "out", episode(joints=late)))
    assert len(rows["timestamp"]) == 17  # from 0.33 s, of the joints, to 2 s, of the camera
    back = fa.open_log("lerobot", tmp_path / "out")[0]
    assert back.ref.time == 330_000_000 and int(back["cam"].capture_times[0]) == 300_000_000


def test_what_does_not_fit_is_refused_with_a_remedy(tmp_path: Path) -> None:
    cam = episode()["cam"]
    gap = cam.take_items(torch.tensor([0, 1, 2, 3, 12, 13, 14, 15, 16, 17, 18, 19, 20]))
    with pytest.raises(fa.DataError, match=r"cam: 0\.8 s since the last item at frame 11 .*output\.max_gap"):
        export(tmp_path / "gap", episode(cam=gap))
    export(tmp_path / "bridged", episode(cam=gap), max_gap=1.0)
    late = replace(cam, capture_times=stamps(21, 0.1, 1.5))
    with pytest.raises(fa.DataError, match=r"'cam' begins 1\.5 s after the first stream"):
        export(tmp_path / "late", episode(cam=late))
    values = {"position": torch.full((41, 2), torch.nan, dtype=torch.float64)}
    with pytest.raises(fa.DataError, match=r"a of 'joints' is NaN or infinite at frame 0"):
        export(tmp_path / "nan", episode(joints=replace(episode()["joints"], values=values)))
    with pytest.raises(fa.ConfigError, match="nothing is known of the numbers of 'gripper'"):
        export(tmp_path / "mixed", episode(), state=["joints", "gripper"])
    twice = replace(episode()["joints"], names=("b", "c"))
    with pytest.raises(fa.ConfigError, match="joint 'b' is read from joints and others"):
        export(tmp_path / "twice", episode(others=twice), state=["joints", "others"])
    with pytest.raises(fa.ConfigError, match=r"output\.state: there is no stream 'joint' \(there are joints, "):
        export(tmp_path / "unknown", episode(), state="joint")


def test_episodes_of_other_features_are_refused_with_a_list(tmp_path: Path) -> None:
    other = episode("two", joints=replace(episode()["joints"], names=("a", "c")), reward=None)
    with pytest.raises(
        fa.DataError, match=r"two: all episodes .*observation\.state is a, c, not a, b; next\.reward is not there"
    ):
        export(tmp_path / "out", episode("one"), other)


def test_options_of_the_wrong_kind_are_refused() -> None:
    for given, said in (
        ({"fps": 0}, "output.fps"), ({"codec": "vp9"}, "output.codec"), ({"version": "v1"}, "output.version"),
        ({"state": 3}, "output.state"), ({"state": []}, "output.state"), ({"cameras": {"a": 1}}, "output.cameras"),
        ({"video": "no"}, "output.video"), ({"max_gap": float("inf")}, "output.max_gap"), ({"task": 1}, "output.task"),
    ):  # fmt: skip
        with pytest.raises(fa.ConfigError, match=said):
            read_options(given)


def test_the_rate_is_a_whole_number_where_one_is_meant() -> None:
    def rate(step: float) -> float:
        cam = replace(episode()["cam"], capture_times=stamps(21, step))
        return plan_of(episode(cam=cam), read_options({})).fps

    assert [rate(0.1), rate(0.03341), rate(1 / 12.5)] == [10, 30, 12.5]
