"""What becomes of every field of every message type: the table that readers, writers and documents share.

Types that hold no motion need new stamps under a change of time and nothing else. Types with laws list their fields
(``MessageRules``). Any other type is opaque: it is copied, and refused where a pipeline would have to change it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from fusion_aug.streams import Stream
from fusion_aug.streams.columns import Column
from fusion_aug.streams.families import Mount

TIME = "builtin_interfaces/msg/Time"
NANOSECONDS = 1_000_000_000

# What these hold does not change with the motion, the place or the speed of the robot, so that a change of time moves
# their stamps, and a motion of the scene leaves them alone.
NO_MOTION = frozenset({
    "actionlib_msgs/msg/GoalID", "actionlib_msgs/msg/GoalStatus", "actionlib_msgs/msg/GoalStatusArray",
    "action_msgs/msg/GoalInfo", "action_msgs/msg/GoalStatus", "action_msgs/msg/GoalStatusArray",
    "diagnostic_msgs/msg/DiagnosticArray", "diagnostic_msgs/msg/DiagnosticStatus", "diagnostic_msgs/msg/KeyValue",
    "lifecycle_msgs/msg/State", "lifecycle_msgs/msg/Transition", "lifecycle_msgs/msg/TransitionEvent",
    "rcl_interfaces/msg/Log", "rcl_interfaces/msg/Parameter", "rcl_interfaces/msg/ParameterEvent",
    "rosbag2_interfaces/msg/ReadSplitEvent", "rosbag2_interfaces/msg/WriteSplitEvent", "rosgraph_msgs/msg/Clock",
    "sensor_msgs/msg/BatteryState", "sensor_msgs/msg/FluidPressure", "sensor_msgs/msg/Illuminance",
    "sensor_msgs/msg/JoyFeedback", "sensor_msgs/msg/JoyFeedbackArray", "sensor_msgs/msg/RelativeHumidity",
    "sensor_msgs/msg/Temperature", "statistics_msgs/msg/MetricsMessage", "std_msgs/msg/Bool", "std_msgs/msg/ColorRGBA",
    "std_msgs/msg/Empty", "std_msgs/msg/Header", "std_msgs/msg/String", "unique_identifier_msgs/msg/UUID",
})  # fmt: skip


# What can change a field, as the table calls it.
MIRROR, TURN, SHIFT, SCALE, WARP, MOUNT = "mirror", "turn", "shift", "scale", "change of time", "mounting"
NOISE, WEATHER = "noise and faults", "weather"
VECTORS = ("position", "polar", "axial", "pose", "rotation", "covariance", "specific_force")  # kinds that turn
STAMP, FRAME = "the time of the item", "name of a frame; as it is"


@dataclass(frozen=True)
class Fate:
    """What becomes of a field.

    Attributes:
        changed_by: words of what can change it; empty where it is kept. why: what it is, or why it is kept.
        refused_by: words of what stops at it.
    """

    changed_by: tuple[str, ...] = ()
    why: str = ""
    refused_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Field:
    """A part of a message that is a column of its stream.

    Attributes:
        column: name of the column. path: of the part in the message. codec: key of ``fields.CODECS``.
        also: words of what changes it besides what its column's kind says.
        refused_by: words of what stops at it. why: what it is, for the table.
    """

    column: str
    path: str
    codec: str
    also: tuple[str, ...] = ()
    refused_by: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class MessageRules:
    """What is known of a type: the parts that are columns of a stream, and the fields that stay.

    Attributes:
        kind: name of the type. stream: class of the stream. fields: parts that are columns.
        kept: path -> why, of all others but the header.
        child: path of the name of the frame whose pose it holds; empty where there is none.
        rows: path of a list whose elements are the rows of the stream's items; paths of ``fields`` begin at an element.
        row_stamps: whether these have headers with stamps of their own, in the column ``time``.
        adjust: function (columns, messages) -> columns, of what one field says of another.
        look: function (messages) -> why the rules do not hold for them; empty where they do.
    """

    kind: str
    stream: type[Stream]
    fields: tuple[Field, ...]
    kept: Mapping[str, str]
    child: str = ""
    rows: str = ""
    row_stamps: bool = False
    adjust: Callable[[dict[str, Any], list[Any]], dict[str, Any]] | None = None
    look: Callable[[list[Any]], str] | None = None

    def fates(self) -> Iterator[tuple[str, Fate]]:
        """Path and fate of every part and every kept field, without those of the header."""
        table = self.stream.column_table()
        for field in self.fields:
            words = changes_of(table[field.column], self.stream)
            words += tuple(w for w in field.also if w not in words)
            path = ".".join(p for p in (f"{self.rows}[]" if self.rows else "", field.path) if p)
            yield path, Fate(words, field.why, field.refused_by)
        for path, why in self.kept.items():
            yield path, Fate(why=why)
        if self.row_stamps:
            yield f"{self.rows}[].header.stamp", Fate((WARP,), "its own time; zero is unset, and stays")
            yield f"{self.rows}[].header.frame_id", Fate(why="that of the header, or empty")
        if self.child:
            yield self.child, Fate(why=FRAME)


def changes_of(column: Column, stream: type[Stream]) -> tuple[str, ...]:
    """What changes a column of a stream class by the rule of its kind, in words."""
    found, turns = [], column.kind in VECTORS
    of_the_world = column.kind == "covariance" and column.in_world  # whose axes only a mirror changes
    if turns:
        found += [MIRROR] if of_the_world else [MIRROR, TURN]
    if column.kind in ("position", "pose"):
        found.append(SHIFT)
    if column.kind in ("length", *VECTORS) and column.kind != "rotation" and column.scaled:
        found.append(SCALE)
    is_read_between = stream.is_continuous and column.resample != "nearest"
    if column.follows_speed or column.rate_of or column.kind == "specific_force" or is_read_between:
        found.append(WARP)
    if turns and not of_the_world and not any(issubclass(Mount, f) for f in stream.invariant_to):
        found.append(MOUNT)
    return tuple(found)


def restamped(message: Any, new_time: Callable[[int], int]) -> Any:
    """Return a message with all its stamps mapped: of its header, of nested headers and bare ones.

    A stamp of zero is unset (ROS's placeholder) and stays. All other fields are the same objects.

    Args:
        message: as rosbags returns it. new_time: old time -> new time, both ns.
    """
    if getattr(message, "__msgtype__", "") == TIME:
        old = int(message.sec) * NANOSECONDS + int(message.nanosec)
        if old == 0:
            return message
        sec, nanosec = divmod(new_time(old), NANOSECONDS)
        return replace(message, sec=sec, nanosec=nanosec)
    if isinstance(message, list):
        mapped = [restamped(m, new_time) for m in message]
        return message if all(a is b for a, b in zip(mapped, message, strict=True)) else mapped
    if not is_dataclass(message):
        return message
    changed = {}
    for f in fields(message):
        value = getattr(message, f.name)
        new = restamped(value, new_time)
        if new is not value:
            changed[f.name] = new
    return replace(message, **changed) if changed else message  # type: ignore[type-var]
