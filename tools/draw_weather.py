"""Draws docs/weather.jpg from the sample log: each weather clear, light and heavy, on camera, LiDAR and radar.

python tools/draw_weather.py [docs/weather.jpg]
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

import fusion_aug as fa

FRAME, CAMERA, LIDAR, RADAR = 4, "CAM_FRONT", "LIDAR_TOP", "RADAR_FRONT"
ROWS: list[tuple[str, list[fa.Weather]]] = [
    ("fog", [fa.Fog(mor=300.0, report=True), fa.Fog(mor=60.0, report=True)]),
    ("rain", [fa.Rain(rain_rate=5.0, report=True), fa.Rain(rain_rate=100.0, report=True, mor=1500.0)]),
    ("snow", [fa.Snow(snow_rate=1.0, report=True), fa.Snow(snow_rate=5.0, snow_cover=0.9, report=True)]),
    ("dust", [fa.Dust(dust_mor=500.0, report=True), fa.Dust(dust_mor=80.0, report=True)]),
    ("night", [fa.Night(illuminance=20.0, report=True), fa.Night(illuminance=1.0, report=True)]),
    ("sun", [fa.SunGlare(sun=1e4, sun_azimuth_deg=20.0, sun_elevation_deg=17.0, report=True),
             fa.SunGlare(sun=1e5, sun_azimuth_deg=20.0, sun_elevation_deg=17.0, report=True)]),
    ("wet road", [fa.WetRoad(water_film=0.2, report=True), fa.Spray(water_film=1.2, spray=3.0, report=True)]),
]  # fmt: skip
HEIGHT, REACH = 150, 45.0  # pixels of a tile, metres of a bird's-eye view
GREY, ORANGE = (150, 150, 150), (30, 140, 255)


def birdseye(sample: fa.Sample) -> np.ndarray:
    """LiDAR points from above, the vehicle looks up; returns from the air in orange."""
    tile = np.full((HEIGHT, HEIGHT, 3), 18, np.uint8)
    xyz = sample.points(LIDAR)["xyz"].numpy()
    status = sample[LIDAR].values.get("status")
    scattered = np.zeros(len(xyz), bool) if status is None else status.numpy() == 1
    for rows, colour in ((~scattered, GREY), (scattered, ORANGE)):
        v, u = _pixels(xyz[rows])
        inside = (u >= 0) & (u < HEIGHT) & (v >= 0) & (v < HEIGHT)
        tile[v[inside], u[inside]] = colour
    return tile


def radar(sample: fa.Sample) -> np.ndarray:
    """Radar detections in front from above, blue weak to red strong; what rain returns is tiny and orange."""
    tile = np.full((HEIGHT, HEIGHT, 3), 18, np.uint8)
    cloud = sample.take_key(RADAR)
    xyz, rcs = sample.with_streams({RADAR: cloud}).points(RADAR)["xyz"].numpy(), cloud["rcs"].numpy()
    level = np.clip((rcs + 10) / 30 * 255, 0, 255).astype(np.uint8)
    colours = cv2.applyColorMap(level[:, None], cv2.COLORMAP_TURBO)[:, 0]
    for v, u, strength, colour in zip(*_pixels(xyz, 0.95), rcs, colours.tolist(), strict=True):
        rain = strength < -15
        cv2.circle(tile, (int(u), int(v)), 1 if rain else 2, ORANGE if rain else colour, -1, cv2.LINE_AA)
    return tile


def _pixels(xyz: np.ndarray, bottom: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of points; the vehicle is at a share of the height."""
    scale = HEIGHT / (2 * REACH)
    v, u = HEIGHT * bottom - xyz[:, 0] * scale, HEIGHT / 2 - xyz[:, 1] * scale
    return np.round(v).astype(int), np.round(u).astype(int)


def camera(sample: fa.Sample) -> np.ndarray:
    """The front camera, small, BGR."""
    picture = sample[CAMERA].image(0).numpy()[..., ::-1]  # type: ignore[attr-defined]
    return cv2.resize(picture, (HEIGHT * 16 // 9, HEIGHT), interpolation=cv2.INTER_AREA)


def main() -> None:
    """Draw and write."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/weather.jpg")
    source = fa.open_log("nuscenes", "datasets/drive")[FRAME]
    lines = []
    for name, weathers in ROWS:
        samples = [source, *(w(source, seed=2) for w in weathers)]
        tiles = [draw(s) for draw in (camera, birdseye, radar) for s in samples]
        cv2.putText(tiles[0], name, (6, HEIGHT - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
        lines.append(np.concatenate([cv2.copyMakeBorder(t, 1, 1, 1, 1, cv2.BORDER_CONSTANT) for t in tiles], 1))
    cv2.imwrite(str(out), np.concatenate(lines), [cv2.IMWRITE_JPEG_QUALITY, 82])
    print(f"wrote {out}, {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
