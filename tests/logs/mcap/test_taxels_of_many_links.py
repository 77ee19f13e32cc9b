"""One message of a tactile skin whose taxels lie on both fingers and on the hand; mcap and rosbags as oracle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bags
import numpy as np
import pytest
import torch
import yaml
from places import ARM, REPOSITORY
from rosbags.typesys import Stores, get_typestore

import fusion_aug as fa
from calib.errors import CalibrationError
from fusion_aug.cli import main
from fusion_aug.errors import ConfigError, DataError, Obstacle
from fusion_aug.streams import Opaque, Taxels

pytest.importorskip("mcap")
LEFT, RIGHT, PALM = (slice(0, 4), slice(4, 8), slice(8, 11))
COUNT, STEP, TOPIC = 60, 10_000_000, "/hand/touch"  # messages, ns between them
MIRROR = "{_target_: fusion_aug.MirrorScene, axis: y, p: 1.0}"
NOTHING = "{_target_: fusion_aug.RotateScene, yaw_deg: 0.0, p: 0.0}"
STORE = get_typestore(Stores.ROS2_HUMBLE)
PALM_ROWS = "rig.yaml: sensors.hand/touch:palm.rows: "
KINDS = {"Float64MultiArray": np.float64, "Float32MultiArray": np.float32}
TURNS = {1: [0.70710678, -0.70710678, 0, 0], -1: [0.70710678, 0.70710678, 0, 0]}  # z along +y, z along -y


def pad(side: int) -> list[list[float]]:
    """2 x 2 taxels of a finger, 4 mm apart, on the face that looks at the other finger."""
    return [[0.02 + 0.004 * i, 0.0, 0.004 * j, *TURNS[side]] for i in range(2) for j in range(2)]


def sensors(**changed: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The sensors of the rig file, some with other fields."""
    found: dict[str, dict[str, Any]] = {
        "left": {"frame": "finger_left", "rows": [0, 4], "poses": pad(-1), "mirror_of": "hand/touch:right"},
        "right": {"frame": "finger_right", "rows": [4, 8], "poses": pad(1), "mirror_of": "hand/touch:left"},
        "palm": {"frame": "hand", "rows": [8, 11], "poses": [[0.03, 0.01 * k, 0, 1.0, 0, 0, 0] for k in (-1, 0, 1)]},
    }
    return {f"hand/touch:{n}": {"kind": "taxels", **told, **changed.get(n, {})} for n, told in found.items()}


def table(width: int = 11) -> np.ndarray:
    """Smooth forces (n, width), N, another in every row and column."""
    t = np.arange(COUNT)[:, None] / COUNT
    return 1 + np.arange(width) + np.sin(2 * t + np.arange(width))


def skin(
    folder: Path, rows: Any, kind: str = "Float64MultiArray", topic: str = TOPIC, **changed: dict[str, Any]
) -> Path:
    """A recording of the arm with the skin, and its rig file; returns the folder of the recording."""
    layout = bags.ros("std_msgs/MultiArrayLayout")(dim=[], data_offset=0)
    made = [bags.ros(f"std_msgs/{kind}")(layout=layout, data=np.asarray(r, KINDS[kind])) for r in rows]
    extra = [(topic, f"std_msgs/msg/{kind}", m, bags.T0 + k * STEP + 7) for k, m in enumerate(made)]
    log = bags.recording(folder / "log" / "a.mcap", extra, seconds=COUNT * STEP * 1e-9)
    rig = yaml.safe_load(bags.RIG) | {"sensors": sensors(**changed)}
    (folder / "rig.yaml").write_text(yaml.safe_dump(rig, default_flow_style=None, sort_keys=False))
    return log


def stored(folder: Path, topic: str = TOPIC) -> list[tuple[int, int, bytes]]:
    """Log time, publish time and bytes of the messages of the skin, by mcap's own reader."""
    from mcap.reader import make_reader

    with (folder / "a.mcap").open("rb") as file:
        return [(m.log_time, m.publish_time, m.data) for _, _, m in make_reader(file).iter_messages(topics=[topic])]


def numbers(folder: Path, kind: str = "Float64MultiArray", topic: str = TOPIC) -> np.ndarray:
    """(n, width) of the skin, decoded by rosbags."""
    return np.stack([STORE.deserialize_cdr(d, f"std_msgs/msg/{kind}").data for *_, d in stored(folder, topic)])


def run(log: Path, out: Path, transform: str, *more: str) -> Path:
    assert bags.run(log, out, transform, *more) == 0
    return out


def test_every_part_is_a_stream_on_its_own_link(tmp_path: Path) -> None:
    sample = bags.open_recording(skin(tmp_path, table()))[0]
    frames = {n: s.frame for n, s in sample.of_type(Taxels).items()}
    assert frames == {"hand/touch:left": "finger_left", "hand/touch:right": "finger_right", "hand/touch:palm": "hand"}
    for name, rows in (("left", LEFT), ("right", RIGHT), ("palm", PALM)):
        assert np.array_equal(sample[f"hand/touch:{name}"]["force"].numpy(), table()[:, rows])
    assert "hand/touch" not in sample.streams


@pytest.mark.parametrize("kind", KINDS)
def test_identity_keeps_every_byte(tmp_path: Path, kind: str) -> None:
    log = skin(tmp_path, table(13), kind)
    out = run(log, tmp_path / "out", NOTHING)
    assert len(stored(log)) == COUNT and stored(out) == stored(log)


def test_a_mirror_brings_each_finger_to_the_other(tmp_path: Path) -> None:
    out = run(skin(tmp_path, table()), tmp_path / "out", MIRROR)
    before, after = table(), numbers(out)
    assert np.array_equal(after[:, LEFT], before[:, RIGHT]) and np.array_equal(after[:, RIGHT], before[:, LEFT])
    assert np.array_equal(after[:, PALM], before[:, PALM][:, ::-1])  # its taxels lie at y = -10, 0 and 10 mm
    sample = fa.open_log("mcap", out, rig=str(tmp_path / "rig.yaml"))[0]  # the arm stands for its own mirror image
    source = bags.open_recording(tmp_path / "log")[0]
    reflection, time = np.diag([1.0, -1, 1, 1]), bags.T0 + 20 * STEP
    for a, b in (("left", "right"), ("right", "left"), ("palm", "palm")):
        old, new = source[f"hand/touch:{a}"], sample[f"hand/touch:{b}"]
        assert sample.rig.sensors[f"hand/touch:{b}"].rows == source.rig.sensors[f"hand/touch:{b}"].rows  # type: ignore[attr-defined]
        seen = [(s.rig.T("base", x.frame, time) @ x.poses[0]).numpy() for s, x in ((source, old), (sample, new))]
        order = [2, 1, 0] if a == "palm" else [0, 1, 2, 3]
        assert np.abs((reflection @ seen[0] @ reflection)[order] - seen[1])[:, :3, 2:].max() < 1e-6  # places, normals


def test_dead_taxels_change_no_other_row(tmp_path: Path) -> None:
    log = skin(tmp_path, table(13), "Float32MultiArray")
    out = run(log, tmp_path / "out", "{_target_: fusion_aug.TaxelDropout, share: 0.5}")
    before, after = numbers(log, "Float32MultiArray"), numbers(out, "Float32MultiArray")
    dead = (after == 0).all(0)
    assert dead[:11].any() and not dead[11:].any()
    assert np.array_equal(after[:, ~dead], before[:, ~dead])
    assert [m[:2] for m in stored(out)] == [m[:2] for m in stored(log)]


def test_crosstalk_stays_on_its_link(tmp_path: Path) -> None:
    rows = np.zeros((COUNT, 11))
    rows[:, 0] = 1.0  # pressed on the left finger alone
    out = run(skin(tmp_path, rows), tmp_path / "out", "{_target_: fusion_aug.TaxelCrosstalk, share: [0.2, 0.2]}")
    after = numbers(out)
    assert (after[:, LEFT] > 0).all() and np.allclose(after[:, LEFT].sum(1), 1) and (after[:, 4:] == 0).all()


def test_a_warp_interpolates_all_rows_at_one_time(tmp_path: Path) -> None:
    out = run(skin(tmp_path, table()), tmp_path / "out", "{_target_: fusion_aug.SpeedWarp, speed: 0.5}")
    times = np.array([t for t, *_ in stored(out)])
    at = (times - times[0]) / 2 / STEP
    wanted = np.stack([np.interp(at, np.arange(COUNT), c) for c in table().T], 1)
    assert len(times) > 1.9 * COUNT and np.abs(numbers(out) - wanted)[at < COUNT - 1].max() < 1e-9


@pytest.mark.parametrize("transform", [
    "{_target_: fusion_aug.Latency, delay: [0.01, 0.02]}",
    "{_target_: fusion_aug.Jitter, sigma: 0.01}",
    "{_target_: fusion_aug.ModalityDropout, sensors: [hand/touch], share: 1.0, span: 0.2, at_least: 0}",
    "{_target_: fusion_aug.ModalityDropout, sensors: [hand/touch], share: 1.0, at_least: 0}",
    "{_target_: fusion_aug.ModalityDropout, sensors: [hand/touch], share: 1.0, at_least: 0, mode: remove}",
])  # fmt: skip
def test_what_happens_to_a_message_happens_to_all_its_parts(tmp_path: Path, transform: str) -> None:
    log = skin(tmp_path, table(13))
    changed = fa.Compose([fa.Latency(delay=[0.01, 0.02], scope="sensor"), fa.Jitter(sigma=0.01, scope="sensor")])
    sample = changed(bags.open_recording(log)[0], seed=3)
    arrived = {n: s.arrival_times for n, s in sample.streams.items() if n.startswith("hand/touch")}
    assert len(arrived) == 4 and all(torch.equal(t, arrived["hand/touch"]) for t in arrived.values())
    out = run(log, tmp_path / "out", transform)
    before, after = stored(log), stored(out)
    assert {m[2] for m in after} <= {m[2] for m in before} and [m[:2] for m in after] != [m[:2] for m in before]


def test_each_taxel_follows_its_own_link(tmp_path: Path) -> None:
    pin = pytest.importorskip("pinocchio")
    log = skin(tmp_path, table())
    sample = bags.open_recording(log)[0]
    model = pin.buildModelFromUrdf(str(ARM / "arm.urdf"))
    data = model.createData()
    for t, m in bags.messages(log / "a.mcap", "/joint_states")[100:300:50]:
        q = np.zeros(model.nq)
        q[[model.joints[model.getJointId(n)].idx_q for n in m.name]] = m.position
        pin.framesForwardKinematics(model, data, q)
        for name, sensor in sensors().items():
            link = data.oMf[model.getFrameId(sensor["frame"])]
            wanted = [link.act(np.array(p[:3])) for p in sensor["poses"]]
            stamp = m.header.stamp.sec * 10**9 + m.header.stamp.nanosec
            found = sample.rig.T("base", sample[name].frame, stamp) @ sample[name].poses[0]
            assert t >= 0 and np.abs(found[:, :3, 3].numpy() - wanted).max() < 1e-9


@pytest.mark.parametrize("output", ["folder", "lerobot"])
def test_other_formats_hold_every_part(tmp_path: Path, output: str) -> None:
    out = run(skin(tmp_path, table(13)), tmp_path / "out", MIRROR, f"output={output}", f"log.no_geometry=[{TOPIC}]")
    made = fa.open_log(output, out)[0].of_type(Taxels)
    shared = {n.replace("/", "_").replace(":", "_"): s for n, s in made.items()}
    assert {n: s.frame for n, s in shared.items()} == {
        "hand_touch_left": "finger_left", "hand_touch_right": "finger_right", "hand_touch_palm": "hand"
    }  # fmt: skip
    assert torch.allclose(shared["hand_touch_left"]["force"][0], torch.from_numpy(table()[0, RIGHT]), atol=0.05)


def test_the_example_of_the_documents_runs(tmp_path: Path) -> None:
    blocks = (REPOSITORY / "docs" / "robots.md").read_text().split("```")[1::2]
    example = next(b.removeprefix("yaml") for b in blocks if "rows:" in b)
    log = skin(tmp_path, table(6), topic="/skin")
    (tmp_path / "rig.yaml").write_text(f"{bags.RIG}{example}")
    words = [f"log.{word}=[/skin]" for word in ("no_geometry", "restamp_only")]
    out = run(log, tmp_path / "out", MIRROR, *words)
    assert np.array_equal(numbers(out, topic="/skin"), table(6)[:, [2, 3, 0, 1, 4, 5]])


def test_windows_of_a_recording(tmp_path: Path) -> None:
    log = skin(tmp_path, table())
    words = ["run", "log=mcap", f"log.root={log}", f"log.rig={tmp_path / 'rig.yaml'}", f"out={tmp_path / 'out'}"]
    assert main([*words, "log.window=0.2", "pipeline=identity", f"+pipeline.transforms.m={MIRROR}"]) == 0
    assert main(["check", str(tmp_path / "out")]) == 0
    found = [bags.messages(p, TOPIC) for p in sorted((tmp_path / "out").rglob("*.mcap"))]
    after = np.stack([m.data for part in found for _, m in part])
    assert len(found) == 3 and np.array_equal(after, table()[:, [4, 5, 6, 7, 0, 1, 2, 3, 10, 9, 8]])


def test_rows_of_no_sensor_are_kept_or_refused(tmp_path: Path) -> None:
    log = skin(tmp_path, table(13))
    sample = bags.open_recording(log)[0]
    assert isinstance(sample["hand/touch"], Opaque)
    with pytest.raises(Obstacle, match=r"no sensor of the rig file names 2 of its numbers, from number 11 on.*name "
                       r"/hand/touch in log.no_geometry.*rows of a sensor in the rig file"):  # fmt: skip
        fa.MirrorScene(axis="y", p=1.0)(sample, seed=0)
    assert bags.run(log, tmp_path / "refused", MIRROR) != 0
    out = run(log, tmp_path / "out", MIRROR, f"log.no_geometry=[{TOPIC}]")
    assert np.array_equal(numbers(out), table(13)[:, [4, 5, 6, 7, 0, 1, 2, 3, 10, 9, 8, 11, 12]])
    slow = run(log, tmp_path / "slow", "{_target_: fusion_aug.SpeedWarp, speed: 0.5}", f"log.restamp_only=[{TOPIC}]")
    assert {tuple(r) for r in numbers(slow)[:, 11:]} <= {tuple(r) for r in table(13)[:, 11:]}


def test_a_part_that_is_changed_alone_is_refused_when_written(tmp_path: Path) -> None:
    log = bags.open_recording(skin(tmp_path, table()))
    sample = log[0]
    late = sample["hand/touch:left"].take_items(torch.arange(COUNT - 1))
    for streams in ({**sample.streams, "hand/touch:left": late},
                    {n: s for n, s in sample.streams.items() if n != "hand/touch:left"}):  # fmt: skip
        with pytest.raises(DataError, match=r"'hand/touch:.*' (is gone|has other times) .* one message"):
            log.writer(tmp_path / "out").as_read_back(sample.with_streams(streams), sample)


@pytest.mark.parametrize(("changed", "words"), [
    ({"palm": {"rows": [7, 10]}}, PALM_ROWS + r"number 7 belongs to "
                                  r"'hand/touch:right.rows' already; give every number once"),
    ({"palm": {"rows": [9, 12]}}, PALM_ROWS + r"\[9, 12\] is not within the 11 numbers"),
    ({"palm": {"rows": [8, 10]}}, PALM_ROWS + r"\[8, 10\] are 2 numbers, but poses gives 3"),
    ({"palm": {"rows": [11, 8]}}, PALM_ROWS + r"expected \[start, stop\]"),
    ({"palm": {"rows": [8.5, 11]}}, PALM_ROWS + r"expected a list of 2, each a whole number"),
    ({"palm": {"rows": None}}, PALM_ROWS + r"tell which numbers of 'hand/touch'"),
])  # fmt: skip
def test_wrong_rows_are_refused(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    log = bags.open_recording(skin(tmp_path, table(), **changed))
    with pytest.raises((ConfigError, CalibrationError), match=words):
        log[0]


def test_a_part_under_the_name_of_the_whole_is_refused(tmp_path: Path) -> None:
    log = skin(tmp_path, table())
    rig = yaml.safe_load(bags.RIG)
    twice = r"sensors.hand/touch: its numbers are rows of 'hand/touch:left' already"
    whole = r"sensors.hand/touch.rows: a sensor with a part .* is called hand/touch:PART"
    for parts, words in (({"palm", "left"}, twice), ({"palm"}, whole)):
        listed = {n: {**s, "mirror_of": None} for n, s in sensors().items() if n.partition(":")[2] in parts}
        listed["hand/touch"] = listed.pop("hand/touch:palm")
        (tmp_path / "rig.yaml").write_text(yaml.safe_dump(rig | {"sensors": listed}))
        with pytest.raises(ConfigError, match=words):
            bags.open_recording(log)[0]


def test_messages_of_other_lengths_are_refused(tmp_path: Path) -> None:
    rows = [r[: 11 - k % 2] for k, r in enumerate(table())]
    with pytest.raises(ConfigError, match=r"rig.yaml: sensors.hand/touch:left.rows: 'hand/touch' has no messages of "
                       r"numbers that are all as many"):  # fmt: skip
        bags.open_recording(skin(tmp_path, rows))[0]


def test_partners_with_other_numbers_of_taxels_are_not_mirrored(tmp_path: Path) -> None:
    unequal = {"left": {"rows": [0, 3], "poses": pad(-1)[:3]}, "right": {"rows": [3, 7]}, "palm": {"rows": [7, 10]}}
    sample = bags.open_recording(skin(tmp_path, table(10), **unequal))[0]
    with pytest.raises(DataError, match=r"sensors.hand/touch:\w+.rows: a mirror brings its \d taxels to .* another"):
        fa.MirrorScene(axis="y", p=1.0)(sample, seed=0)


def test_a_sensor_that_no_topic_is_of_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = skin(tmp_path, table())
    path = tmp_path / "rig.yaml"
    path.write_text(path.read_text().replace("hand/touch:", "hand/tuch:"))
    run(log, tmp_path / "out", NOTHING)
    told = " ".join(capsys.readouterr().out.split())
    for name in ("left", "right", "palm"):
        assert f"sensors.hand/tuch:{name}: nothing is read of it, since no stream has this name" in told
    path.write_text(path.read_text().replace("hand/tuch:", "hand/touch:"))
    run(log, tmp_path / "right", NOTHING, f"log.exclude=[{TOPIC}]")
    assert "nothing is read of it" not in capsys.readouterr().out
