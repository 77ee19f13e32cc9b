"""What a LiDAR returns in fog or dust, in figures that recordings of real fog can be held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fusion_aug.check.air import call_for
from fusion_aug.check.geometry import lidars
from fusion_aug.check.measurement import Pair, Row, measurement
from fusion_aug.core.registry import resolve
from fusion_aug.sample import Sample
from fusion_aug.streams import Points
from fusion_aug.transforms.weather.lidar import STATUS_SCATTERED
from fusion_aug.transforms.weather.scan import Scan
from fusion_aug.transforms.weather.state import WeatherState
from fusion_aug.transforms.weather.weather import Weather

Array = np.ndarray
NEAREST = 1.5  # metres; what is nearer hit the vehicle that carries the scanner
FAR = 20.0  # metres
APART = 0.3, 0.04  # metres, and share of the distance, by which an isolated return differs from its neighbours
NEAR = 3.0, 8.0  # metres, where fog returns most
RING = 3.0, 10.0  # metres, where the closed ring of scatter lies that some devices show


class Returns(NamedTuple):
    """Figures of one scan; shares are percent, NaN where there is nothing to count.

    Attributes:
        reach: distance that 99.9 % of the returns do not pass, metres.
        beyond: share of the returns beyond 20 m.
        isolated: of those that differ from both neighbours of their ring. isolated_near: of those at 3 to 8 m.
        intensity: median, in the sensor's own scale.
        returned: share of the firings that return something.
        from_air: of those whose return is from the air. ring: share of these at 3 to 10 m.
    """

    reach: float
    beyond: float
    isolated: float
    isolated_near: float
    intensity: float
    returned: float
    from_air: float
    ring: float


def isolated(distance: Array, azimuth: Array, ring: Array) -> Array:
    """Returns (n,) that differ from both azimuth neighbours of their ring by more than max(0.3 m, 4 %).

    Args:
        distance: (n,) metres. azimuth: (n,) radians. ring: (n,) number of the beam; one of fewer than three returns has
            no neighbours on both sides, so that none of these is isolated.
    """
    out = np.zeros(len(distance), bool)
    order = np.lexsort((azimuth, ring))
    for own in np.split(order, np.flatnonzero(np.diff(ring[order])) + 1):
        far = distance[own]
        apart = np.maximum(APART[0], APART[1] * far)
        before, after = np.abs(far - np.roll(far, 1)), np.abs(far - np.roll(far, -1))
        out[own] = (len(own) > 2) & (before > apart) & (after > apart)
    return out


def beams_of(scan: Scan, ring: Array) -> Array:
    """Number (n,) of the beam of every return: scanners that share a cloud may count their rings alike."""
    scanner = np.zeros(len(ring), np.int64)
    for k, (rows, _) in enumerate(scan.scanners):
        scanner[rows] = k
    return np.unique(np.stack([scanner, ring.astype(np.int64)]), axis=1, return_inverse=True)[1].reshape(-1)


def returns_of(sample: Sample, name: str, params: Mapping[str, Any]) -> Returns:
    """Figures of the scan of a keyframe in a weather of given parameters."""
    rule, stream = resolve(Weather, type(sample[name])), sample[name]
    assert rule is not None and isinstance(stream, Points)
    weathered = rule(stream, call_for(sample, name, {**params, "report": True}))
    assert isinstance(weathered, Points)
    item, firings = sample.key_item(name), stream.counts[sample.key_item(name)]
    scan = Scan(call_for(sample.with_streams({**sample.streams, name: weathered}), name, params), item)
    rows = weathered.item_slice(item)
    air = weathered["status"][rows].cpu().numpy() == STATUS_SCATTERED
    ring = beams_of(scan, weathered["ring"][rows].cpu().numpy()) if "ring" in weathered.values else None
    far, way = scan.distance, scan.from_scanner
    seen = scan.known & (far >= NEAREST)
    alone = None if ring is None else isolated(far[seen], np.arctan2(way[seen, 1], way[seen, 0]), ring[seen])
    far, air = far[seen], air[seen]
    return Returns(
        reach=float(np.percentile(far, 99.9)) if len(far) else np.nan,
        beyond=_percent(far > FAR),
        isolated=np.nan if alone is None else _percent(alone),
        isolated_near=np.nan if alone is None else _percent(alone[_within(far, NEAR)]),
        intensity=np.nan if scan.intensity is None or not len(far) else float(np.median(scan.intensity[seen])),
        returned=100.0 * len(far) / max(int(firings), 1),
        from_air=100.0 * float(air.sum()) / max(int(firings), 1),
        ring=_percent(_within(far[air], RING)),
    )


def _within(far: Array, limits: tuple[float, float]) -> Array:
    return (far >= limits[0]) & (far < limits[1])


def _percent(flags: Array) -> float:
    return 100.0 * float(flags.mean()) if len(flags) else np.nan


TITLES = {
    "reach": ("99.9 % of the returns within", "m"), "beyond": ("returns beyond 20 m", "%"),
    "isolated": ("isolated returns", "%"), "isolated_near": ("isolated returns at 3-8 m", "%"),
    "intensity": ("median intensity", "1"), "returned": ("firings that return", "%"),
    "from_air": ("firings that return from the air", "%"), "ring": ("of these at 3-10 m", "%"),
}  # fmt: skip


@measurement("returns in fog")
def returns_in_fog(pairs: Sequence[Pair]) -> list[Row]:
    """These figures of every LiDAR under every weather with fog or dust that was drawn; reported, without a limit."""
    out = []
    for pair in pairs:
        for params in pair.weather:
            air = WeatherState.of(params).air
            for name in lidars(pair.source) if air.fog + air.dust > 0 else ():
                for field, value in returns_of(pair.source, name, params)._asdict().items():
                    title, unit = TITLES[field]
                    values = np.array([value]) if np.isfinite(value) else np.zeros(0)
                    out.append(
                        Row(f"fog, {title}", name, unit, None, values, "no ring, no intensity or no such return")
                    )
    return out
