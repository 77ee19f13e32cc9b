"""Weather: one state of air, light and ground, from which every sensor takes what it sees."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any, ClassVar

import numpy as np

from fusion_aug.core.device.pending import settled
from fusion_aug.core.gradients import asks_gradient, numbers_alone
from fusion_aug.core.parameters import ParameterRows
from fusion_aug.core.ranges import Range
from fusion_aug.core.registry import Call, Context
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.sample import Sample
from fusion_aug.sample.to_device import lies_on_device
from fusion_aug.streams import Boxes3D, Camera, Depth, SegmentationMask, families
from fusion_aug.transforms.distances import SeesDistances
from fusion_aug.transforms.weather.lens import mark_what_drops_hide

SUN_FROM = ("world", "vehicle")


def _refuse_lost_gradients(who: str, before: Sample, after: Sample) -> None:
    """Raise where weather with a gradient has changed what carries none: returns, which are there or not."""
    kept = Camera | Boxes3D | SegmentationMask
    changed = (n for n, s in after.streams.items() if not isinstance(s, kept) and before.streams.get(n) is not s)
    if lost := next(changed, ""):
        raise DataError(
            f"{who}: a gradient is asked of it, but {lost!r} gains and loses returns, which carry none; detach the "
            f"parameter, or leave that stream out"
        )


@dataclass(frozen=True, kw_only=True)
class Weather(SeesDistances, families.Weather):
    """Fog, dust, rain, snow, night, sun, wet and snowy roads, from one state of the air.

    Cameras, LiDARs, radars, wheel odometry and the visibility of boxes follow from the same numbers. In one Weather
    everything shares one power budget; two of them one after another do not know of each other. Drawn once for a
    scene: the same drops, flakes and clouds move on from frame to frame, and every camera sees the same ones.

    Attributes:
        mor: meteorological optical range of fog, metres (5 % of a beam are left); None for no fog.
        visual_range: of fog at 2 % contrast (Koschmieder), metres, instead of ``mor``.
        dust_mor: meteorological optical range of dust, metres.
        patchiness: how much fog and dust vary from place to place, 0 even, 1 down to nothing.
        lidar_ratio: extinction of fog over its backscatter, sr.
        rain_rate: mm/h. snow_rate: mm/h of water. wet_snow: whether flakes melt.
        temperature: degrees Celsius; None for 10, or -2 where it snows.
        wind: m/s. wind_deg: direction that it blows to in the world, from x towards y.
        airlight: level of thick fog in the pictures at the horizon, share of full scale.
        overcast: share of the sun's own light that clouds hold back from cameras, 1 for an overcast sky in the place of
            the blue one; None for what follows from fog, dust, rain and snow. How far that goes: docs/weather.md.
        illuminance: of the surroundings, lux: 20000 is a day, 10 dusk, 1 a lit night; None leaves the light as it is.
        lamps: whether lamps burn in the dark: head lamps, street lamps, those of traffic.
        lit_windows: share of the windows of facades that have light in them while lamps burn.
        sun: illuminance of the sun, lux: 100000 is a clear noon, 0 leaves it out.
        sun_azimuth_deg, sun_elevation_deg: its direction, azimuth from x towards y.
        sun_azimuth_from: what that azimuth counts from: ``world``, or ``vehicle``, whose heading the sun then follows.
        water_film: on the road, mm; None for what the rain leaves (1.2 mm at 100 mm/h).
        surface_wetness: share of all surfaces that fog or rain has wetted; LiDARs see them darker.
        snow_cover: share of the ground that snow covers.
        spray: factor on the spray behind vehicles faster than 50 km/h on a wet road; 0 for none.
        lens_drops: how many drops hang on each camera's lens.
        mark_hidden: whether masks of cameras ignore the pixels that these drops hide.
        auto_gain: LiDARs raise intensities so that their mean stays.
        report: add columns to LiDAR clouds: ``status`` (0 as measured, 1 from the air, 2 from another LiDAR) and
            ``true_range`` (m), where the target was.
    """

    scope: str = "scene"
    mor: Range | None = None
    visual_range: Range | None = None
    dust_mor: Range | None = None
    patchiness: Range = 0.0
    lidar_ratio: Range = 19.0
    rain_rate: Range = 0.0
    snow_rate: Range = 0.0
    wet_snow: bool = False
    temperature: Range | None = None
    wind: Range = 0.0
    wind_deg: Range = (0.0, 360.0)
    airlight: Range = 0.78
    overcast: Range | None = None
    illuminance: Range | None = None
    lamps: bool = True
    lit_windows: Range = 0.1
    sun: Range = 0.0
    sun_azimuth_deg: Range = (-180.0, 180.0)
    sun_elevation_deg: Range = 20.0
    sun_azimuth_from: str = "world"
    water_film: Range | None = None
    surface_wetness: Range = 0.0
    snow_cover: Range = 0.0
    spray: Range = 1.0
    lens_drops: Range = 0.0
    mark_hidden: bool = False
    auto_gain: bool = False
    report: bool = False

    version: ClassVar[int] = 3  # since 2026-11: noise by rows
    dense_noise = True
    keeps_geometry_of: ClassVar[tuple[type, ...]] = (Boxes3D,)
    loss_reason: ClassVar[str] = "no longer measured through the air, or on wet ground"
    limits: ClassVar[dict[str, tuple[float, float]]] = {
        "mor": (5.0, 1e6), "visual_range": (5.0, 1e6), "dust_mor": (5.0, 1e6), "patchiness": (0.0, 1.0),
        "lidar_ratio": (1.0, 1000.0),
        "rain_rate": (0.0, 300.0), "snow_rate": (0.0, 50.0), "temperature": (-60.0, 60.0), "wind": (0.0, 60.0),
        "wind_deg": (-360.0, 360.0), "airlight": (0.0, 1.0), "overcast": (0.0, 1.0),
        "illuminance": (0.001, 1e5), "lit_windows": (0.0, 1.0), "sun": (0.0, 1.3e5),
        "sun_azimuth_deg": (-360.0, 360.0), "sun_elevation_deg": (-5.0, 90.0), "water_film": (0.0, 10.0),
        "surface_wetness": (0.0, 1.0), "snow_cover": (0.0, 1.0), "spray": (0.0, 10.0), "lens_drops": (0.0, 1000.0),
    }  # fmt: skip
    exemptions: ClassVar[dict[str, str]] = {
        "keeps_rows": "returns are lost in the air, and radars see rain",
        "keeps_counts": "boxes lose the points that do not come back",
        "content_identity": "pictures fade, and returns come from the air",
        "invertible": "what the air hides is lost",
        "differentiable": "it has no geometric parameter",
        "commutes": "light paths begin at the sensors after pending motions",
    }
    strengths: ClassVar[Strengths] = {
        "mor": Strength(None, 50.0, "inverse", "suite/fog", "m", near=inf),
        "visual_range": Strength(None, 65.3, "inverse", "declared: the extinction of suite/fog", "m", near=inf),
        "dust_mor": Strength(None, 80.0, "inverse", "suite/dust", "m", near=inf),
        "patchiness": "where the fog is, at the same mean",
        "lidar_ratio": "a property of droplets",
        "rain_rate": Strength(0.0, 100.0, "linear", "suite/rain", "mm/h"),
        "snow_rate": Strength(0.0, 6.0, "linear", "suite/snow", "mm/h of water"),
        "temperature": "changes nothing in clear air",
        "wind": "moves what floats and falls; changes nothing in clear air",
        "wind_deg": "a direction",
        "airlight": "how fog looks, not how dense it is",
        "overcast": Strength(
            None, 1.0, "linear", "declared: its end, no direct sunlight", "share of the sun's light", near=0.0
        ),
        "illuminance": Strength(None, 0.3, "log", "suite/dark", "lux", near=20000.0),
        "lit_windows": "how a night looks, not how dark it is",
        "sun": Strength(0.0, 100000.0, "linear", "suite/sunlight", "lux"),
        "sun_azimuth_deg": "a direction",
        "sun_elevation_deg": "a direction",
        "water_film": Strength(None, 1.2, "linear", "suite/spray", "mm", near=0.0),
        "surface_wetness": Strength(0.0, 1.0, "linear", "declared: its end, all surfaces", "share of the surfaces"),
        "snow_cover": Strength(
            0.0, 0.8, "linear", "declared: pictures change most; all white they are even again", "share of the ground"
        ),
        "spray": "a factor on what water_film does",
        "lens_drops": Strength(0.0, 40.0, "linear", "declared: as many as suite/lens_dirt has blots", "drops"),
    }
    excludes: ClassVar[str] = "weather"
    example: ClassVar[dict[str, Any]] = {"mor": [200, 2000], "rain_rate": [1, 20], "wind": 5.0}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mor is not None and self.visual_range is not None:
            raise ConfigError(f"{type(self).__name__}: give either mor or visual_range; they name the same fog")
        if self.sun_azimuth_from not in SUN_FROM:
            who, words = f"{type(self).__name__}.sun_azimuth_from", " or ".join(SUN_FROM)
            raise ConfigError(f"{who}: expected {words}, got {self.sun_azimuth_from!r}")

    def sample_params(self, rng: np.random.Generator, sample: Sample, context: Context) -> dict[str, Any]:
        """The drawn numbers, and the key that decides the positions of clouds, drops and flakes in the world."""
        return {**super().sample_params(rng, sample, context), "key": f"{int(rng.integers(2**62)):x}"}

    @classmethod
    def apply(cls, sample: Sample, parameters: ParameterRows, context: Context) -> Sample:
        """Apply the weather to every stream, and mark in masks what drops on the lens hide.

        Of parameters with a gradient only pictures carry one; handlers of cameras find them in ``Call.family_state``.
        """
        asked = parameters if asks_gradient(parameters.per_sample) else None
        if asked is not None:
            parameters = ParameterRows(numbers_alone(asked.per_sample))
        if context.program is not None:  # pictures are worked on together, and depth is read where it is then
            there = {**sample.of_type(Camera), **sample.of_type(Depth)}
            sample = sample.with_streams(
                {**sample.streams, **{n: settled(s, context.program) for n, s in there.items() if lies_on_device(s)}}
            )
            context.program.begin()
        out = cls.visit(sample, parameters, context, asked)
        if asked is not None:
            _refuse_lost_gradients(cls.__name__, sample, out)
        masks = {
            name: mark_what_drops_hide(sample, Call(cls, sample, name, parameters, context))
            for name in sample.of_type(SegmentationMask)
        }
        changed = {name: mask for name, mask in masks.items() if mask is not sample[name]}
        return out.with_streams({**out.streams, **changed}) if changed else out


@dataclass(frozen=True, kw_only=True)
class Fog(Weather):
    """Fog of a meteorological optical range ``mor`` in metres, or of a ``visual_range``.

    Extinction is ln 20 / mor (5 % transmission, WMO), or ln 50 / visual_range (2 % contrast, Koschmieder). All other
    fields are those of ``Weather``, at its defaults.
    """

    mor: Range | None = (50.0, 500.0)

    example: ClassVar[dict[str, Any]] = {"mor": [50, 300]}

    def __post_init__(self) -> None:
        if self.visual_range is not None and self.mor == type(self).mor:
            object.__setattr__(self, "mor", None)
        super().__post_init__()


@dataclass(frozen=True, kw_only=True)
class Dust(Weather):
    """Dust or sand in the air of a meteorological optical range ``dust_mor`` in metres.

    All other fields are those of ``Weather``, at its defaults.
    """

    dust_mor: Range | None = (100.0, 1000.0)

    example: ClassVar[dict[str, Any]] = {"dust_mor": [50, 200]}


@dataclass(frozen=True, kw_only=True)
class Rain(Weather):
    """Rain of ``rain_rate`` mm/h, with drops of Marshall and Palmer 1948, on a road that it wets.

    All other fields are those of ``Weather``, at its defaults.
    """

    rain_rate: Range = (2.0, 25.0)

    example: ClassVar[dict[str, Any]] = {"rain_rate": [5, 50], "wind": [0, 8], "lens_drops": [0, 9]}


@dataclass(frozen=True, kw_only=True)
class Snow(Weather):
    """Snowfall of ``snow_rate`` mm/h water equivalent, with the extinction of ITU-R P.1814.

    All other fields are those of ``Weather``, at its defaults.
    """

    snow_rate: Range = (0.5, 2.5)

    example: ClassVar[dict[str, Any]] = {"snow_rate": [0.5, 3.0]}


@dataclass(frozen=True, kw_only=True)
class Night(Weather):
    """A scene of the day lit by ``illuminance`` lux and lamps instead.

    All other fields are those of ``Weather``, at its defaults.
    """

    illuminance: Range | None = (0.5, 10.0)

    example: ClassVar[dict[str, Any]] = {"illuminance": [0.5, 50]}


@dataclass(frozen=True, kw_only=True)
class SunGlare(Weather):
    """A low sun of ``sun`` lux in the view of cameras and LiDARs.

    All other fields are those of ``Weather``, at its defaults.
    """

    sun: Range = (30000.0, 100000.0)
    sun_elevation_deg: Range = (3.0, 20.0)

    example: ClassVar[dict[str, Any]] = {"sun_azimuth_deg": [-60, 60]}


@dataclass(frozen=True, kw_only=True)
class WetRoad(Weather):
    """A road under a film of water of ``water_film`` mm, without rain.

    It reflects by Fresnel and darkens by Lekner and Dorf 1988. All other fields are those of ``Weather``, at its
    defaults.
    """

    water_film: Range | None = (0.1, 1.0)
    spray: Range = 0.0

    example: ClassVar[dict[str, Any]] = {"water_film": [0.2, 1.0]}


@dataclass(frozen=True, kw_only=True)
class Spray(Weather):
    """Spray behind vehicles on a road under ``water_film`` mm of water.

    All other fields are those of ``Weather``, at its defaults.
    """

    water_film: Range | None = (0.5, 1.2)

    example: ClassVar[dict[str, Any]] = {"water_film": [0.5, 1.2]}
