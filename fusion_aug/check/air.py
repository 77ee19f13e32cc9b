"""The depth probe: whether pictures and LiDAR returns show the fog that was drawn, on the user's own data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch

from calib.replacing import replace_unchecked
from fusion_aug.check.geometry import lidars
from fusion_aug.check.measurement import Pair, Row, measurement
from fusion_aug.core.parameters import ParameterRows
from fusion_aug.core.registry import Call, Context, find_transform, resolve
from fusion_aug.ops.grid import pixel_grid
from fusion_aug.physics.completion import SKY_DISTANCE
from fusion_aug.sample import Sample
from fusion_aug.sample.depth import cached_with_stream, projected
from fusion_aug.sample.history import History
from fusion_aug.streams import Camera, Depth, Points, Stream
from fusion_aug.transforms.weather.camera import VISIBLE
from fusion_aug.transforms.weather.lidar import surface_factor
from fusion_aug.transforms.weather.light import air_at
from fusion_aug.transforms.weather.scan import Scan
from fusion_aug.transforms.weather.state import WeatherState
from fusion_aug.transforms.weather.view import WeatherView
from fusion_aug.transforms.weather.weather import Weather

Array = np.ndarray
HELD_OUT, SEED = 0.2, 0
CONTRAST = 40.0  # levels between the scene and the air
DEEPEST = 2.5  # optical depth
EDGE, NEIGHBOURHOOD = 1.05, 8  # ratio of distances that is an edge, pixels around
LEAST = 300  # points
LEAST_STEPS = 4  # of a LiDAR's intensities
FAR_OFF = 0.2  # error of a distance that counts as wrong
THINNEST = 0.05  # optical depth of the farthest points below which rounding hides the fog


@dataclass(frozen=True)
class OpticalDepths:
    """Optical depths that one picture shows at some pixels.

    Attributes:
        distance: (n,) true, metres. depth: (n,) optical depth -ln t, NaN where too little contrast is left.
        clean: (n,) far from edges and with contrast enough. wrong: (n,) whether the completed distance is far off.
    """

    distance: Array
    depth: Array
    clean: Array
    wrong: Array


def clear_of_drops(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of the same fog and dust: homogeneous, without rain, snow, night and low sun."""
    return {**params, "patchiness": 0.0, "auto_gain": False, "report": True, "water_film": 0.0, "snow_cover": 0.0,
            "rain_rate": 0.0, "snow_rate": 0.0, "illuminance": None, "sun": 0.0, "lens_drops": 0.0}  # fmt: skip


def optical_depth_at(before: Array, after: Array, air: Array, pixels: Array) -> tuple[Array, Array]:
    """Optical depth (n,) at pixels, t = <I' - A, I - A> / |I - A|^2, and the contrast |I - A| there, levels."""
    u, v = (np.clip(np.round(pixels[:, i]), 0, before.shape[1 - i] - 1).astype(int) for i in (0, 1))
    scale = 1.0 if before.dtype == np.uint8 else 255.0
    gap, left = (p[v, u] * scale - air * 255.0 for p in (before, after))
    contrast = np.linalg.norm(gap, axis=1)
    t = (gap * left).sum(1) / np.maximum(contrast, 1e-6) ** 2
    return -np.log(np.where(t * contrast > 1.0, t, np.nan)), contrast


def call_for(sample: Sample, name: str, params: Mapping[str, Any]) -> Call:
    """Return the call of one stream under given parameters of a weather."""
    return Call(Weather, sample, name, ParameterRows([{"": params}] * len(sample.metas)), Context({}))


def before_and_after(sample: Sample, camera: str, params: Mapping[str, Any], item: int) -> tuple[Array, Array]:
    """Return a picture (H, W, 3) in the light under a fog, by the weather's own handler: without and with it."""
    stream = sample[camera]
    rule = resolve(Weather, type(stream))
    assert rule is not None
    clear = {**params, "mor": None, "visual_range": None, "dust_mor": None}
    light = {"overcast": WeatherState.of(params).light.overcast}
    shown = (rule(stream, call_for(sample, camera, {**p, **light})) for p in (clear, params))
    before, after = (s.image(item).detach().cpu().contiguous().numpy() for s in shown)  # type: ignore[attr-defined]
    return before, after


def air_behind(view: WeatherView, state: WeatherState, pixels: Array) -> Array:
    """Level (n, 3) of the air in the direction of canvas pixels (n, 2), share of full scale."""
    rays = view.sensor.unproject(torch.from_numpy(np.asarray(pixels, float))).nan_to_num(0.0).numpy()
    return air_at(state, state.airlight, rays @ view.up)


def split_points(sample: Sample) -> tuple[Sample, Sample]:
    """Split a sample: without depth streams and a fifth of every cloud's points, and with that fifth only.

    The next weather gets the same streams, with which distances are cached; pictures too are other than the sample's.
    """
    kept: dict[str, Stream] = {}
    out: dict[str, Stream] = {}
    for name, stream in sample.streams.items():
        if isinstance(stream, Depth):
            continue
        kept[name] = out[name] = stream
        if isinstance(stream, Camera):
            kept[name] = cached_with_stream(stream, "beside split points", [stream], partial(replace_unchecked, stream))
        elif isinstance(stream, Points) and name in lidars(sample):
            kept[name], out[name] = cached_with_stream(stream, "split", [stream], partial(_split, stream))
    return sample.with_streams(kept), sample.with_streams(out)


def _split(stream: Points) -> tuple[Points, Points]:
    cloud = stream.realized()
    chosen = torch.from_numpy(np.random.default_rng(SEED).random(cloud.rows) < HELD_OUT)
    return cloud.select(~chosen), cloud.select(chosen)


def probe_lidar_points(
    sample: Sample, parts: tuple[Sample, Sample], camera: str, params: Mapping[str, Any]
) -> OpticalDepths:
    """Fog a picture by completed depth and measure it at points that the completion did not use.

    Points that the scanner sees past something which hides them from the camera are among them, though the fog before
    what hides them is right.
    """
    from scipy.spatial import cKDTree

    known, rest = parts
    state, item = WeatherState.of(params), sample.key_item(camera)
    view = WeatherView(call_for(known, camera, params), item)
    before, after = before_and_after(known, camera, params, item)
    all_points = [projected(sample, n, camera, item) for n in lidars(sample)]
    points = [projected(rest, n, camera, item) for n in lidars(sample)]
    pixels, far = (np.concatenate([p[i] for p in points]) for i in (0, 1))
    around, at = (np.concatenate([p[i] for p in all_points]) for i in (0, 1))
    depth, contrast = optical_depth_at(before, after, air_behind(view, state, pixels), pixels)
    near = cKDTree(around).query_ball_point(pixels, NEIGHBOURHOOD) if len(pixels) else []
    edge = np.array([at[i].max() / at[i].min() > EDGE for i in near], bool)
    u, v = (np.clip(np.round(pixels[:, i]), 0, before.shape[1 - i] - 1).astype(int) for i in (0, 1))
    wrong = np.abs(view.distance[v, u] / far - 1) > FAR_OFF
    return OpticalDepths(far, depth, ~edge & (contrast >= CONTRAST), wrong)


def probe_depth_stream(sample: Sample, camera: str, params: Mapping[str, Any]) -> OpticalDepths | None:
    """Fog a picture by completed depth and measure every pixel against its Depth stream; None if it has none."""
    found = [s for s in sample.of_type(Depth).values() if s.camera == camera]
    item, clouds = sample.key_item(camera), [sample[n].realized() for n in lidars(sample)]
    same = [s for s in found if bool((s.capture_times == sample[camera].capture_times[item]).any())]
    if not same or not clouds:
        return None
    known = sample.with_streams({n: s for n, s in sample.streams.items() if not isinstance(s, Depth)})
    state = WeatherState.of(params)
    view = WeatherView(call_for(known, camera, params), item)
    before, after = before_and_after(known, camera, params, item)
    stamp = int((same[0].capture_times == sample[camera].capture_times[item]).nonzero()[0, 0])
    true = same[0].image(stamp).numpy()
    if same[0].measure == "z":
        true = true / view.sensor.unproject(pixel_grid(view.size))[..., 2].clamp(min=1e-6).numpy()
    # beyond the LiDAR's range nothing is completed, and edges of a picture mix both sides
    reach = max(float(torch.linalg.norm(c["xyz"].nan_to_num(0.0), dim=1).max()) for c in clouds)
    solid = np.where((true > 0) & np.isfinite(true), true, SKY_DISTANCE).astype(np.float32)
    kernel = np.ones((2 * NEIGHBOURHOOD + 1,) * 2, np.uint8)
    # a slanted surface is no edge: over 8 pixels the distance of the road may grow by half
    edge = cv2.dilate(solid, kernel) > 1.5 * cv2.erode(solid, kernel)
    pick = np.flatnonzero((solid < reach).ravel())
    pixels = np.stack(np.unravel_index(pick, solid.shape)[::-1], 1)
    depth, contrast = optical_depth_at(before, after, air_behind(view, state, pixels), pixels)
    far = solid.ravel()[pick].astype(float)
    wrong = np.abs(view.distance.ravel()[pick] / far - 1) > FAR_OFF
    return OpticalDepths(far, depth, ~edge.ravel()[pick] & (contrast >= CONTRAST), wrong)


def fit_extinction(readings: Sequence[OpticalDepths], extinction: float) -> tuple[int, float, float, float]:
    """Number of points, relative error of the slope and offset of -ln t over distance, and share of wrong distances."""
    far, depth, clean, wrong = (
        np.concatenate([getattr(r, f) for r in readings]) for f in ("distance", "depth", "clean", "wrong")
    )
    use = clean & (extinction * far <= DEEPEST) & np.isfinite(depth)
    share = float(wrong.mean()) if len(wrong) else 0.0
    if use.sum() < LEAST or extinction * np.percentile(far[use], 90) < THINNEST:
        return int(use.sum()), float("nan"), float("nan"), share
    slope, offset = np.polyfit(far[use], depth[use], 1)
    return int(use.sum()), abs(float(slope) / extinction - 1), abs(float(offset)), share


class FogProbe:
    """The depth probe over any number of keyframes; those of one draw are fitted together.

    A single keyframe has few far points, so two of them behind a tree could tilt its line.
    """

    def __init__(self) -> None:
        self.held_out: dict[str, list[OpticalDepths]] = {}
        self.true: dict[str, list[OpticalDepths]] = {}
        self.rows: list[Row] = []
        self.extinction: dict[str, float] = {}

    def add(self, sample: Sample, drawn: Mapping[str, Any]) -> None:
        """Fog all cameras and LiDARs of a keyframe by drawn parameters, and measure them."""
        params = clear_of_drops(drawn)
        draw = json.dumps({k: v for k, v in params.items() if k != "noise"}, sort_keys=True)
        self.extinction[draw] = extinction = WeatherState.of(params).air.extinction(VISIBLE)
        if extinction <= 0:
            return
        cameras = list(sample.of_type(Camera))
        if lidars(sample):
            parts = split_points(sample)
            self.held_out.setdefault(draw, []).extend(probe_lidar_points(sample, parts, c, params) for c in cameras)
        found = [r for r in (probe_depth_stream(sample, c, params) for c in cameras) if r is not None]
        self.true.setdefault(draw, []).extend(found)
        self.rows += [lidar_row(sample, name, params) for name in lidars(sample)]

    def table(self) -> list[Row]:
        """Return the rows of everything that was measured."""
        out = list(self.rows)
        for draw, extinction in self.extinction.items():
            if extinction <= 0:
                reason = "this weather has neither fog nor dust"
                out.append(Row("fog, held-out points: slope off", "cameras", "%", 5.0, reason=reason))
            for name, readings in (("held-out points", self.held_out.get(draw)), ("true depth", self.true.get(draw))):
                out += fit_rows(name, readings, extinction) if readings else []
        return out


def fit_rows(name: str, readings: Sequence[OpticalDepths], extinction: float) -> list[Row]:
    """Return slope, offset and wrong distances of some optical depths as rows."""
    n, slope, offset, share = fit_extinction(readings, extinction)
    reason = f"{n} points with contrast, of {LEAST} needed" if n < LEAST else "the air is too thin to measure"
    figures = [np.array([x]) if np.isfinite(x) else np.zeros(0) for x in (slope * 100, offset)]
    return [
        Row(f"fog, {name}: slope off", "cameras", "%", 5.0, figures[0], reason),
        Row(f"fog, {name}: offset", "cameras", "1", 0.05, figures[1], reason),
        Row(f"fog, {name}: distance wrong", "cameras", "%", 15.0, np.array([share * 100])),
    ]


def fog_rows(sample: Sample, params: Mapping[str, Any]) -> list[Row]:
    """Return the rows of the depth probe of one keyframe."""
    probe = FogProbe()
    probe.add(sample, params)
    return probe.table()


def lidar_row(sample: Sample, name: str, params: Mapping[str, Any]) -> Row:
    """Extinction from the points that a LiDAR kept, slope of -ln(I'/I) / 2 over R, against the state's, percent.

    The slope alone, for gains dim near and far alike; what wet and snowy surfaces take is left out by their own law.
    Points weigh by their expected intensity, and are left out where it is few of the device's steps: rounding hides
    what the air took.
    """
    cloud = sample[name].realized()
    assert isinstance(cloud, Points)
    title = "fog, LiDAR extinction off"
    if "intensity" not in cloud.values:
        return Row(title, name, "%", 5.0, reason="the cloud has no intensity")
    number = torch.arange(cloud.rows, dtype=torch.float64)
    numbered = sample.with_streams({**sample.streams, name: cloud.with_values(number=number)})
    rule = resolve(Weather, type(cloud))
    assert rule is not None
    out = rule(numbered[name], call_for(numbered, name, params))
    kept = out["status"] == 0
    rows = out["number"][kept].long()
    before, after = cloud["intensity"][rows].double(), out["intensity"][kept].double()
    far = out["true_range"][kept].double()
    key, state = sample.key_item(name), WeatherState.of(params)
    scan = Scan(call_for(sample, name, params), key)
    scanner, surfaces = scan.sensor, torch.ones(cloud.rows, dtype=torch.float64)
    surfaces[cloud.item_slice(key)] = torch.as_tensor(surface_factor(scan, state), dtype=torch.float64)
    expected = state.air.extinction(scanner.wavelength)
    level = before * surfaces[rows] * torch.exp(-2 * expected * far)
    step = 0.0 if scanner.intensity_levels is None else scanner.scale / scanner.intensity_levels
    use = (level > LEAST_STEPS * step) & (after > 0) & (far > 1.0)
    if int(use.sum()) < 50:
        return Row(title, name, "%", 5.0, reason="too few points were kept, or too faint ones")
    if expected * np.percentile(far[use], 90) < THINNEST:
        return Row(title, name, "%", 5.0, reason="the air is too thin to measure")
    taken = -torch.log(after[use] / (before * surfaces[rows])[use]) / 2
    found = np.polyfit(far[use].numpy(), taken.numpy(), 1, w=level[use].numpy())[0]
    return Row(title, name, "%", 5.0, np.array([abs(found / expected - 1) * 100]))


def drawn_weather(history: History) -> list[dict[str, Any]]:
    """Return the parameters of every applied weather of a history."""
    found = [r for r in history if r.applied and issubclass(find_transform(r.name) or object, Weather)]
    return [dict(p) for r in found for p in r.params.values()]


@measurement("weather")
def weather(pairs: Sequence[Pair]) -> list[Row]:
    """The depth probe under every weather that was drawn."""
    probe = FogProbe()
    for pair in pairs:
        for params in pair.weather:
            probe.add(pair.source, params)
    return probe.table()
