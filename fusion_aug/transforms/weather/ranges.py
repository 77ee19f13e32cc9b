"""What the air does to planar scans and single distances: it is refused, since nothing tells what it would return."""

from __future__ import annotations

from fusion_aug.core.registry import Call, handles
from fusion_aug.errors import Obstacle
from fusion_aug.streams import PlanarScan, RangeReading, Stream
from fusion_aug.streams.families import Weather
from fusion_aug.transforms.weather.state import WeatherState


@handles(Weather, PlanarScan)
@handles(Weather, RangeReading)
def refuse_ranges_in_weather(stream: Stream, call: Call) -> Stream:
    """The stream itself in clear air.

    Raises:
        Obstacle: there is fog, rain, snow, dust or spray.
    """
    states = [WeatherState.of(p) for p in call.params]
    if all(s.air.is_clear and s.surface.water_film * s.spray == 0 for s in states):
        return stream
    reason = "nothing in a message tells which returns of its scanner the air would hide or add"
    raise Obstacle(f"stream {call.name!r}", call.transform.__name__, reason, stream.remedy)


__all__ = ["refuse_ranges_in_weather"]
