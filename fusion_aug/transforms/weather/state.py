"""The state of air, light and ground that drawn parameters of a weather describe."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fusion_aug.ops.random import digest
from fusion_aug.physics.air import Atmosphere, extinction_of_mor, extinction_of_visual_range
from fusion_aug.physics.field import FogField
from fusion_aug.physics.patches import Patches, covered

DAYLIGHT = 20000.0  # lux, of a day under light clouds: what pictures are taken to be exposed for
EXPOSED_DOWN_TO = 30.0  # lux that a camera still exposes a white wall for; below that the picture gets dark
KEY = 0.11  # power of the light by which cameras keep a darker scene darker
LONGEST = 15.0  # how much longer than by day it exposes: 30 ms instead of 2
FOG_TINT = np.array([0.985, 1.0, 1.02])
SNOW_RIM = 0.8  # scores of the ground over which snow gets thin
DUST_TINT = np.array([1.05, 0.88, 0.62])
SUNSET = 400.0  # lux, where civil twilight begins
LAMPS_BELOW = 200.0  # lux of the surroundings at which lamps are switched on
OVERCAST, IN_FOG = 2.0, 0.5  # how much brighter than the horizon the zenith is: CIE, and our choice
LAYER = 150.0  # metres, along the sun's light through fog or dust near the ground
CLOUDED = 0.3, 0.15  # mm/h of rain, and of snow as water, at which clouds block 1 - 1/e of the direct sunlight


def blocked_sunlight(air: Atmosphere) -> float:
    """Share of the direct sunlight that is lost to fog and dust, and to the clouds that rain and snow fall from."""
    falling = air.rain_rate / CLOUDED[0] + air.snow_rate / CLOUDED[1]
    return 1 - math.exp(-(air.fog + air.dust) * LAYER - falling)


@dataclass(frozen=True)
class Light:
    """What lights the scene.

    Attributes:
        illuminance: of the surroundings, lux; None where the light is as recorded.
        overcast: share of the direct sunlight that air and clouds block.
        lamps: whether head and street lamps and those of traffic burn.
        sun: illuminance of the sun in the cameras, lux; 0 for none.
        to_sun: (3,) unit vector in the world; with ``follows``, in a level frame along the vehicle's heading.
    """

    illuminance: float | None
    overcast: float
    lamps: bool
    sun: float
    to_sun: np.ndarray
    follows: bool = False


@dataclass(frozen=True)
class RoadSurface:
    """What lies on the road: a film of water (mm), and the share that snow covers; and how wet all surfaces are."""

    water_film: float
    snow_cover: float
    wetness: float = 0.0


@dataclass(frozen=True)
class WeatherState:
    """Air, light and ground of one draw.

    Attributes:
        airlight: level of the air itself in the pictures at the horizon, share of full scale, (3,).
        key: decides where clouds, drops and flakes are.
        spray: factor on the spray behind vehicles.
        lens_drops: drops on each camera's lens.
        lit_windows: share of the windows of facades that have light in them, in the dark.
    """

    air: Atmosphere
    light: Light
    surface: RoadSurface
    airlight: np.ndarray
    key: str
    spray: float
    lens_drops: float
    lit_windows: float

    @staticmethod
    def of(params: Mapping[str, Any]) -> WeatherState:
        """The state of drawn parameters."""
        fog = 0.0
        if params["mor"] is not None:
            fog = extinction_of_mor(params["mor"])
        elif params["visual_range"] is not None:
            fog = extinction_of_visual_range(params["visual_range"])
        dust = 0.0 if params["dust_mor"] is None else extinction_of_mor(params["dust_mor"])
        rain, snow = params["rain_rate"], params["snow_rate"]
        heading = math.radians(params["wind_deg"])
        wind = (params["wind"] * math.cos(heading), params["wind"] * math.sin(heading))
        warmth = params["temperature"]
        celsius = (-2.0 if snow > 0 else 10.0) if warmth is None else warmth
        air = Atmosphere(fog, dust, rain, snow, params["wet_snow"], params["patchiness"], celsius, wind,
                         params["lidar_ratio"])  # fmt: skip
        azimuth, up = math.radians(params["sun_azimuth_deg"]), math.radians(params["sun_elevation_deg"])
        to_sun = np.array([math.cos(up) * math.cos(azimuth), math.cos(up) * math.sin(azimuth), math.sin(up)])
        overcast = blocked_sunlight(air) if params["overcast"] is None else params["overcast"]
        light = Light(params["illuminance"], overcast, params["lamps"], params["sun"], to_sun,
                      params["sun_azimuth_from"] == "vehicle")  # fmt: skip
        # film of water on a road in the rain: 0.12 mm at 1 mm/h, 1.2 mm at 100 mm/h
        film = min(1.2, 0.12 * math.sqrt(rain)) if params["water_film"] is None else params["water_film"]
        share = dust / (fog + dust) if fog + dust > 0 else 0.0
        airlight = np.clip(params["airlight"] * ((1 - share) * FOG_TINT + share * DUST_TINT), 0, 1)
        surface = RoadSurface(film, params["snow_cover"], params["surface_wetness"])
        return WeatherState(air, light, surface, airlight, params["key"], params["spray"], params["lens_drops"],
                            params["lit_windows"])  # fmt: skip

    @property
    def is_as_recorded(self) -> bool:
        """Whether air, light, ground and lenses are as recorded."""
        dark, bright = self.light.illuminance is not None, self.light.sun > 0
        return (
            self.air.is_clear
            and self.light.overcast == 0
            and not dark
            and not bright
            and self.surface == RoadSurface(0.0, 0.0)
            and self.lens_drops < 0.5
        )

    @property
    def sun_loss(self) -> float:
        """Share of the direct sunlight that pictures lose: to clouds, air and, down to civil twilight, to the hour."""
        around = self.light.illuminance
        late = 0.0 if around is None else math.log(DAYLIGHT / around) / math.log(DAYLIGHT / SUNSET)
        return max(self.light.overcast, min(1.0, late))

    @property
    def lamps_burn(self) -> bool:
        """Whether it is dark enough for the lamps of traffic and streets, if there are any."""
        around = self.light.illuminance
        return self.light.lamps and around is not None and around < LAMPS_BELOW

    @property
    def steepness(self) -> float:
        """How much brighter than at the horizon the air and the sky are overhead; less in fog and dust."""
        suspended, falling = self.air.fog + self.air.dust, self.air.falling_extinction(550e-9)
        floating = suspended / (suspended + falling) if suspended + falling > 0 else 0.0
        return self.light.overcast * (OVERCAST + (IN_FOG - OVERCAST) * floating)

    @property
    def exposure_illuminance(self) -> float:
        """Illuminance that cameras expose a white wall for, lux."""
        return max(self.light.illuminance or DAYLIGHT, EXPOSED_DOWN_TO)

    @property
    def exposure_key(self) -> float:
        """Light in the pictures of a white wall under one lux: cameras keep a darker scene darker."""
        return min(1.0, (self.light.illuminance or DAYLIGHT) / DAYLIGHT) ** KEY / self.exposure_illuminance

    @property
    def exposure_factor(self) -> float:
        """Exposure time of the cameras against that by day."""
        return (
            1.0
            if self.light.illuminance is None
            else float(np.clip(DAYLIGHT / self.exposure_illuminance, 1.0, LONGEST))
        )

    @property
    def snow_patches(self) -> Patches:
        """Where snow lies first."""
        return Patches.of(digest(self.key, "snow"), 0.25, 12.0, 1.5)

    def snow_on(self, world: np.ndarray) -> np.ndarray:
        """Share of snow on the ground (n,), 0 to 1, at positions (n, 3) in the world."""
        return covered(self.snow_patches.at(world), self.surface.snow_cover, SNOW_RIM)

    def clouds(self) -> FogField | None:
        """How fog and dust vary; None where they are even."""
        if self.air.patchiness == 0 or self.air.fog + self.air.dust == 0:
            return None
        return FogField.of(digest(self.key, "clouds"), self.air.patchiness, self.air.wind)
