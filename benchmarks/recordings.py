"""``python -m benchmarks.recordings [--frames N] [--rounds N] [--json FILE]``: runs over one long recording.

The recording is made on the spot: pictures of 640x480 rgb8 with their CameraInfo and tf, in chunks that are not
compressed. Beside every run stands what a script of an hour does with the reader and the writer of mcap: *bare copy*
reads and writes; *bare* decodes, changes and encodes every picture in between, by the same transforms with the same
parameters. All are processes of their own, in turn; what counts are the seconds that the processor gave them and their
children, and the most memory that one of them held.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

FRAMES, ROUNDS, SIZE = 2000, 3, (480, 640)
T0, STEP = 1_700_000_000_000_000_000, 33_333_333  # ns
LIMITS = {"photometric": 1.5, "identity": 2.0, "timewarp": 1.5}
BESIDE = {"photometric": "bare", "identity": "bare copy", "timewarp": "identity"}
MOST_MEMORY = 2**30
MIB, GB = 2**20, 10**9
NAME, DRAWN = "long.mcap", "drawn.json"


# --- the recording ----------------------------------------------------------------------------------------------------
def record(path: Path, frames: int) -> None:
    """Make the recording: a drifting picture under noise, CameraInfo and tf beside each, static tf at first."""
    from mcap.writer import CompressionType, Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    types = store.types

    def header(time: int, frame: str) -> Any:
        stamp = types["builtin_interfaces/msg/Time"](sec=time // GB, nanosec=time % GB)
        return types["std_msgs/msg/Header"](stamp=stamp, frame_id=frame)

    def tf(time: int, parent: str, child: str, x: float) -> Any:
        shift = types["geometry_msgs/msg/Vector3"](x=x, y=0.0, z=0.0)
        turn = types["geometry_msgs/msg/Quaternion"](x=0.0, y=0.0, z=0.0, w=1.0)
        pose = types["geometry_msgs/msg/Transform"](translation=shift, rotation=turn)
        one = types["geometry_msgs/msg/TransformStamped"](
            header=header(time, parent), child_frame_id=child, transform=pose
        )
        return types["tf2_msgs/msg/TFMessage"](transforms=[one])

    def info(time: int) -> Any:
        roi = types["sensor_msgs/msg/RegionOfInterest"](x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
        K = np.array([500.0, 0, 319.5, 0, 500.0, 239.5, 0, 0, 1])
        P = np.insert(K.reshape(3, 3), 3, 0.0, 1).ravel()
        return types["sensor_msgs/msg/CameraInfo"](
            header=header(time, "cam"), height=SIZE[0], width=SIZE[1], distortion_model="plumb_bob", d=np.zeros(5),
            k=K, r=np.eye(3).ravel(), p=P, binning_x=0, binning_y=0, roi=roi,
        )  # fmt: skip

    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (SIZE[0] // 8, SIZE[1] // 8, 3), dtype=np.uint8)
    whole = np.kron(small, np.ones((8, 8, 1), np.uint8))
    grain = rng.integers(0, 16, whole.shape, dtype=np.uint8)
    with path.open("wb") as file:
        writer = Writer(file, chunk_size=2**20, compression=CompressionType.NONE)
        writer.start(profile="ros2", library="benchmark")
        channels: dict[str, int] = {}

        def write(topic: str, time: int, message: Any) -> None:
            kind = message.__msgtype__
            if topic not in channels:
                text, _ = store.generate_msgdef(kind, ros_version=2)
                channels[topic] = writer.register_channel(
                    topic, "cdr", writer.register_schema(kind, "ros2msg", text.encode())
                )
            writer.add_message(channels[topic], time, bytes(store.serialize_cdr(message, kind)), time)

        write("/tf_static", T0, tf(T0, "base_link", "cam", 0.5))
        for k in range(frames):
            time, shift = T0 + k * STEP, (k % SIZE[0], 3 * k % SIZE[1])
            picture = (np.roll(whole, shift, (0, 1)) >> 1) + np.roll(grain, 7 * k, 0)
            message = types["sensor_msgs/msg/Image"](
                header=header(time, "cam"), height=SIZE[0], width=SIZE[1], encoding="rgb8", is_bigendian=0,
                step=3 * SIZE[1], data=picture.ravel(),
            )  # fmt: skip
            write("/cam/image_raw", time, message)
            write("/cam/camera_info", time, info(time))
            write("/tf", time, tf(time, "odom", "base_link", 0.01 * k))
        writer.finish()


# --- what is measured -------------------------------------------------------------------------------------------------
def run(root: Path, out: Path, pipeline: str) -> None:
    """A run of the package over the whole recording."""
    from fusion_aug.cli import main

    words = [f"log.root={root}", f"out={out}", f"pipeline={pipeline}", "workers=0"]
    if main(["run", "log=mcap", *words]):
        sys.exit(f"the run of {pipeline} failed")


def bare_copy(root: Path, out: Path, change: Callable[[bytes], bytes] | None = None) -> None:
    """A loop over the reader and the writer of mcap."""
    from mcap.reader import make_reader
    from mcap.writer import CompressionType, Writer

    out.mkdir()
    schemas: dict[int, int] = {}
    channels: dict[int, int] = {}
    with (root / NAME).open("rb") as source, (out / NAME).open("wb") as target:
        writer = Writer(target, chunk_size=2**20, compression=CompressionType.NONE)
        writer.start(profile="ros2", library="bare")
        for schema, channel, message in make_reader(source).iter_messages():
            if schema.id not in schemas:
                schemas[schema.id] = writer.register_schema(schema.name, schema.encoding, schema.data)
            if channel.id not in channels:
                own = (channel.topic, channel.message_encoding, schemas[schema.id], channel.metadata)
                channels[channel.id] = writer.register_channel(*own)
            changes = change is not None and channel.topic == "/cam/image_raw"
            data = change(message.data) if changes else message.data  # type: ignore[misc]
            writer.add_message(channels[channel.id], message.log_time, data, message.publish_time, message.sequence)
        writer.finish()


def bare(root: Path, out: Path) -> None:
    """The same, with every picture decoded, changed by the transforms of ``photometric``, and encoded."""
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    change, kind = kernels(json.loads((root.parent / DRAWN).read_text())), "sensor_msgs/msg/Image"

    def changed(data: bytes) -> bytes:
        message = store.deserialize_cdr(data, kind)
        time = message.header.stamp.sec * GB + message.header.stamp.nanosec
        picture = change(message.data.reshape(message.height, message.width, 3), time)
        return bytes(store.serialize_cdr(replace(message, data=picture.reshape(-1)), kind))

    bare_copy(root, out, changed)


def draw(root: Path) -> None:
    """Write down what ``photometric`` draws for the recording."""
    from fusion_aug.run.config import compose_config
    from fusion_aug.run.job import Job
    from fusion_aug.sample.history import history_to_json

    words = ["log=mcap", f"log.root={root}", f"out={root}/none", "pipeline=photometric"]
    job = Job(compose_config("run", words, None))
    sample = job.pipeline(job.log[0], seed=int(job.config["seed"]))
    (root.parent / DRAWN).write_text(json.dumps(history_to_json(sample.history)))


def kernels(records: list[dict[str, Any]]) -> Callable[[np.ndarray, int], np.ndarray]:
    """The transforms of a history, one after another on one picture in memory."""
    import torch

    from calib import CameraSensor, Frame, Pinhole, Rig
    from fusion_aug import Camera
    from fusion_aug.core.engine import transform_class
    from fusion_aug.core.parameters import ParameterRows
    from fusion_aug.core.registry import Call, Context
    from fusion_aug.sample import Ref, Sample, SampleMeta
    from fusion_aug.sample.history import history_from_json
    from fusion_aug.transforms.camera.photometric import PictureContext

    torch.set_num_threads(1)
    applied = [r for r in history_from_json(records) if r.applied]
    K = torch.tensor([[500.0, 0, 319.5], [0, 500, 239.5], [0, 0, 1]], dtype=torch.float64)
    rig = Rig({"cam": Frame()}, {"cam": CameraSensor(frame="cam", model=Pinhole(K=K, size=SIZE))})

    def change(levels: np.ndarray, time: int) -> np.ndarray:
        picture = torch.from_numpy(levels.copy())  # those of a message cannot be written to
        stream = Camera(frame="cam", capture_times=torch.tensor([time]), items=(picture,))
        meta = SampleMeta(id="long", scene="long", ref=Ref("cam", time), rig=rig, true_rig=rig, clock="cam")
        sample = Sample(metas=(meta,), streams={"cam": stream})
        for record in applied:
            cls = transform_class(record)
            call = Call(cls, sample, "cam", ParameterRows([record.params]), Context({}))
            picture = cls.change(picture, call.params[0], PictureContext(call, stream, 0))
        return picture.numpy()

    return change


# --- measuring --------------------------------------------------------------------------------------------------------
def measured(*words: object) -> dict[str, float]:
    """Seconds of the processor and of the clock, and the most bytes, of this module as a process of its own."""
    environment = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")}
    start = time.monotonic()
    command = [sys.executable, "-m", "benchmarks.recordings", *map(str, words)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(map(str, words))}: exit code {child.returncode}")
    return {
        "cpu": used.ru_utime + used.ru_stime, "wall": time.monotonic() - start, "memory": used.ru_maxrss * 1024.0
    }  # fmt: skip


WORKS: dict[str, tuple[object, ...]] = {
    "bare copy": ("bare_copy",),
    "identity": ("run", "identity"),
    "timewarp": ("run", "timewarp"),
    "bare": ("bare",),
    "photometric": ("run", "photometric"),
}


def trials(frames: int, rounds: int) -> dict[str, dict[str, float]]:
    """Medians of all works, in turn."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "log")
        root.mkdir()
        measured("record", root / NAME, frames)
        measured("draw", root)
        found: dict[str, list[dict[str, float]]] = {name: [] for name in WORKS}
        for k in range(rounds):
            for name, (work, *rest) in WORKS.items():
                out = Path(folder, "out")
                found[name].append(measured(work, root, out, *rest))
                shutil.rmtree(out)
                print(f"round {k + 1}: {name}: {found[name][-1]['cpu']:.1f} s", file=sys.stderr, flush=True)
    return {n: {f: float(np.median([t[f] for t in own])) for f in own[0]} for n, own in found.items()}


def main(words: Sequence[str]) -> int:
    """Measure and print; 1 where a limit does not hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recordings", description=__doc__)
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(words)
    found = trials(options.frames, options.rounds)
    print(f"{options.frames} frames, {options.frames * SIZE[0] * SIZE[1] * 3 / GB:.2f} GB of pictures")
    print("             seconds of            most")
    print("             processor  clock      memory    ratio (processor)")
    holds = True
    for name, own in found.items():
        told = ""
        if name in LIMITS:
            ratio = own["cpu"] / found[BESIDE[name]]["cpu"]
            told = f"{ratio:.2f} of {BESIDE[name]}, at most {LIMITS[name]}"
            holds &= ratio <= LIMITS[name]
        print(f"{name:<12} {own['cpu']:<10.1f} {own['wall']:<10.1f} {own['memory'] / MIB:<5.0f} MiB {told}")
    holds &= found["photometric"]["memory"] < MOST_MEMORY
    if options.json:
        options.json.write_text(json.dumps({"frames": options.frames, **found}, indent=1) + "\n")
    return 0 if holds else 1


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["record", path, frames]:
            record(Path(path), int(frames))
        case ["draw", root]:
            draw(Path(root))
        case ["bare_copy", root, out]:
            bare_copy(Path(root), Path(out))
        case ["bare", root, out]:
            bare(Path(root), Path(out))
        case ["run", root, out, pipeline]:
            run(Path(root), Path(out), pipeline)
        case words:
            sys.exit(main(words))
