"""Geometry per scene, where a format keeps calibration or tracks per scene."""

from __future__ import annotations

from dataclasses import replace

from fusion_aug.core.compose import Compose, Container, leaves
from fusion_aug.core.transform import Transform
from fusion_aug.errors import ConfigError
from fusion_aug.logs.core.log import Log, find_format
from fusion_aug.policy.deciding import Deciding
from fusion_aug.sample import Sample
from fusion_aug.sample.sensors import matches
from fusion_aug.streams import ImageStream
from fusion_aug.streams.families import ImagePlane, Kinematic, Mount, Scene, Temporal


def changes_geometry(transform: Transform) -> bool:
    """Whether a transform changes scene, image plane, mounting, time or calibration."""
    return isinstance(transform, Scene | ImagePlane | Mount | Temporal | Kinematic) or bool(
        transform.changes_calibration
    )


def draw_geometry_per_scene(pipeline: Compose, log: Log, output: str | None = None) -> tuple[Compose, list[str]]:
    """Return the pipeline with its geometry drawn per scene if the log needs that, and the paths that changed.

    A keyframe rotated on its own would give parked cars a velocity.

    Args:
        pipeline: of a run. log: its input. output: format of its output, None for that of the log.

    Raises:
        ConfigError: a loss or a table decides about geometry, which it does for each keyframe.
    """
    if not (log.calibration_per_scene or (output is not None and find_format(output).reader.calibration_per_scene)):
        return pipeline, []
    changed: list[str] = []

    def widen(t: Transform, path: str) -> Transform:
        if not any(changes_geometry(leaf) for leaf in leaves(t)):
            return t
        if isinstance(t, Deciding):
            moving = next(leaf for leaf in leaves(t) if changes_geometry(leaf))
            raise ConfigError(
                f"{path}: {type(t).__name__} decides for each keyframe, but the format keeps calibration or tracks per "
                f"scene, where {type(moving).__name__} would give parked cars a velocity; put it before or after"
            )
        if isinstance(t, Container):
            inside = {n: widen(c, f"{path}/{n}" if path else n) for n, c in t.children()}
            return type(t)(inside, **{k: getattr(t, k) for k in t.defaults()} | {"per_scene": True})
        if t.scope != "scene":
            changed.append(path)
        return replace(t, per_scene=True)

    wide = widen(pipeline, "")
    assert isinstance(wide, Compose)
    return wide, changed


def check_names(pipeline: Transform, sample: Sample) -> None:
    """Raise where a transform names a sensor that the log does not have; a typing error would have no effect.

    Shell patterns may match nothing, for pipelines that serve several logs. Streams are selected by their sensor, so
    the name of a part of one (``skin:left``, ``CAM/depth``) would have no effect either.

    Raises:
        ConfigError: naming transform, field and sensor.
    """
    of_sensor = {n: s.instance(n) for n, s in sample.streams.items()}
    known = {*of_sensor, *sample.rig.sensors, *of_sensor.values()}
    for leaf in leaves(pipeline):
        for field in ("sensors", "cameras", "keep"):
            for name in getattr(leaf, field, None) or ():
                if name not in known and not set(name) & set("*?["):
                    known_names = ", ".join(sorted(known))
                    raise ConfigError(
                        f"{type(leaf).__name__}.{field}: the log has no sensor {name!r} (it has {known_names})"
                    )
                if part := _part_of_whole(name, leaf, sample):
                    raise ConfigError(
                        f"{type(leaf).__name__}.{field}: {name!r} selects nothing, since {part!r} comes with "
                        f"{of_sensor[part]!r} and is changed with all of it; write {of_sensor[part]}"
                    )
        if isinstance(leaf, Mount) and (lost := _without_mounting(leaf, sample)):
            raise ConfigError(
                f"{type(leaf).__name__}.sensors: the rig has no mounting of {lost}; give it in the rig file "
                f"(log.rig), as in sensors: {{{lost}: {{kind: lidar, frame: FRAME}}}}"
            )


def _part_of_whole(pattern: str, leaf: Transform, sample: Sample) -> str:
    """The stream that a name or pattern means although it has none of its own to select; empty where there is none."""
    devices = sample.rig.sensors if isinstance(leaf, Mount | Kinematic) else ()  # these move what is mounted
    sensors = {*devices, *(s.instance(n) for n, s in sample.streams.items())}
    if any(matches(n, [pattern]) for n in sensors):
        return ""
    return next((n for n in sample.streams if matches(n, [pattern])), "")


def _without_mounting(leaf: Transform, sample: Sample) -> str:
    """The first sensor that a transform names and that stands nowhere in the rig; empty without one."""
    named = [n for n in getattr(leaf, "sensors", None) or () if not set(n) & set("*?[")]
    mounted = {s.instance(n) for n, s in sample.streams.items() if isinstance(s, ImageStream)} | {*sample.rig.sensors}
    return next((n for n in named if n in sample.streams and n not in mounted), "")


def geometry_only(pipeline: Compose) -> Compose:
    """Return the geometry of a pipeline, under its own paths."""

    def keep(t: Transform) -> Transform:
        # what is left out stays in its place, so that choices among transforms are the same
        return t if changes_geometry(t) else replace(t, p=0.0)

    return pipeline.map_children(keep)
