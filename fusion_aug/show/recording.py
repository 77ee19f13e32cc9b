"""Samples as a Rerun recording: before and after side by side on one timeline (an extra: ``fusion_aug[rerun]``)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from calib import CameraSensor, Pinhole
from calib.se3 import quaternion_from_rotation
from fusion_aug.errors import FusionAugError, MissingPackage
from fusion_aug.logs.core.full_disk import through_pipe
from fusion_aug.ops.color import shown_levels
from fusion_aug.sample import Sample, world_frame_of
from fusion_aug.sample.ego import with_both_velocities
from fusion_aug.show.draw import category_colour, key_points, lidars, point_colours
from fusion_aug.show.map_lines import colour, lines_of_maps
from fusion_aug.show.paths import path_colour, paths_of
from fusion_aug.streams import Boxes3D, Camera, Radar

RADAR_COLOUR, PATH_COLOUR, BACKGROUND = (255, 90, 160), (240, 240, 240), (24, 26, 30)


def _rerun() -> Any:
    try:
        import rerun
    except ImportError:
        raise MissingPackage("a recording needs the package rerun-sdk: pip install '.[rerun]'") from None
    return rerun


def record(pairs: Iterable[tuple[Sample, Sample]], path: Path) -> int:
    """Write a recording.

    Args:
        pairs: samples before and after, in time order.
        path: ``.rrd`` file.

    Returns:
        how many samples it holds.

    Raises:
        OSError: the disk is full; it names the file.
    """
    stream = _rerun().RecordingStream("fusion_aug", send_properties=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        with through_pipe(part) as name:
            stream.save(name)
            try:
                count = _log_pairs(stream, pairs, path.stem)
            finally:
                stream.disconnect()
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    part.replace(path)
    return count


def _log_pairs(stream: Any, pairs: Iterable[tuple[Sample, Sample]], title: str) -> int:
    """Log all samples; returns how many they are."""
    rr = _rerun()
    tracks: dict[str, list[np.ndarray]] = {"before": [], "after": []}
    count, start, cameras = 0, None, []
    for before, after in pairs:
        start = before.ref.time if start is None else start
        stream.set_time("log_time_since_start", duration=(before.ref.time - start) * 1e-9)
        stream.set_time("sample", sequence=count)
        for side, sample in (("before", before), ("after", after)):
            log_sample(rr, stream, side, sample, tracks[side])
        done = ", ".join(r.path for r in after.history if r.applied) or "nothing"
        stream.log("done", rr.TextDocument(f"`{before.id}`: {done}", media_type="text/markdown"))
        cameras = list(before.of_type(Camera))
        count += 1
    stream.send_recording_name(title)
    stream.send_blueprint(blueprint(cameras))
    stream.flush()
    return count


def blueprint(cameras: list[str]) -> Any:
    """Scene and first camera of both sides beside one another, and what was done below."""
    import rerun.blueprint as rrb

    def side(name: str) -> Any:
        views: list[Any] = [rrb.Spatial3DView(origin=f"/{name}/world", name=name, background=BACKGROUND)]
        views += [rrb.Spatial2DView(origin=f"/{name}/world/ref/{c}", name=f"{name}: {c}") for c in cameras[:1]]
        return rrb.Vertical(*views, row_shares=[3, 2][: len(views)])

    done = rrb.TextDocumentView(origin="/done", name="what was done")
    panels = (
        rrb.SelectionPanel(state="collapsed"),
        rrb.TimePanel(state="collapsed", timeline="sample", play_state="paused"),
    )
    return rrb.Blueprint(rrb.Vertical(rrb.Horizontal(side("before"), side("after")), done, row_shares=[8, 1]), *panels)


def log_sample(rr: Any, stream: Any, side: str, sample: Sample, track: list[np.ndarray]) -> None:
    """Log one sample below ``side/world``: the reference frame in the world, and everything in it."""
    root, meta = f"{side}/world", sample.meta
    stream.log(root, rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
    world = world_frame_of(meta.rig, meta.ref.frame)
    T = np.eye(4) if world is None else meta.rig.T(world, meta.ref.frame, meta.ref.time).numpy()
    track.append(T[:3, 3])
    stream.log(f"{root}/ref", rr.Transform3D(translation=T[:3, 3], mat3x3=T[:3, :3]))
    if len(track) > 1:
        stream.log(f"{root}/path", rr.LineStrips3D([np.array(track)], colors=[PATH_COLOUR], radii=0.1))
    for name in lidars(sample):
        xyz = key_points(sample, name).numpy()
        finite = np.isfinite(xyz).all(1)
        colours = point_colours(sample, name, xyz)[finite]
        stream.log(f"{root}/ref/{name}", rr.Points3D(xyz[finite], colors=colours, radii=0.04))
    for name in sample.of_type(Radar):
        _log_radar(rr, stream, f"{root}/ref/{name}", sample, name)
    for name in sample.of_type(Camera):
        _log_camera(rr, stream, f"{root}/ref/{name}", sample, name)
    for name, boxes in sample.of_type(Boxes3D).items():
        _log_boxes(rr, stream, f"{root}/ref/{name}", boxes)
    _log_paths(rr, stream, f"{root}/ref/waypoints", sample)
    lines = list(lines_of_maps(sample))
    if lines:
        of_lines = [colour(element) for element, _ in lines]
        stream.log(f"{root}/ref/map", rr.LineStrips3D([line for _, line in lines], colors=of_lines, radii=0.05))


def _log_paths(rr: Any, stream: Any, entity: str, sample: Sample) -> None:
    pieces = [
        (places[k : k + 2], seconds[k + 1]) for _, seconds, places in paths_of(sample) for k in range(len(seconds) - 1)
    ]
    if pieces:
        colours = [path_colour(time) for _, time in pieces]
        stream.log(entity, rr.LineStrips3D([piece for piece, _ in pieces], colors=colours, radii=0.06))


def _log_radar(rr: Any, stream: Any, entity: str, sample: Sample, name: str) -> None:
    item = sample.key_item(name)
    cloud, T = with_both_velocities(sample, name), sample.T_ref(name, item).numpy()
    rows = cloud.item_slice(item)
    start = cloud["xyz"][rows].numpy().astype(np.float64) @ T[:3, :3].T + T[:3, 3]
    way = cloud["velocity_comp"][rows].nan_to_num(0.0).numpy().astype(np.float64) @ T[:3, :3].T
    stream.log(entity, rr.Arrows3D(origins=start, vectors=way, colors=[RADAR_COLOUR], radii=0.06))
    stream.log(f"{entity}/detections", rr.Points3D(start, colors=[RADAR_COLOUR], radii=0.15))


def _log_camera(rr: Any, stream: Any, entity: str, sample: Sample, name: str) -> None:
    """Pose, pinhole and picture. Rerun knows no distortion, so it is noted beside the camera."""
    sensor = sample.rig.camera(sample[name].instance(name))
    T = sample.T_ref(name).numpy()
    stream.log(entity, rr.Transform3D(translation=T[:3, 3], mat3x3=T[:3, :3]))
    stream.log(entity, pinhole(rr, sensor))
    item = sample.key_item(name)
    source = sample[name].sources[item]  # type: ignore[attr-defined]
    if source is not None and source.path.suffix.lower() in (".jpg", ".jpeg", ".png"):
        stream.log(entity, rr.EncodedImage(path=source.path))
    else:
        picture = sample[name].image(item)  # type: ignore[attr-defined]
        stream.log(entity, rr.Image(shown_levels(picture).numpy()).compress(jpeg_quality=90))
    if sensor.model.lens != Pinhole.lens:
        terms = ", ".join(f"{v:.6g}" for v in sensor.model.distortion.tolist())
        note = f"{name}: the lens is {sensor.model.lens} ({terms}); it is drawn as a pinhole without distortion"
        stream.log(f"{entity}/lens", rr.TextDocument(note))


def pinhole(rr: Any, sensor: CameraSensor) -> Any:
    """A K with the pixel map, its skew left out; Rerun counts pixels from their corners, half a pixel further."""
    height, width = sensor.size
    matrix = (sensor.A @ sensor.model.K).detach().numpy()
    matrix = matrix / matrix[2, 2]
    focal = [abs(matrix[0, 0]), abs(matrix[1, 1])]
    return rr.Pinhole(
        focal_length=focal, principal_point=[matrix[0, 2] + 0.5, matrix[1, 2] + 0.5], width=width, height=height,
        image_plane_distance=2.0,
    )  # fmt: skip


def _log_boxes(rr: Any, stream: Any, entity: str, boxes: Boxes3D) -> None:
    pose, names = boxes["pose"], [str(c) for c in boxes.values.get("category", np.full(boxes.rows, ""))]
    wxyz = quaternion_from_rotation(pose[:, :3, :3]).numpy() if len(pose) else np.zeros((0, 4))
    stream.log(
        entity,
        rr.Boxes3D(
            centers=pose[:, :3, 3].numpy(), sizes=boxes["size"].numpy(), quaternions=np.roll(wxyz, -1, axis=1),
            labels=names, show_labels=False, colors=[category_colour(n) for n in names],
        ),
    )  # fmt: skip


@contextmanager
def serve(path: Path, port: int = 9090) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A recording in Rerun's own web viewer, on the loopback interface only, for as long as the context lasts.

    Args:
        path: the recording. port: of the viewer; the next one carries the data.

    Yields:
        the server's process, and the address to open in a browser.
    """
    _rerun()
    # -P: not the rerun.py of the current folder, which may be that of somebody else's log
    command = [sys.executable, "-P", "-m", "rerun", str(path), "--serve-web", "--bind", "127.0.0.1"]
    # the command starts a program of its own, which only the whole group ends
    server = subprocess.Popen(
        [*command, "--web-viewer-port", str(port), "--port", str(port + 1)], start_new_session=True
    )  # fmt: skip
    try:
        wait_for(server, port)
        yield server, f"http://127.0.0.1:{port}/?url=rerun%2Bhttp://127.0.0.1:{port + 1}/proxy"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def wait_for(server: subprocess.Popen[bytes], port: int, seconds: float = 30.0) -> None:
    """Wait until a server answers on the loopback interface.

    Raises:
        FusionAugError: it ended, or does not answer in time.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        time.sleep(0.1)
    raise FusionAugError(f"port: the viewer does not answer on 127.0.0.1:{port}; is the port taken? give another port=")
