"""Draws docs/weather.jpg: a street in every weather, the front camera with the LiDAR from above in its corner.

fusion-aug synth drive size=full frames=4 out=street
python tools/draw_weather.py street [docs/weather.jpg]
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

import fusion_aug as fa

FRAME, CAMERA, LIDAR = 2, "CAM_FRONT", "LIDAR_TOP"
TILES: list[tuple[str, fa.Weather | None]] = [
    ("as recorded", None),
    ("overcast=1", fa.Weather(overcast=1.0, report=True)),
    ("fog, mor=200", fa.Fog(mor=200.0, report=True)),
    ("fog, mor=60", fa.Fog(mor=60.0, report=True)),
    ("rain_rate=5", fa.Rain(rain_rate=5.0, report=True)),
    ("rain_rate=50, lens_drops=6", fa.Rain(rain_rate=50.0, lens_drops=6, report=True)),
    ("snow_rate=1, snow_cover=0.4", fa.Snow(snow_rate=1.0, snow_cover=0.4, report=True)),
    ("snow_rate=4, snow_cover=0.95", fa.Snow(snow_rate=4.0, snow_cover=0.95, report=True)),
    ("dust_mor=300", fa.Dust(dust_mor=300.0, report=True)),
    ("sun=8e4, 14 degrees high", fa.SunGlare(sun=8e4, sun_azimuth_from="vehicle", sun_azimuth_deg=17.0,
                                             sun_elevation_deg=14.0, report=True)),
    ("illuminance=20", fa.Night(illuminance=20.0, report=True)),
    ("illuminance=3, water_film=0.8", fa.Night(illuminance=3.0, water_film=0.8, report=True)),
]  # fmt: skip
WIDTH, ABOVE, REACH = 800, 130, 45.0  # pixels of a tile and of a view from above, metres of the latter
GREY, ORANGE = (190, 190, 190), (30, 140, 255)


def birdseye(sample: fa.Sample) -> np.ndarray:
    """LiDAR points from above, the vehicle looks up; returns from the air in orange."""
    tile = np.full((ABOVE, ABOVE, 3), 18, np.uint8)
    xyz, status = sample.points(LIDAR)["xyz"].numpy(), sample[LIDAR].values.get("status")
    scattered = np.zeros(len(xyz), bool) if status is None else status.numpy() == 1
    for rows, colour in ((~scattered, GREY), (scattered, ORANGE)):
        v, u = np.round(ABOVE / 2 - xyz[rows, :2].T * ABOVE / (2 * REACH)).astype(int)
        inside = (u >= 0) & (u < ABOVE) & (v >= 0) & (v < ABOVE)
        tile[v[inside], u[inside]] = colour
    return tile


def tile(title: str, sample: fa.Sample) -> np.ndarray:
    """The front camera's picture with a title and the LiDAR in its corner, BGR."""
    picture = sample[CAMERA].image(0).numpy()[..., ::-1]  # type: ignore[attr-defined]
    height = round(WIDTH * picture.shape[0] / picture.shape[1])
    out = cv2.resize(picture, (WIDTH, height), interpolation=cv2.INTER_AREA)
    out[-ABOVE:, -ABOVE:] = birdseye(sample)
    for shift, colour in ((1, (0, 0, 0)), (0, (255, 255, 255))):
        place = (8 + shift, height - 10 + shift)
        cv2.putText(out, title, place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, colour, 1, cv2.LINE_AA)
    return out


def main() -> None:
    """Draw and write."""
    out = Path(sys.argv[2]) if len(sys.argv) > 2 else Path("docs/weather.jpg")
    source = fa.open_log("nuscenes", sys.argv[1])[FRAME]
    kept = (CAMERA, LIDAR, "ego", "boxes")  # without true depth, as most logs
    source = source.with_streams({n: source[n] for n in kept if n in source.streams})
    tiles = [tile(title, source if w is None else w(source, seed=2)) for title, w in TILES]
    rows = [np.concatenate(tiles[i : i + 2], 1) for i in range(0, len(tiles), 2)]
    cv2.imwrite(str(out), np.concatenate(rows), [cv2.IMWRITE_JPEG_QUALITY, 85])
    print(f"wrote {out}, {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
