"""``check OUT`` counts by itself: what is gone without a reason FAILS, in every format and wherever it was lost."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_logs
import torch
from places import ARM

from fusion_aug.cli import main
from fusion_aug.logs import FORMATS, Writer
from fusion_aug.sample import Sample
from fusion_aug.sample.manifest import NAME
from fusion_aug.streams import Boxes2D, Boxes3D

DRIVING, ROBOTS = ("argoverse2", "folder", "kitti", "mmdet3d", "nuscenes"), ("lerobot", "mcap", "robomimic")


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory, street: Path) -> Path:
    """Folder with a log of every format."""
    root = tmp_path_factory.mktemp("logs")
    small_logs.kitti(root / "kitti")
    small_logs.argoverse2(root / "argoverse2")
    small_logs.mmdet3d(root / "mmdet3d", street)
    small_logs.robomimic(root / "robomimic")
    (root / "nuscenes").symlink_to(street)
    for kind in ("mcap", "lerobot"):
        (root / kind).symlink_to(ARM / kind)
    words = ["log=kitti", f"log.root={root / 'kitti'}", "pipeline=identity", "output=folder", f"out={root / 'folder'}"]
    assert main(["run", *words]) == 0
    return root


def run(logs: Path, kind: str, out: Path, *words: str) -> int:
    rig = [f"log.rig={ARM / f'{kind}_rig.yaml'}"] if kind in ("mcap", "lerobot") else []
    return main(
        ["run", f"log={kind}", f"log.root={logs / kind}", *rig, f"out={out}", *(words or ("pipeline=identity",))]
    )


def failed(out: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Failed lines of a check; it exits with 1 where there are any."""
    capsys.readouterr()
    code = main(["check", str(out)])
    lines = [line for line in capsys.readouterr().out.splitlines() if "FAIL" in line]
    assert code == (1 if lines else 0)
    return lines


def names(lines: list[str], what: str, stream: str = "") -> bool:
    return any(line.startswith(what) and f" {stream}" in line for line in lines)


# --- honest runs -----------------------------------------------------------------------------------------------------
def step(name: str, target: str, fields: str) -> str:
    return f"+pipeline.transforms.{name}={{_target_:fusion_aug.{target},{fields}}}"


LOSING = [
    step("near", "RangeCrop", "high:20.0"),
    step("fewer", "PointDropout", "share:0.4"),
    step("cut", "Crop", "size:[96,160],x:0.0,y:0.0"),
]


@pytest.mark.parametrize("kind", DRIVING)
def test_runs_that_lose_things_hold(logs: Path, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Points out of range and dropped, pictures that are cut, fog, copies: each loss has its reason."""
    air = ["pipeline=fog", "pipeline.mor=60"] if kind in ("nuscenes", "mmdet3d") else ["pipeline=identity"]
    assert run(logs, kind, tmp_path / "out", *air, *LOSING, "copies=2") == 0
    assert failed(tmp_path / "out", capsys) == []
    lines = [json.loads(line) for line in (tmp_path / "out" / NAME).read_text().splitlines()[1:]]
    lost = [sorted({r for s in line["account"].values() for r in s.get("lost", ())}) for line in lines]
    assert all({"near", "fewer"} <= set(reasons) for reasons in lost), lost


@pytest.mark.parametrize("kind", ROBOTS)
def test_robots_that_lose_things_hold(
    logs: Path, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change = step("x", "DropFrames", "share:0.3") if kind == "mcap" else step("x", "SpeedWarp", "speed:1.3")
    more = [] if kind != "robomimic" else ["log.exclude=[obs/gripper]", "log.parts={actions:{other:[0,7]}}"]
    assert run(logs, kind, tmp_path / "out", "pipeline=identity", change, *more) == 0
    assert failed(tmp_path / "out", capsys) == []


def test_boxes_that_leave_the_picture_have_their_reason(
    logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        run(logs, "kitti", tmp_path / "out", "pipeline=identity", step("cut", "Crop", "size:[96,160],x:0.0,y:0.0")) == 0
    )
    assert failed(tmp_path / "out", capsys) == []
    account = json.loads((tmp_path / "out" / NAME).read_text().splitlines()[1])["account"]["boxes"]
    left = len((tmp_path / "out/training/label_2/000000.txt").read_text().splitlines())
    assert 0 < left <= small_logs.BOXES and sum(account["lost"].values()) == small_logs.BOXES - account["rows"][1] > 0


# --- lost from an output ---------------------------------------------------------------------------------------------
LOST = 10


def first(out: Path, pattern: str) -> Path:
    return sorted(out.glob(pattern))[0]


def unlink(pattern: str) -> Callable[[Path], None]:
    return lambda out: first(out, pattern).unlink()


def kitti_boxes(out: Path) -> None:
    path = first(out, "training/label_2/*.txt")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[LOST:]))


def nuscenes_boxes(out: Path) -> None:
    path = first(out, "v1.0-*/sample_annotation.json")
    path.write_text(json.dumps(json.loads(path.read_text())[LOST:]))


def argoverse_boxes(out: Path) -> None:
    from pyarrow import feather

    path = first(out, "val/*/annotations.feather")
    feather.write_feather(feather.read_table(path).slice(LOST), path)


def mmdet3d_boxes(out: Path) -> None:
    path = first(out, "*.pkl")
    data = pickle.loads(path.read_bytes())
    most = max(data["data_list"], key=lambda row: len(row["instances"]))
    del most["instances"][:LOST]
    path.write_bytes(pickle.dumps(data))


def npz_rows(folder: str) -> Callable[[Path], None]:
    def change(out: Path) -> None:
        path = first(out, f"samples/**/streams/{folder}/arrays.npz")
        with np.load(path) as data:
            arrays = {k: v[LOST:] if k.startswith("values/") else v for k, v in data.items()}
        arrays["fields/offsets"] = np.maximum(arrays["fields/offsets"] - LOST, 0)
        np.savez(path, **arrays)

    return change


def lerobot_picture(out: Path) -> None:
    import av

    path = first(out, "videos/*front/**/*.mp4")
    with av.open(str(path)) as old, av.open(str(out / "cut.mp4"), "w") as new:
        stream = old.streams.video[0]
        copy = new.add_stream_from_template(stream, opaque=True)
        for packet in [p for p in old.demux(stream) if p.pts is not None][:-1]:
            packet.stream = copy
            new.mux(packet)
    (out / "cut.mp4").replace(path)


def mcap_message(topic: str) -> Callable[[Path], None]:
    def change(out: Path) -> None:
        from mcap.reader import make_reader
        from mcap.writer import Writer as Stream

        path, number = first(out, "**/*.mcap"), 0
        with path.open("rb") as old, (out / "cut.mcap").open("wb") as new:
            writer, channels = Stream(new), {}
            writer.start(profile="ros2")
            for schema, channel, message in make_reader(old).iter_messages():
                if channel.topic not in channels:
                    known = writer.register_schema(schema.name, schema.encoding, schema.data)
                    facts = (channel.topic, channel.message_encoding, known, channel.metadata)
                    channels[channel.topic] = writer.register_channel(*facts)
                number += channel.topic == topic
                if channel.topic != topic or number != 1:
                    writer.add_message(channels[channel.topic], message.log_time, message.data, message.publish_time)
            writer.finish()
        (out / "cut.mcap").replace(path)

    return change


def robomimic_rows(name: str) -> Callable[[Path], None]:
    def change(out: Path) -> None:
        import h5py

        with h5py.File(first(out, "*.hdf5"), "a") as file:
            rows = file[f"data/demo_0/{name}"][:-1]
            del file[f"data/demo_0/{name}"]
            file[f"data/demo_0/{name}"] = rows

    return change


PLANTED = {
    ("kitti", "boxes", "boxes"): kitti_boxes,
    ("kitti", "pictures", "image_2"): unlink("training/image_2/*.png"),
    ("kitti", "sweeps", "velodyne"): unlink("training/velodyne/*.bin"),
    ("nuscenes", "boxes", "boxes"): nuscenes_boxes,
    ("nuscenes", "pictures", "CAM_BACK"): unlink("samples/CAM_BACK/*.jpg"),
    ("nuscenes", "sweeps", "LIDAR_TOP"): unlink("sweeps/LIDAR_TOP/*.bin"),
    ("argoverse2", "boxes", "boxes"): argoverse_boxes,
    ("argoverse2", "pictures", "ring_front_center"): unlink("val/*/sensors/cameras/ring_front_center/*.jpg"),
    ("argoverse2", "sweeps", "lidar"): unlink("val/*/sensors/lidar/*.feather"),
    ("mmdet3d", "boxes", "boxes"): mmdet3d_boxes,
    ("mmdet3d", "pictures", "CAM_BACK"): unlink("samples/CAM_BACK/*.jpg"),
    ("mmdet3d", "sweeps", "lidar"): unlink("samples/LIDAR_TOP/*.bin"),
    ("folder", "boxes", "boxes"): npz_rows("boxes"),
    ("folder", "points", "velodyne"): npz_rows("velodyne"),
    ("folder", "pictures", "image_2"): unlink("samples/**/streams/image_2/*.png"),
    ("mcap", "pictures", "front"): mcap_message("/front/image/compressed"),
    ("mcap", "messages", "joint_states"): mcap_message("/joint_states"),
    ("mcap", "messages", "tf_static"): mcap_message("/tf_static"),
    ("lerobot", "pictures", "front"): lerobot_picture,
    ("robomimic", "pictures", "front"): robomimic_rows("obs/front_image"),
    ("robomimic", "frames", "gripper"): robomimic_rows("obs/gripper"),
}


@pytest.mark.parametrize(("kind", "what", "stream"), PLANTED)
def test_what_an_output_has_lost_is_named(
    logs: Path, kind: str, what: str, stream: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(logs, kind, out) == 0 and failed(out, capsys) == []
    PLANTED[kind, what, stream](out)
    lines = failed(out, capsys)
    assert names(lines, f"{what} missing", stream), lines


# --- lost by a writer that says nothing of it ------------------------------------------------------------------------
class Forget:
    """Leaves the first ten boxes, or the last picture of a camera, out of a sample, however often it is asked.

    Args:
        camera: whose picture; boxes where there is none.
    """

    def __init__(self, camera: str = ""):
        self.camera, self.known = camera, {}

    def __call__(self, sample: Sample) -> Sample:
        return sample.with_streams({n: self.less(sample.id, n, s) for n, s in sample.streams.items()})

    def less(self, sample_id: str, name: str, stream: Any) -> Any:
        if name == self.camera:
            whole = self.known.setdefault((sample_id, name), len(stream))
            return stream.take_items(torch.arange(whole - 1)) if len(stream) == whole else stream
        if self.camera or not isinstance(stream, Boxes2D | Boxes3D):
            return stream
        gone = self.known.setdefault((sample_id, name), list(stream["instance"][:LOST]))
        return stream.select(torch.tensor([i not in gone for i in stream["instance"]], dtype=torch.bool))


def forgetful(writer: type[Writer], camera: str) -> dict[str, Any]:
    """Methods of a writer that loses things and says that this is what it wrote."""
    stage, back, change = writer.stage, writer.as_read_back, Forget(camera)

    def forget(self: Writer, sample: Sample, *args: Any) -> dict[str, Any]:
        return stage(self, change(sample), *args)

    def as_read_back(self: Writer, *args: Any, **kwargs: Any) -> Sample:
        return change(back(self, *args, **kwargs))

    return {"stage": forget, "as_read_back": as_read_back}


def careless(writer: type[Writer], pattern: str) -> dict[str, Any]:
    """Methods of a writer that loses the first file of a kind, of one sample, before anybody has counted it."""
    before, owners = writer.stage, set[str]()

    def stage(self: Writer, sample: Sample, source: Sample, out_id: str, folder: Path) -> dict[str, Any]:
        rows = before(self, sample, source, out_id, folder)
        found = sorted(folder.glob(pattern))
        if found and owners <= {source.id}:
            owners.add(source.id)
            found[0].unlink()
        return rows

    return {"stage": stage}


WRITERS = {
    **{(kind, "boxes", "boxes"): (forgetful, "") for kind in ("argoverse2", "folder", "kitti", "nuscenes")},
    ("kitti", "pictures", "image_2"): (careless, "training/image_2/*.png"),
    ("kitti", "sweeps", "velodyne"): (careless, "training/velodyne/*.bin"),
    ("nuscenes", "pictures", "CAM_BACK"): (careless, "samples/CAM_BACK/*.jpg"),
    ("nuscenes", "sweeps", "LIDAR_TOP"): (careless, "sweeps/LIDAR_TOP/*.bin"),
    ("argoverse2", "pictures", "ring_front_center"): (careless, "**/ring_front_center/*.jpg"),
    ("argoverse2", "sweeps", "lidar"): (careless, "**/lidar/*.feather"),
    ("mmdet3d", "pictures", "CAM_BACK"): (careless, "samples/CAM_BACK/*.jpg"),
    ("mmdet3d", "sweeps", "lidar"): (careless, "samples/LIDAR_TOP/*.bin"),
    ("folder", "pictures", "image_2"): (careless, "samples/**/image_2/*.png"),
    **{(kind, "pictures", "front"): (forgetful, "front") for kind in ("lerobot", "mcap", "robomimic")},
}


@pytest.mark.parametrize(("kind", "what", "stream"), WRITERS)
def test_a_writer_that_loses_things_is_found_out(
    logs: Path, kind: str, what: str, stream: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Also ``check`` runs with the same writer, so that all that this package says of itself agrees."""
    fault, how = WRITERS[kind, what, stream]
    writer, out = FORMATS[kind].writer, tmp_path / "out"
    for name, method in fault(writer, how).items():
        monkeypatch.setattr(writer, name, method)
    assert run(logs, kind, out) == 0
    lines = failed(out, capsys)
    assert names(lines, f"{what} missing", stream), lines


def test_a_reader_that_overlooks_things_is_found_out(
    logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Source and output read alike, without a camera and without ten boxes."""
    reader = FORMATS["kitti"].reader
    read = reader.read

    @wraps(read)
    def blind(log: Any, sample_id: str) -> Sample:
        sample = Forget()(read(log, sample_id))
        return sample.with_streams({n: s for n, s in sample.streams.items() if n != "image_3"})

    monkeypatch.setattr(reader, "read", blind)
    assert run(logs, "kitti", tmp_path / "out", "pipeline=geometry") == 0
    lines = failed(tmp_path / "out", capsys)
    assert names(lines, "boxes missing", "boxes") and names(lines, "pictures missing", "image_3")


# --- what the account says -------------------------------------------------------------------------------------------
def with_account(out: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the account of the first sample."""
    header, line, *rest = (out / NAME).read_text().splitlines(keepends=True)
    data = json.loads(line)
    change(data["account"])
    (out / NAME).write_text("".join([header, json.dumps(data) + "\n", *rest]))


@pytest.mark.parametrize("reason", ["", "magic", "the format has no place for it"])
def test_a_loss_needs_a_reason(logs: Path, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run(logs, "nuscenes", out, "pipeline=identity", "limit=1") == 0
    nuscenes_boxes(out)
    with_account(
        out,
        lambda a: a["boxes"].update(rows=[a["boxes"]["rows"][0], a["boxes"]["rows"][0] - LOST], lost={reason: LOST}),
    )
    assert names(failed(out, capsys), "boxes missing", "boxes")


def test_an_account_that_says_too_much_or_too_little(
    logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(logs, "kitti", out, "pipeline=identity", LOSING[1]) == 0
    with_account(out, lambda a: a["velodyne"]["lost"].update(fewer=1))
    assert names(failed(out, capsys), "points missing", "velodyne")
    with_account(out, lambda a: a["velodyne"]["lost"].update(fewer=10_000))
    assert names(failed(out, capsys), "points unexpected", "velodyne")


def test_a_manifest_without_an_account_is_not_compared(
    logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(logs, "kitti", out) == 0
    lines = [json.loads(line) for line in (out / NAME).read_text().splitlines()]
    for line in lines:
        del line["account"]
    (out / NAME).write_text("".join(json.dumps(line) + "\n" for line in lines))
    capsys.readouterr()
    assert main(["check", str(out)]) == 0
    text = capsys.readouterr().out
    assert text.count("not compared: the manifest is of a version that wrote no account") == 2


def test_samples_that_are_gone_or_too_many(logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run(logs, "kitti", out) == 0
    for path in sorted((out / "training").rglob("000001.*")):
        shutil.copy(path, path.with_stem("000007"))
    assert names(failed(out, capsys), "samples unexpected", "all")
    for path in sorted((out / "training").rglob("00000[17].*")):
        path.unlink()
    assert names(failed(out, capsys), "samples missing", "all")
