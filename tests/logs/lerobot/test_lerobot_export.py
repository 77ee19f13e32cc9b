"""output=lerobot from other logs, read with pyarrow and PyAV alone, against the messages and samples themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from lerobot_tables import info_of, table
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from scipy.interpolate import CubicSpline
from written import run

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.sample import Ref
from fusion_aug.streams import Action, JointState

ARM = Path(__file__).resolve().parents[3] / "datasets" / "arm"
START, FPS = 1_700_000_000_000_000_000, 10
JOINTS = ["j1", "j2", "j3", "j4", "j5", "j6", "slide_left", "slide_right"]
OF_ARM = (
    "log=mcap",
    f"log.root={ARM}/mcap",
    f"log.rig={ARM}/mcap_rig.yaml",
    "log.exclude=[*tactile*,*taxel*,/wrist/*]",
)


@pytest.fixture(scope="module")
def arm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The arm's recording at half the rate of its camera."""
    out = tmp_path_factory.mktemp("arm") / "out"
    words = ("output=lerobot", f"output.fps={FPS}", "output.codec=h264", "output.action=next_state",
             "output.task=pick up the parcel", "output.cameras={front: observation.images.cam0}")  # fmt: skip
    return run(out, *OF_ARM, *words, "pipeline=identity")


def messages(topic: str) -> list[tuple[int, Any]]:
    """Header stamps and messages, by the package mcap."""
    with (ARM / "mcap" / "arm.mcap").open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        found = [message for *_, message in reader.iter_decoded_messages(topics=[topic])]
    return [(m.header.stamp.sec * 10**9 + m.header.stamp.nanosec, m) for m in found]


# --- a recording ------------------------------------------------------------------------------------------------------
def test_states_are_the_joint_readings_at_the_frames(arm: Path) -> None:
    rows, read = table(arm), messages("/joint_states")
    times = np.array([t for t, _ in read])
    frames = START + np.round(np.arange(len(rows["timestamp"])) / FPS * 1e9).astype(np.int64)
    assert len(frames) == 46
    since, at = (times - START) * 1e-9, (frames - START) * 1e-9
    new = np.diff(since, prepend=-1) > 0
    for j in range(8):
        position, velocity = (np.array([getattr(m, n)[j] for _, m in read]) for n in ("position", "velocity"))
        assert np.abs(rows["observation.state"][:, j] - np.interp(at, since, position)).max() < 2e-5
        smooth = CubicSpline(since[new], position[new], bc_type="natural")(at)
        assert np.abs(rows["observation.state"][1:-1, j] - smooth[1:-1]).max() < 2e-6
        assert np.abs(rows["observation.state"][:, 8 + j] - np.interp(at, since, velocity)).max() < 2e-3
    assert np.array_equal(rows["action"][:-1], rows["observation.state"][1:])
    assert np.array_equal(rows["action"][-1], rows["observation.state"][-1])
    assert np.array_equal(rows["timestamp"].astype(np.float32), (np.arange(46) / FPS).astype(np.float32))
    assert np.array_equal(rows["frame_index"], np.arange(46)) and not rows["episode_index"].any()


def test_pictures_are_the_last_ones_before_the_frames(arm: Path) -> None:
    source = fa.open_log("mcap", ARM / "mcap", rig=str(ARM / "mcap_rig.yaml"))[0]["front"]
    with av.open(str(arm / "videos/observation.images.cam0/chunk-000/file-000.mp4")) as video:
        shown = [(float(f.pts * f.time_base), f.to_ndarray(format="rgb24")) for f in video.decode(video=0)]
    assert [t for t, _ in shown] == pytest.approx(np.arange(46) / FPS)
    stamps = source.capture_times.numpy()
    for k in (0, 7, 23, 45):
        last = int(np.flatnonzero(stamps <= START + round(k / FPS * 1e9))[-1])
        off = np.abs(shown[k][1].astype(float) - source.image(last).numpy())  # type: ignore[attr-defined]
        assert off.mean() < 4


def test_info_names_every_number_and_holds_no_other_feature(arm: Path) -> None:
    info = info_of(arm)
    features = info["features"]
    assert (info["codebase_version"], info["fps"], info["total_episodes"], info["total_frames"]) == ("v3.0", FPS, 1, 46)
    assert features["observation.state"]["names"] == [*JOINTS, *(f"{j}.velocity" for j in JOINTS)]
    assert features["observation.effort"]["names"] == [f"{j}.effort" for j in JOINTS]
    assert features["observation.wrench"]["names"] == ["fx", "fy", "fz", "tx", "ty", "tz"]
    assert features["observation.images.cam0"]["shape"] == [120, 160, 3]
    assert {f for f in features if "." in f} == {
        "observation.state", "observation.effort", "observation.wrench", "observation.imu", "observation.images.cam0",
        "observation.images.cam0.depth",
    }  # fmt: skip
    tasks = pq.read_table(arm / "meta" / "tasks.parquet")
    assert tasks["task"].to_pylist() == ["pick up the parcel"]
    assert json.loads(tasks.schema.metadata[b"pandas"])["index_columns"] == ["task"]  # LeRobot asks for row names


def test_statistics_are_those_of_the_columns(arm: Path) -> None:
    stats, rows = json.loads((arm / "meta" / "stats.json").read_text()), table(arm)
    for feature in ("observation.state", "action", "observation.effort", "timestamp"):
        values = rows[feature].reshape(46, -1)
        for name, wanted in (("min", values.min(0)), ("max", values.max(0)), ("mean", values.mean(0))):
            assert np.allclose(stats[feature][name], wanted, atol=1e-6)
    assert stats["observation.images.cam0"]["count"] == [46]


def test_it_is_read_back_with_the_rig_and_without_options(arm: Path) -> None:
    ours, back = (fa.open_log(*args, **words)[0] for args, words in (
        (("mcap", ARM / "mcap"), {"rig": str(ARM / "mcap_rig.yaml")}), (("lerobot", arm), {}),
    ))  # fmt: skip
    state, action = back["state"], back["action"]
    assert isinstance(state, JointState) and isinstance(action, Action) and list(state.names) == JOINTS
    assert back.ref == Ref("reference", START) and int(state.capture_times[0]) == START
    time = START + 2_345_678_901
    for frame in ("front", "hand", "finger_left"):
        assert torch.equal(back.rig.T("world", frame, time), ours.rig.T("world", frame, time))
    assert torch.equal(back.rig.camera("cam0").model.K, ours.rig.camera("front").model.K)
    shown, sent = back["cam0"], set(ours["front"].capture_times.tolist())
    assert set(shown.capture_times.tolist()) <= sent and bool((shown.capture_times <= shown.arrival_times).all())
    assert torch.equal(back["hand_pose"]["pose"], ours["hand_pose"]["pose"])  # of the sidecar


def test_check_finds_no_fault_and_the_run_names_what_is_left_out(arm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(arm)]) == 0
    assert "it is compared as state, action, effort" in " ".join(capsys.readouterr().out.split())
    words = ["run", *OF_ARM, "output=lerobot", "dry_run=true", "pipeline=identity", "out=nowhere"]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "LeRobot has no place for hand_pose" in told and "imu.gyro_covariance" in told
    assert "no commands are known" in told and "no task is known" in told


def test_an_output_can_be_augmented_again(arm: Path, tmp_path: Path) -> None:
    light = "+pipeline.transforms.light={_target_: fusion_aug.Brightness, factor: 0.5}"
    out = run(tmp_path / "again", "log=lerobot", f"log.root={arm}", "pipeline=identity", light)
    first, second = fa.open_log("lerobot", arm)[0], fa.open_log("lerobot", out)[0]
    assert second.ref == first.ref and torch.equal(first["state"]["position"], second["state"]["position"])
    assert torch.equal(second.rig.T("world", "hand", START), first.rig.T("world", "hand", START))
    assert main(["check", str(out)]) == 0


def test_a_log_of_lerobot_is_written_as_it_is(arm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "log=lerobot", f"log.root={arm}", "output=lerobot", "output.fps=5", f"out={tmp_path / 'out'}"]
    assert main(words) == 2 and "output.fps: says how another log becomes" in capsys.readouterr().err
