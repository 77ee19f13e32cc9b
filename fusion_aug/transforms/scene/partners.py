"""Partners by name: what is called left and right and is read at partners of each other, or at one frame."""

from __future__ import annotations

from collections.abc import Mapping

from calib.rig import Rig
from calib.sensors import TaxelSensor
from calib.sides import other_side
from fusion_aug.streams import Opaque, Stream


def sides_of_streams(streams: Mapping[str, Stream], rig: Rig, swaps: Mapping[str, str]) -> dict[str, str]:
    """Streams that belong to no sensor of the rig, as those of two hands do, and their partners of the other side.

    Their frames are partners too, or one and the same: what is read at a frame that keeps its name keeps its own.
    """
    beside = [n for n, s in streams.items() if n.partition("/")[0] not in rig.sensors and not isinstance(s, Opaque)]
    found = {n: p for n in beside if (p := other_side(n, beside)) != n}
    pairs = {n: (streams[n], streams[p]) for n, p in found.items()}
    return {n: found[n] for n, (a, b) in pairs.items() if type(a) is type(b) and swaps.get(a.frame, a.frame) == b.frame}


def sides_of_sensors(rig: Rig, swaps: Mapping[str, str]) -> dict[str, str]:
    """Sensors without a ``mirror_of`` whose links a mirror exchanges, and their partners of the other side.

    Pads of taxels may also share a link, since their elements have places of their own on it.
    """
    beside = [n for n, s in rig.sensors.items() if s.mirror_of is None]
    found = {n: p for n in beside if (p := other_side(n, beside)) != n}
    out = {}
    for name, partner in found.items():
        a, b = rig.sensors[name], rig.sensors[partner]
        fits = swaps.get(a.frame, a.frame) == b.frame and (a.frame != b.frame or isinstance(a, TaxelSensor))
        if found.get(partner) == name and type(a) is type(b) and fits:
            out[name] = partner
    return out


def is_on_links(rig: Rig, name: str, links: Mapping[str, object]) -> bool:
    """Whether a sensor or frame is mounted on one of some links."""
    frame = rig.sensors[name].frame if name in rig.sensors else name
    return any(above in links for above in rig.ancestors(frame))
