"""Weather: LiDARs, cameras, depth completion and radars, beside what others offer for the same effect."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

import fusion_aug as fa
from benchmarks import primitives
from benchmarks.timing import Figure, measured
from calib import CameraSensor, Frame, LidarSensor, Pinhole, RadarSensor, Rig
from calib.se3 import rotation_about, se3
from fusion_aug.core.parameters import ParameterRows
from fusion_aug.core.registry import Call, Context
from fusion_aug.ops.streaks import cover
from fusion_aug.physics.completion import complete_distances
from fusion_aug.physics.lattice import PER_CUBE, SIDES
from fusion_aug.sample import SampleMeta
from fusion_aug.sample.depth import projected
from fusion_aug.transforms.weather import Weather
from fusion_aug.transforms.weather.camera import weather_on_camera
from fusion_aug.transforms.weather.particles import particle_mask, streaks_seen
from fusion_aug.transforms.weather.state import WeatherState
from fusion_aug.transforms.weather.view import WeatherView

SIZE, SMALL = (900, 1600), (256, 704)
FORWARD = rotation_about("z", -np.pi / 2) @ rotation_about("x", -np.pi / 2)
SPEED = 10.0  # m/s


def street(points: int, size: tuple[int, int] = SIZE, depth: bool = False) -> fa.Sample:
    """A vehicle that drives between two walls on flat ground: LiDAR, one camera, radar."""
    rng = np.random.default_rng(0)
    focal = 1260.0 * size[1] / SIZE[1]
    model = Pinhole.from_focal(focal, focal, (size[1] - 1) / 2, (size[0] - 1) / 2, size)
    frames = {
        "ego": Frame(), "lidar": Frame(parent="ego", pose=se3(translation=[1.0, 0, 1.8])),
        "camera": Frame(parent="ego", pose=se3(FORWARD, [1.5, 0, 1.5]), axis_convention="camera"),
        "radar": Frame(parent="ego", pose=se3(translation=[3.5, 0, 0.5])),
    }  # fmt: skip
    sensors = {
        "lidar": LidarSensor(frame="lidar", intensity_scale=255.0), "radar": RadarSensor(frame="radar"),
        "camera": CameraSensor(frame="camera", model=model),
    }  # fmt: skip
    rig = Rig(frames, sensors)
    ray = _rays(rng, points)
    far = _hit(ray, np.array([1.0, 0, 1.8]))
    lidar = {
        "xyz": torch.from_numpy(ray * far[:, None]).float(), "ring": torch.zeros(points, dtype=torch.int64),
        "intensity": torch.from_numpy(rng.uniform(2, 60, points)).float(),
    }  # fmt: skip
    at = torch.tensor([0])
    coarse = rng.integers(0, 200, (size[0] // 20 + 1, size[1] // 20 + 1, 3), dtype=np.uint8)
    picture = torch.from_numpy(np.kron(coarse, np.ones((20, 20, 1), np.uint8))[: size[0], : size[1]].copy())
    azimuth, n = rng.uniform(-1, 1, 125), 125
    way = np.stack([np.cos(azimuth), np.sin(azimuth), np.zeros(n)], 1)
    radar = {
        "xyz": way * rng.uniform(3, 90, (n, 1)), "velocity": way * rng.normal(size=(n, 1)),
        "velocity_comp": way * rng.normal(size=(n, 1)), "rcs": rng.uniform(-5, 20, n),
    }  # fmt: skip
    ego = {"pose": torch.eye(4, dtype=torch.float64)[None], "velocity": torch.tensor([[SPEED, 0, 0]]).double(),
           "angular_velocity": torch.zeros((1, 3), dtype=torch.float64)}  # fmt: skip
    streams: dict[str, fa.Stream] = {
        "lidar": fa.Lidar(frame="lidar", capture_times=at, values=lidar),
        "camera": fa.Camera(frame="camera", capture_times=at, items=(picture,)),
        "radar": fa.Radar(
            frame="radar", capture_times=at, values={k: torch.from_numpy(v).float() for k, v in radar.items()}
        ),
        "ego": fa.EgoPose(frame="ego", child="ego", capture_times=at, values=ego),
    }
    if depth:
        far_map = _hit((sensors["camera"].unproject(_grid(size)).numpy() @ FORWARD.numpy().T), np.array([1.5, 0, 1.5]))
        item = torch.from_numpy(far_map.astype(np.float32))
        streams["camera/depth"] = fa.Depth(
            frame="camera", camera="camera", capture_times=at, items=(item,), measure="range"
        )
    meta = SampleMeta(id="s", scene="s", ref=fa.Ref("ego", 0), rig=rig, true_rig=rig, clock="lidar")
    return fa.Sample(metas=(meta,), streams=streams)


def _grid(size: tuple[int, int]) -> torch.Tensor:
    v, u = torch.meshgrid(*(torch.arange(s, dtype=torch.float64) for s in size), indexing="ij")
    return torch.stack([u, v], -1)


def _rays(rng: np.random.Generator, n: int) -> np.ndarray:
    elevation = np.radians(rng.choice(np.linspace(-25, 10, 64), n))
    azimuth = rng.uniform(-np.pi, np.pi, n)
    return np.stack([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], 1)


def _hit(ray: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Distance to the ground, to walls 10 m to either side, or 80 m."""
    down = np.where(ray[..., 2] < 0, start[2] / np.maximum(-ray[..., 2], 1e-6), 80.0)
    side = 10.0 / np.maximum(np.abs(ray[..., 1]), 1e-6)
    return np.minimum(np.minimum(down, side), 80.0)


def seen(points: int, size: tuple[int, int], depth: bool = False) -> fa.Sample:
    """The street on a canvas of a size; the small one is cut out of the large one by ResizeCrop."""
    sample = street(points, SIZE, depth)
    return sample if size == SIZE else fa.ResizeCrop(size=size, scale=0.44)(sample).realized()


def call_of(sample: fa.Sample, name: str, **figures: object) -> Call:
    """The call of one stream under a weather."""
    weather = Weather(**figures)  # type: ignore[arg-type]
    params = {**weather.sample_params(np.random.default_rng(0), sample, Context({})), "noise": "0" * 32}
    return Call(Weather, sample, name, ParameterRows([{"": params}]), Context({}))


def measure() -> list[Figure]:
    """All of them."""
    return [*lidar_figures(), *camera_figures(), *completion_figures(), *streak_figures(), radar_figure()]


def alone(sample: fa.Sample, *names: str) -> fa.Sample:
    """The sample with some streams only."""
    return sample.with_streams({n: sample[n] for n in names})


def lidar_figures() -> list[Figure]:
    """Whole transforms on a cloud alone, bookkeeping included; writers count the points of boxes apart."""
    out = []
    stored = particles()
    for weather, points, limit in (
        (fa.Fog(mor=100.0), 120_000, 7.0), (fa.Rain(rain_rate=25.0), 35_000, 28.0),
        (fa.Snow(snow_rate=2.5), 35_000, 28.0),
    ):  # fmt: skip
        sample = alone(street(points, (90, 160)), "lidar", "ego")
        cloud, uniform = sample["lidar"], isinstance(weather, fa.Fog)
        bare = (
            ("uniform haze over the cloud", primitives.attenuated(cloud["xyz"].numpy(), cloud["intensity"].numpy()))
            if uniform
            else (f"{len(stored) // 1000}k particles seen from the scanner", primitives.seen_from(stored))
        )
        name = f"{type(weather).__name__}, LiDAR, {points // 1000}k points"
        out.append(measured(name, lambda w=weather, s=sample: w(s, seed=1), bare, limit, 15))
    return out


def particles() -> np.ndarray:
    """As many places (n, 3) as the world stores drops or flakes."""
    return np.random.default_rng(0).random((PER_CUBE * len(SIDES), 3), np.float32) * 60 - 30


def camera_figures() -> list[Figure]:
    """Fog with the depth given, against a bare float32 blend of the same picture."""
    out = []
    for size in (SIZE, SMALL):
        sample = seen(2000, size, depth=True)
        picture = sample["camera"].image(0).numpy()  # type: ignore[attr-defined]
        call, blend = call_of(sample, "camera", mor=100.0), ("float32 blend", primitives.blended(picture))
        name, peers = f"Fog, camera, {size[1]}x{size[0]}, depth given", peers_of_fog(picture)
        out.append(measured(name, lambda c=call: weather_on_camera(c.sample["camera"], c), blend, 2.5, 10, peers))
    return out


def peers_of_fog(picture: np.ndarray) -> list[tuple[str, Callable[[], object]]]:
    """Fog of other libraries, which know no depth."""
    return _peers(picture, "fog", "RandomFog")


def _peers(picture: np.ndarray, corruption: str, transform: str) -> list[tuple[str, Callable[[], object]]]:
    found: list[tuple[str, Callable[[], object]]] = []
    try:
        import albumentations

        theirs = getattr(albumentations, transform)(p=1.0)
        found.append((f"albumentations {transform}", lambda: theirs(image=picture)))
    except ImportError:
        pass
    try:
        import imagecorruptions

        np.float_ = np.float64  # type: ignore[attr-defined]  # noqa: NPY201 - it still asks NumPy 2 for the old name
        found.append(
            (f"imagecorruptions {corruption}", lambda: imagecorruptions.corrupt(picture, 3, corruption_name=corruption))
        )
    except ImportError:
        pass
    return found


def completion_figures() -> list[Figure]:
    """Projected points of a scan spread over a picture. Of a small one the points take most of the time."""
    out = []
    for size, limit in ((SIZE, 3.0), (SMALL, 10.0)):
        sample = seen(35_000, size)
        pixels, far = projected(sample, "lidar", "camera", 0)
        picture = sample["camera"].image(0).numpy()  # type: ignore[attr-defined]
        bare = ("dilations and blurs by OpenCV", primitives.dilated(np.asarray(pixels), np.asarray(far), size))
        name = f"depth completion, {len(far)} points, {size[1]}x{size[0]}"
        out.append(measured(name, lambda a=(pixels, far, size, picture): complete_distances(*a), bare, limit, 15))
    return out


def streak_figures() -> list[Figure]:
    """Drops and flakes before a camera that moves at 10 m/s, depth known."""
    out = []
    for size, limit in ((SIZE, 2.5), (SMALL, 4.0)):
        sample = seen(2000, size, depth=True)
        picture = sample["camera"].image(0).numpy()  # type: ignore[attr-defined]
        for name, figures, corruption, transform in (
            ("Rain", {"rain_rate": 25.0}, "", "RandomRain"), ("Snow", {"snow_rate": 2.5}, "snow", "RandomSnow"),
        ):  # fmt: skip
            call = call_of(sample, "camera", **figures)
            state = WeatherState.of(call.params[0])
            view = WeatherView(call, 0)
            _ = view.distance

            def work(view: WeatherView = view, state: WeatherState = state, picture: np.ndarray = picture) -> object:
                mask = particle_mask(view, state, state.air.particles()[0], "0" * 32)
                return cover(picture, mask, state.airlight)

            start, stop = streaks_seen(view, state, state.air.particles()[0], "0" * 32)[:2]
            lines = primitives.drawn_lines(picture, particles(), start, stop)
            bare = (f"particles seen, {len(start)} lines, blend", lines)
            peers = [p for p in _peers(picture, corruption, transform) if corruption or "image" not in p[0]]
            label = f"{name}, streaks in a camera, {size[1]}x{size[0]}"
            out.append(measured(label, work, bare, limit, 15, peers))
    return out


def radar_figure() -> Figure:
    """One radar in rain and on a wet road."""
    sample = alone(street(2000, (90, 160)), "radar", "ego")
    work = fa.Rain(rain_rate=25.0)
    bare = ("its columns drawn for and chosen", primitives.columns(dict(sample["radar"].values)))
    return measured("Rain, radar, 125 detections", lambda: work(sample, seed=1), bare, 28.0)


__all__ = ["measure", "street"]
