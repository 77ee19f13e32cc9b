"""Weather, and the rules of what it does to each kind of data (importing this registers them)."""

from fusion_aug.transforms.weather import (
    camera,
    labels,
    lidar,
    on_device,
    on_device_camera,
    on_device_lidar,
    on_device_radar,
    radar,
    ranges,
)
from fusion_aug.transforms.weather.weather import Dust, Fog, Night, Rain, Snow, Spray, SunGlare, Weather, WetRoad

__all__ = [
    "Dust", "Fog", "Night", "Rain", "Snow", "Spray", "SunGlare", "Weather", "WetRoad",
    "camera", "labels", "lidar", "on_device", "on_device_camera", "on_device_lidar", "on_device_radar",
    "radar", "ranges",
]  # fmt: skip
