"""Columns of clouds that a motion or a change of speed would have to change, and nothing says how: they stop it."""

from __future__ import annotations

from fusion_aug.errors import Obstacle
from fusion_aug.ops.similarity import Motion
from fusion_aug.streams import Points
from fusion_aug.streams.following import following_columns, unexplained
from fusion_aug.streams.meanings import read_meaning, unknown_fields

EPSILON = 1e-9  # of entries of matrices, below which a motion is none


def refuse_unmoved_fields(stream: Points, name: str, transform: type, motion: Motion) -> None:
    """Stop a motion of a cloud's own frame at columns that it would leave wrong.

    Args:
        stream: the cloud. name: of it. transform: that moves it. motion: of its frame, one or one per item.

    Raises:
        Obstacle: a field has no known meaning, or a mirror meets an angle that does not follow from the coordinates.
    """
    if not stream.meanings:
        return
    mirrors = bool((motion.sign < 0).any())
    turned = motion.Q.detach()
    turns = float((turned - turned.new_tensor([1.0, 1.0, 1.0]).diag()).abs().max()) > EPSILON
    shifts = float(motion.matrix.detach()[:, :3, 3].abs().max()) > EPSILON
    if turns or shifts:
        _refuse(stream, name, transform, unknown_fields(stream.meanings))
    elif float((motion.scale.detach() - 1).abs().max()) > EPSILON:
        _refuse(stream, name, transform, unknown_fields(stream.meanings, bytes_too=False))
    if mirrors:
        refuse_unexplained(stream, name, transform, ("azimuth", "angle"))


def refuse_fields_at_mounting(stream: Points, name: str, transform: type) -> None:
    """Stop a sensor that is moved at fields without a meaning, and at distances and angles from another place.

    Raises:
        Obstacle: there is such a field.
    """
    if stream.meanings:
        _refuse(stream, name, transform, unknown_fields(stream.meanings))
        refuse_unexplained(stream, name, transform, ("range", "azimuth", "elevation", "angle"))


def refuse_unknown_rates(stream: Points, name: str, transform: type) -> None:
    """Stop a change of speed at fields that may be rates or times.

    Raises:
        Obstacle: there is such a field.
    """
    _refuse(stream, name, transform, unknown_fields(stream.meanings, bytes_too=False))


def refuse_unexplained(stream: Points, name: str, transform: type, kinds: tuple[str, ...]) -> None:
    """Stop at columns of some kinds that do not follow from the coordinates.

    Raises:
        Obstacle: there is such a column.
    """
    columns = following_columns(stream.column_types, dict.fromkeys(stream.values))
    if any(c.kind in kinds for c in columns.values()):
        wrong = unexplained(columns, stream.values, stream.bounds, kinds)
        fields = {m.name: m.fields[0] for m in map(read_meaning, stream.meanings)}
        _refuse(stream, name, transform, [fields[n] for n in wrong], "does not follow from its x, y, z")


def _refuse(stream: Points, name: str, transform: type, fields: list[str], why: str = "has no known meaning") -> None:
    if not fields:
        return
    told = ", ".join(f"{f}: MEANING" for f in fields)
    names = ", ".join(map(repr, fields))
    topic = "/" + name.strip("/")
    raise Obstacle(
        f"topic {topic}", transform.__name__, f"its field {names} {why}",
        f"say what it is with log.fields='{{{topic}: {{{told}}}}}' (scalar, velocity, direction, ... as docs/clouds.md "
        f"lists them), or leave the topic out with log.exclude",
    )  # fmt: skip
