"""Partners: what is called left and right and is read at partners of each other, or at one frame.

Names that say no side (``robot0``, ``robot1``) are those of partners where the bodies or the joints are.
"""

from __future__ import annotations

from collections.abc import Mapping

from calib.rig import Rig
from calib.sensors import TaxelSensor
from calib.sides import other_side
from fusion_aug.streams import Opaque, Stream


def sides_of_streams(
    streams: Mapping[str, Stream], rig: Rig, swaps: Mapping[str, str], joints: Mapping[str, str]
) -> dict[str, str]:
    """Streams that belong to no sensor of the rig, as those of two hands do, and their partners of the other side.

    Their frames are partners too, or one and the same: what is read at a frame that keeps its name keeps its own.

    Args:
        swaps: frames and their partners. joints: readings of a described robot and their partners.
    """
    inside = {n: s for n, s in streams.items() if n.partition("/")[0] not in rig.sensors and not isinstance(s, Opaque)}
    by_name = {n: p for n in inside if (p := other_side(n, inside)) != n}
    found = {n: p for n, p in by_name.items() if _fits(inside[n], inside[p], swaps)}
    rest = {n: s for n, s in inside.items() if n not in by_name}
    by_body = _partners_by_body(rest, swaps, joints)
    return found | by_body | _called_alike(rest, by_body, swaps)


def _fits(a: Stream, b: Stream, swaps: Mapping[str, str]) -> bool:
    return type(a) is type(b) and swaps.get(a.frame, a.frame) == b.frame


def _partners_by_body(
    streams: Mapping[str, Stream], swaps: Mapping[str, str], joints: Mapping[str, str]
) -> dict[str, str]:
    """Streams of one hand, or of the joints of one side, and the one that tells the same of the other side."""
    told = {n: (s.child, getattr(s, "names", ()), type(s), set(s.values)) for n, s in streams.items()}
    out = {}
    for name, (child, names, *kind) in told.items():
        mirrored = (swaps.get(child, child), tuple(joints.get(n, n) for n in names), *kind)
        found = [n for n, other in told.items() if other == mirrored and _fits(streams[name], streams[n], swaps)]
        if mirrored != told[name] and len(found) == 1:
            out[name] = found[0]
    return out


def _called_alike(
    streams: Mapping[str, Stream], partners: Mapping[str, str], swaps: Mapping[str, str]
) -> dict[str, str]:
    """Further streams whose names differ in the word in which those of partners differ: ``robot0``, ``robot1``."""
    words = {
        changed[0]
        for a, b in partners.items()
        if len(a.split("_")) == len(b.split("_"))
        and len(changed := [w for w in zip(a.split("_"), b.split("_"), strict=True) if w[0] != w[1]]) == 1
    }
    out = {}
    for name, stream in streams.items():
        if name in partners:
            continue
        for old, new in words:
            other = "_".join(new if w == old else w for w in name.split("_"))
            if other != name and other in streams and other not in partners and _fits(stream, streams[other], swaps):
                out[name] = other
    return out


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
