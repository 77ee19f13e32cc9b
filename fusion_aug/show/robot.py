"""Drawing a robot: its cameras with the arm drawn in by its kinematics, its gels, and its signals over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from calib import CalibrationError, CameraSensor, JointPose, UnknownLens
from fusion_aug.ops.color import shown_levels
from fusion_aug.sample import Sample
from fusion_aug.show.draw import PAPER, banner, fitted, label
from fusion_aug.show.numbers import drawn_lines, held_lines
from fusion_aug.show.panel import fits, panel, strip
from fusion_aug.streams import Camera, ImageStream, JointState, Stream, TactileImage, Taxels, Wrench

TILE = 440  # width of a camera picture, pixels
GEL = 165  # height of a gel's picture
PLOT = (210, 900)  # height and width of the traces of one kind
DRAWN_AT = 0.55  # share of the recording at which pictures are drawn
GREY = (110, 116, 124)
COLOURS = [(255, 120, 90), (120, 220, 120), (90, 170, 255), (255, 205, 80), (215, 120, 255), (90, 225, 225),
           (255, 160, 200), (190, 190, 150)]  # fmt: skip
CurveFunction = Callable[[Stream], np.ndarray]  # the curves (n, k) of a stream
LINK, JOINT = (60, 235, 255), (255, 60, 200)
SIGNALS = {"position": "rad or m", "effort": "Nm or N", "force": "N", "torque": "Nm"}
FONT = (cv2.FONT_HERSHEY_SIMPLEX, 0.36)
ENTRY = 14  # pixels from a row of a legend to the next


def is_robot(sample: Sample) -> bool:
    """Whether a sample is of a robot: it has joint states."""
    return bool(sample.of_type(JointState))


def draw_robot(before: Sample, after: Sample, title: str = "", overlay: bool = True) -> np.ndarray:
    """Two recordings of a robot: pictures of each, their signals in one set of traces, and what was drawn.

    Args:
        before, after: the samples. title: of the first. overlay: whether the arm is drawn into the pictures.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    done = ", ".join(r.path for r in after.history if r.applied) or "nothing"
    sides = [_wide(pictures(s, overlay), t) for s, t in ((before, f"before  {title}"), (after, f"after  {done}"))]
    height = max(s.shape[0] for s in sides)
    rows = [np.concatenate([fitted(s, height) for s in sides], 1)]
    lines = ["drawn:", *drawn_lines(after.history)] if after.history else []
    plots = [plot for kind in (JointState, Wrench, Taxels) for plot in traces(before, after, kind)]
    told = bool(len(plots) % 2) and fits(lines, PLOT[1], PLOT[0])
    legend = "traces: grey before, coloured after; seconds since the begin of the recording before"
    if plots:
        pairs = [plots[i : i + 2] for i in range(0, len(plots), 2)]
        if len(plots) % 2:
            pairs[-1].append(panel(lines if told else held_lines(after), PLOT[1], PLOT[0]))
        rows.append(_with_title(np.concatenate([np.concatenate(p, 1) for p in pairs]), legend))
    if lines and not told:
        rows.append(strip(lines, max(r.shape[1] for r in rows)))
    width = max(r.shape[1] for r in rows)
    return np.concatenate([np.pad(r, ((0, 0), (0, width - r.shape[1]), (0, 0)), constant_values=24) for r in rows])


def pictures(sample: Sample, overlay: bool = True) -> np.ndarray:
    """Cameras side by side, and under them the gels."""
    cameras = [camera(sample, n, overlay) for n in sample.of_type(Camera)]
    gels = [gel(sample, n) for n in sample.of_type(TactileImage)]
    strips = []
    for tiles in (cameras, gels):
        if tiles:
            height = max(t.shape[0] for t in tiles)
            strips.append(np.concatenate([fitted(t, height) for t in tiles], 1))
    if not strips:
        return np.full((1, TILE, 3), PAPER, np.uint8)
    width = max(s.shape[1] for s in strips)
    return np.concatenate([np.pad(s, ((0, 0), (0, width - s.shape[1]), (0, 0)), constant_values=24) for s in strips])


def item_at(stream: Stream) -> int:
    """The item that is drawn."""
    return min(len(stream) - 1, int(DRAWN_AT * len(stream)))


def camera(sample: Sample, name: str, overlay: bool = True) -> np.ndarray:
    """A camera's picture, with the arm drawn where the calibration has it."""
    stream = sample[name]
    assert isinstance(stream, ImageStream)
    item = item_at(stream)
    image, scale = enlarged(shown_levels(stream.image(item)).numpy(), TILE)
    for a, b in skeleton(sample, name, item) if overlay else ():
        cv2.line(image, _at(a, scale), _at(b, scale), LINK, 2, cv2.LINE_AA)
        for end in (a, b):
            cv2.circle(image, _at(end, scale), 4, JOINT, -1, cv2.LINE_AA)
    label(image, name)
    return image


def skeleton(sample: Sample, name: str, item: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pixels of both ends of every link that a camera sees, by forward kinematics and calibration."""
    rig, stream = sample.rig, sample[name]
    device = rig.sensors.get(stream.instance(name))
    if not isinstance(device, CameraSensor) or isinstance(device.model, UnknownLens):
        return []
    moving = {n for n, f in rig.frames.items() if isinstance(f.pose, JointPose)}
    ends = moving | {rig.frames[n].parent for n in moving}
    found = {}
    for frame in ends:
        try:
            place = rig.T(stream.frame, str(frame), int(stream.capture_times[item]))[:3, 3]
        except CalibrationError:
            continue  # the camera is not connected, or the joints are not known then
        pixel, visible = device.project(place[None])
        if bool(visible[0]):
            found[frame] = pixel[0].numpy()
    return [(found[p], found[n]) for n in sorted(moving) if n in found and (p := rig.frames[n].parent) in found]


def gel(sample: Sample, name: str) -> np.ndarray:
    """A gel's picture, and beside it three times its difference to the background."""
    stream = sample[name]
    assert isinstance(stream, TactileImage)
    item = item_at(stream)
    shown = shown_levels(stream.image(item)).numpy()
    parts = [shown]
    if stream.backgrounds:
        parts.append(np.clip(128 + 3 * (shown.astype(int) - stream.backgrounds[item].numpy()), 0, 255).astype(np.uint8))
    width = round(GEL * shown.shape[1] / shown.shape[0])
    image = np.concatenate([enlarged(p, width)[0] for p in parts], 1)
    label(image, f"{name}  and x3")
    return image


def traces(before: Sample, after: Sample, kind: type[Stream]) -> list[np.ndarray]:
    """Plots of every column of a kind of signal, of the first stream of that kind."""
    names = [n for n in before.of_type(kind) if n in after.streams]
    if kind is Taxels:
        return [plot(before, after, names, _sums, "sum of the taxels, N", names)] if names else []
    out = []
    for column, unit in SIGNALS.items():
        if names and column in before[names[0]].values:

            def curve_of(stream: Stream, column: str = column) -> np.ndarray:
                return stream[column].reshape(len(stream), -1).numpy()

            keys = getattr(after[names[0]], "names", ("x", "y", "z"))
            out.append(plot(before, after, names[:1], curve_of, f"{names[0]} {column}, {unit}", keys))
    return out


def _sums(stream: Stream) -> np.ndarray:
    return stream["force"].sum(1, keepdim=True).numpy()


def plot(
    before: Sample, after: Sample, names: list[str], curve_of: CurveFunction, title: str, keys: Sequence[str]
) -> np.ndarray:
    """Curves (n, k) of streams before, grey, and after, coloured and called by ``keys``, over seconds."""
    image = np.full((*PLOT, 3), PAPER, np.uint8)
    begin = min(int(before[n].capture_times[0]) for n in names)
    curves = [
        ((s[n].arrival_times - begin).double().numpy() * 1e-9, curve_of(s[n]), s is after)
        for s in (before, after)
        for n in names
    ]
    left, right = min(float(t[0]) for t, _, _ in curves), max(float(t[-1]) for t, _, _ in curves)
    low, high = min(float(np.nanmin(v)) for _, v, _ in curves), max(float(np.nanmax(v)) for _, v, _ in curves)
    pad = 0.06 * (high - low) or 1.0
    low, high = low - pad, high + pad
    height, width = PLOT
    named = _legend_rows(keys, title, width)
    box = (52, 26 + ENTRY * (len(named) - 1), width - 12, height - 22)  # left, top, right, bottom

    def pixels(t: np.ndarray, v: np.ndarray) -> np.ndarray:
        x = box[0] + (t - left) / max(right - left, 1e-9) * (box[2] - box[0])
        y = box[3] - (v - low) / (high - low) * (box[3] - box[1])
        return np.round(np.stack([x, y], -1) * 16).astype(np.int32)

    for value in np.linspace(low + pad, high - pad, 3):
        y = int(pixels(np.array([left]), np.array([value]))[0, 1] / 16)
        cv2.line(image, (box[0], y), (box[2], y), (46, 50, 56), 1)
        cv2.putText(image, f"{value:.3g}", (6, y + 4), *FONT, GREY, 1, cv2.LINE_AA)
    for second in np.linspace(left, right, 6):
        x = int(pixels(np.array([second]), np.array([low]))[0, 0] / 16)
        cv2.putText(image, f"{second:.2f}", (x - 12, height - 6), *FONT, GREY, 1, cv2.LINE_AA)
    number = 0
    for t, v, coloured in curves:
        for k in range(v.shape[1]):
            colour = COLOURS[number % len(COLOURS)] if coloured else GREY
            number += coloured
            cv2.polylines(image, [pixels(t, v[:, k])], False, colour, 1, cv2.LINE_AA, 4)
    for row, entries in enumerate(named):
        for i, x in entries:
            if i < number:
                cv2.putText(image, keys[i], (x, 15 + ENTRY * row), *FONT, COLOURS[i % len(COLOURS)], 1, cv2.LINE_AA)
    label(image, title)
    return image


def _legend_rows(keys: Sequence[str], title: str, width: int) -> list[list[tuple[int, int]]]:
    """Numbers of keys and where they begin, in rows from the right; the first one ends at the title."""
    rows: list[list[tuple[int, int]]] = [[]]
    x, left = width - 12, 30 + 8 * len(title)
    for i in reversed(range(len(keys))):
        wide = cv2.getTextSize(keys[i], *FONT, 1)[0][0] + 10
        if rows[-1] and x - wide < left:
            rows.append([])
            x, left = width - 12, 0
        x -= wide
        rows[-1].append((i, x))
    return rows


def enlarged(image: np.ndarray, width: int) -> tuple[np.ndarray, float]:
    """A picture at another width, and the scale."""
    scale = width / image.shape[1]
    form = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.ascontiguousarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=form)), scale


def _at(pixel: np.ndarray, scale: float) -> tuple[int, int]:
    u, v = (pixel + 0.5) * scale - 0.5
    return round(float(u)), round(float(v))


def _wide(image: np.ndarray, text: str) -> np.ndarray:
    """A half of the upper part, at least as wide as a plot."""
    missing = max(0, PLOT[1] - image.shape[1])
    return _with_title(np.pad(image, ((0, 0), (0, missing), (0, 0)), constant_values=24), text)


def _with_title(image: np.ndarray, text: str) -> np.ndarray:
    return np.concatenate([banner(text, image.shape[1]), image])
