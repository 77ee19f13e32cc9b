"""Weather, and the rules of what it does to each kind of data (importing this registers them)."""

from fusion_aug.transforms.weather import camera, labels, lidar, radar, ranges
from fusion_aug.transforms.weather.weather import Dust, Fog, Night, Rain, Snow, Spray, SunGlare, Weather, WetRoad

__all__ = [
    "Dust", "Fog", "Night", "Rain", "Snow", "Spray", "SunGlare", "Weather", "WetRoad",
    "camera", "labels", "lidar", "radar", "ranges",
]  # fmt: skip
