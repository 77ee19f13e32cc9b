"""Fog and dust on pictures on a device: the overcast light, and the air before what the pictures show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from calib import Pinhole
from calib.replacing import replace_unchecked
from fusion_aug.core.device.pending import is_whole, opened, white_of
from fusion_aug.core.device.program import HOST
from fusion_aug.core.device.rules import on_device
from fusion_aug.core.registry import Call
from fusion_aug.errors import DataError
from fusion_aug.ops.distance_many import numbers_of_rays
from fusion_aug.ops.illumination import surface_grid
from fusion_aug.ops.sunlight_many import numbers_of_groups, numbers_of_shade
from fusion_aug.ops.surfaces_many import numbers_of_surfaces
from fusion_aug.physics.completion import SKY_DISTANCE
from fusion_aug.physics.overcast_many import in_air, numbers_of_gains
from fusion_aug.sample.depth import depth_item_of
from fusion_aug.sample.vehicle import T_up_ref
from fusion_aug.streams import Camera, Depth
from fusion_aug.streams.on_device import PictureOnDevice
from fusion_aug.transforms.weather.light import OPAQUE, air_at
from fusion_aug.transforms.weather.on_device import VISIBLE
from fusion_aug.transforms.weather.state import WeatherState
from fusion_aug.transforms.weather.view import WeatherView
from fusion_aug.transforms.weather.weather import Weather

Place = tuple[str, int]  # a camera stream and its item
LEAST_SIZE = 16  # pixels of a picture along either axis
LEAST_MEASURED = 0.5  # share of a depth picture; below that the CPU takes it for points, which are completed
BLENDED = 1 / (1 + 1e-5)  # OpenCV divides a blend by the sum of its weights, and adds this to it


class Shown(NamedTuple):
    """A picture in the weather: the state, None where it stays as it is, and the depth of what it shows."""

    state: WeatherState | None
    depth: PictureOnDevice | None


@on_device(Weather, Camera)
def plan_camera(stream: Camera, call: Call) -> Camera:
    """Every picture in the light of its weather, behind its air."""
    shown: dict[Place, Shown] = _note(call, "weather of pictures", lambda: _pictures_shown(call))
    if all(s.state is None for s in shown.values()):
        return stream
    _check(stream, call)
    lit = any(s.state is not None and s.state.sun_loss > 0 for s in shown.values())
    homes: list[list[Place]] = _note(call, "homes of pictures", lambda: _homes(call, shown))
    groups: dict[Place, Any] = _note(call, "light of pictures", lambda: _groups(call, shown, homes)) if lit else {}
    ranks: dict[Place, int] = {p: k for home in homes for k, p in enumerate(home)}
    if any(shown[call.name, i].state is not None and shown[call.name, i].depth is None for i in range(len(stream))):
        raise DataError(
            f"{call.transform.__name__}: pictures of {call.name!r} have lost their depth before the weather, which "
            f"needs it on a device; put what drops it behind"
        )
    out, depths = opened(stream.items, call.program), [shown[call.name, i].depth for i in range(len(stream))]
    for block in dict.fromkeys(d.block for d in depths if d is not None):  # one for each size
        mine = [i for i, d in enumerate(depths) if d is not None and d.block is block]
        beside = [s for s in shown.values() if s.depth is not None and s.depth.block is block]
        if all(s.state is None for s in beside):
            continue
        asked = []
        for i in mine:
            place = call.name, i
            asked.append((out[i], {**_numbers(call, i, shown[place], ranks[place], lit), **groups.get(place, {})}))
        fixed = {
            "white": white_of(stream, out[mine[0]]), "whole": is_whole(out[mine[0]]), "lit": lit,
            "gaps": any(s.depth is not None and s.depth.measured < 1 for s in beside),
            "veiled": lit and any(s.state is not None and _is_clear_to_the_sky(s.state) for s in beside),
        }  # fmt: skip
        for i, picture in zip(mine, call.program.pictures(in_air, asked, {}, read=(block,), **fixed), strict=True):
            out[i] = picture
    return replace_unchecked(stream, items=tuple(out))


def _note(call: Call, key: str, make: Any) -> Any:
    """What all cameras of a transform's application share, worked out once."""
    notes = call.program.notes
    if key not in notes:
        notes[key] = make()
    return notes[key]


def _pictures_shown(call: Call) -> dict[Place, Shown]:
    """All pictures of the batch with what the weather needs of them."""
    out: dict[Place, Shown] = {}
    for name, stream in call.sample.of_type(Camera).items():
        for i, params in enumerate(replace(call, name=name).params):
            state = None if params is None or not bool(stream.present[i]) else WeatherState.of(params)
            state = None if state is None or state.is_as_recorded else state
            given = depth_item_of(call.sample, name, i)
            out[name, i] = Shown(state, None if given is None else call.sample[given[0]].items[given[1]])  # type: ignore[attr-defined]
    return out


def _check(stream: Camera, call: Call) -> None:
    who = call.transform.__name__
    if call.family_state is not None:
        raise DataError(f"{who}: its parameters carry no gradient through pictures on a device; detach them")
    for p in stream.items:
        if white_of(stream, p) != (255 if is_whole(p) else 1):
            raise DataError(
                f"{who}: stream {call.name!r} holds {p.block.dtype}, but levels are changed of uint8 pictures or of "
                f"float ones from 0 to 1; convert it, or choose other cameras"
            )
        if min(p.block.shape[:2]) < LEAST_SIZE or p.block.shape[1] > 20 * p.block.shape[0]:
            raise DataError(
                f"{who}: pictures of {call.name!r} are {p.block.shape[0]} x {p.block.shape[1]} pixels, which is too "
                f"small or too flat for weather on a device; run it before batch.to(...)"
            )


def _homes(call: Call, shown: Mapping[Place, Shown]) -> list[list[Place]]:
    """All pictures, those together whose pictures and whose depth lie together, in the order in which they lie."""
    where = {(n, i): p for n, s in call.sample.of_type(Camera).items() for i, p in enumerate(s.items)}
    homes: dict[Any, list[Place]] = {}
    for place, one in shown.items():
        homes.setdefault((where[place].block, None if one.depth is None else one.depth.block), []).append(place)
    return [sorted(home, key=lambda place: where[place].place) for home in homes.values()]


def _groups(call: Call, shown: Mapping[Place, Shown], homes: Sequence[Sequence[Place]]) -> dict[Place, dict[str, Any]]:
    """Which pictures were taken at once with each, as numbers of every picture.

    Raises:
        DataError: they do not lie together.
    """
    cameras = call.sample.of_type(Camera)
    out: dict[Place, dict[str, Any]] = {}
    for home in homes:
        rank = {place: k for k, place in enumerate(home)}
        together = [[] if shown[p].state is None else _taken_at_once(cameras, p) for p in home]
        if any(other not in rank for others in together for other in others):
            raise DataError(
                f"{call.transform.__name__}: the light of a scene is told from all cameras of a sample at once, whose "
                f"pictures or depth have several sizes on the device; resize them to one, or run it before "
                f"batch.to(...), or set overcast to 0"
            )
        out |= dict(zip(home, numbers_of_groups([[rank[o] for o in others] for others in together]), strict=True))
    return out


def _taken_at_once(cameras: Mapping[str, Camera], place: Place) -> list[Place]:
    """The picture, and those of the sample's other cameras that are nearest to it in time; as ``light.sunlight``."""
    own, item = cameras[place[0]], place[1]
    index, time = int(own.sample_index[item]), int(own.true_capture_times[item])
    found = []
    for name, stream in cameras.items():
        here = ((stream.sample_index == index) & stream.present).nonzero()[:, 0]
        if name == place[0]:
            found.append(place)
        elif len(here):
            found.append((name, int(here[int((stream.true_capture_times[here] - time).abs().argmin())])))
    return found


def _numbers(call: Call, item: int, one: Shown, rank: int, lit: bool) -> dict[str, Any]:
    """The numbers of a picture for ``in_air``, the ``rank``-th of those that lie together."""
    view, state, depth = WeatherView(call, item), one.state, one.depth
    stream = call.sample[call.name]
    assert isinstance(stream, Camera)
    picture = stream.items[item]
    assert depth is not None
    if state is not None and depth.measured < LEAST_MEASURED:
        raise DataError(
            f"{call.transform.__name__}: {stream.title(item)} has depth for less than half of its pixels, which is "
            f"completed on the host alone; run it before batch.to(...), or crop less"
        )
    white = float(white_of(stream, picture) or 1)
    air = np.zeros((1, 1, 3)) if state is None else air_at(state, state.airlight, view.sines) * white
    air = np.broadcast_to(air, (*view.sines.shape, 3)).transpose(2, 0, 1)
    place = depth.place
    share = 0.0 if state is None else state.sun_loss
    numbers = {
        "depth": np.int64(place), HOST + "straight": place == rank,
        "air": (np.round(air) if is_whole(picture) else air).astype(np.float32),
        "loss": np.float32(0.0 if state is None else -state.air.extinction(VISIBLE)),
        "blended": np.float32(1.0 if state is None or state.air.is_clear else BLENDED),
        "grey": np.float32(share if state is not None and _is_clear_to_the_sky(state) else 0.0),
    }  # fmt: skip
    rays = _rays(view) if _measure(call, item) == "z" else None
    numbers |= numbers_of_rays(rays, view.size)
    numbers[HOST + "even"] = rays is None or bool(abs(rays[2, 0]) + abs(rays[2, 1]) == 0)
    if lit:
        grid, up = surface_grid(view.size), T_up_ref(call.sample, view.index)[2, :3]
        nodes = view.nodes @ view.T_ref[:3, :3].T
        numbers |= {
            **numbers_of_surfaces(view.size, grid, nodes, up),
            **numbers_of_shade(grid),
            **numbers_of_gains(share),
        }
    return numbers


def _measure(call: Call, item: int) -> str:
    given = depth_item_of(call.sample, call.name, item)
    assert given is not None
    depth = call.sample[given[0]]
    assert isinstance(depth, Depth)
    return depth.measure


def _rays(view: WeatherView) -> np.ndarray | None:
    """(3, 3), what makes a ray of a pixel (u, v, 1) of the canvas."""
    if not isinstance(view.sensor.model, Pinhole):
        return None  # of a picture that stays as it is; others were refused
    return np.linalg.inv((view.sensor.A @ view.sensor.model.K).detach().numpy())


def _is_clear_to_the_sky(state: WeatherState) -> bool:
    """Whether the sky shows through the air, so that an overcast one takes its place; as ``light.in_overcast``."""
    return bool(np.exp(-state.air.extinction(VISIBLE) * SKY_DISTANCE) >= OPAQUE)
