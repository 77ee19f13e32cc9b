"""What the names of a vector's numbers, or of the vector itself, say about their meaning."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fusion_aug.logs.core.parts import OTHER_PART, Part, Parts

SIDES = r"left|right|l|r"
OWNERS = rf"robot\d*|arm|ee|eef|tcp|tool|hand|gripper|end_effector|endeffector|cartesian|pose|target|{SIDES}"
NUMBER = re.compile(
    rf"(?P<prefix>(?:(?:{OWNERS})[._/ -]+)*)(?P<change>(?:delta[._ -]?|d)?)(?:"
    r"(?:(?:pos|position|translation|trans|p)[._ -]?)?(?P<position>[xyz])"
    r"|(?:(?:rot|rotation|euler|rpy)[._ -])?(?P<rpy>roll|pitch|yaw)"
    r"|(?:axis[._ -]?angle|rotvec|rot_vec|rotation_vector)[._ -]?(?P<axis_angle>[123xyz])"
    r"|w(?P<spin>[xyz])"
    r"|(?:q|quat|quaternion|orientation|rot|r)[._ -]?(?P<quaternion>[xyzw])"
    r"|(?:rot6d|rotation_6d|r6d)[._ -]?(?P<rotation_6d>[0-5]))"
)  # fmt: skip
# numbers of something else in space: they imply nothing, and are no numbers that nothing changes
ELSEWHERE = re.compile(
    r"(?P<prefix>(?:[a-z0-9]+[._/ -]+)+)(?P<change>(?:delta[._ -]?|d)?)"
    r"(?:(?P<position>[xyz])|(?P<rpy>roll|pitch|yaw)|(?P<quaternion>q?[wxyz]))"
)
GRIPPER = re.compile(r"(?:.*[._/ -])?(?:gripper(?:[._ -]?(?:pos|position|open|opening|width|state|qpos))?|finger\w*)")
PAD = re.compile(r"pad(?:ding)?\d*")
# letters of a run of numbers -> column; others are a pose in doubt: rx ry rz may be angles or a rotation vector
COLUMNS = {
    ("position", "xyz"): "position", ("rpy", "rpy"): "rpy", ("axis_angle", "123"): "axis_angle",
    ("axis_angle", "xyz"): "axis_angle", ("quaternion", "xyzw"): "quaternion_xyzw",
    ("quaternion", "wxyz"): "quaternion_wxyz", ("rotation_6d", "012345"): "rotation_6d",
}  # fmt: skip
# names of whole vectors of robosuite, robomimic, DexMimicGen, LIBERO, DROID and UMI -> their parts
OWNER = rf"(?:robot\d+_)?(?:(?:{SIDES})_)?"
VECTORS: tuple[tuple[str, dict[str, tuple[int, int]]], ...] = (
    (rf"{OWNER}(?:eef|ee)_pos", {"position": (0, 3)}),
    (rf"{OWNER}eef_quat(?:_site)?", {"quaternion_xyzw": (0, 4)}),
    (r"ee_ori", {"axis_angle": (0, 3)}),
    (r"ee_states", {"position": (0, 3), "axis_angle": (3, 6)}),
    (r"robot_states", {"gripper": (0, 2), "position": (2, 5), "quaternion_xyzw": (5, 9)}),
    (r"cartesian_position", {"position": (0, 3), "rpy": (3, 6)}),
    (rf"{OWNER}eef_rot_axis_angle", {"axis_angle": (0, 3)}),
    (rf"{OWNER}demo_(?:start|end)_pose", {"position": (0, 3), "axis_angle": (3, 6)}),
    (rf"{OWNER}eef_vel_lin", {"velocity": (0, 3)}),
    (rf"{OWNER}eef_vel_ang", {"angular_velocity": (0, 3)}),
)
GRIPPERS = (
    ("gripper", re.compile(rf"{OWNER}gripper_(?:qpos|states|position|width)")),
    ("gripper_velocity", re.compile(rf"{OWNER}gripper_qvel")),
)
SENSORS: dict[tuple[str, ...], dict[str, Part]] = {
    ("fx", "fy", "fz", "tx", "ty", "tz"): {"force": (0, 3, 1.0), "torque": (3, 6, 1.0)},
    ("ax", "ay", "az", "gx", "gy", "gz"): {"accel": (0, 3, 1.0), "gyro": (3, 6, 1.0)},
}
NO_POSE = ("", "gripper", "gripper_velocity", OTHER_PART)  # kinds of runs that belong to no pose


@dataclass
class Run:
    """Neighbouring numbers of one kind: its letters in order, and the words before them."""

    kind: str
    start: int
    stop: int
    letters: str = ""
    prefix: str = ""
    change: bool = False
    elsewhere: bool = False

    @property
    def column(self) -> str:
        """Its column; empty where it is not known without doubt."""
        if self.kind in ("gripper", OTHER_PART):
            return self.kind
        if self.elsewhere:
            return ""
        on_a_side = re.search(rf"(?:^|[._/ -])(?:{SIDES})[._/ -]", self.prefix)  # a mirror gives it to the other hand
        return "" if self.change or on_a_side else COLUMNS.get((self.kind, self.letters), "")


def parts_from_names(feature: str, names: Sequence[str], width: int) -> Parts:
    """Return the parts that the names of a feature and of its numbers imply without doubt; none otherwise.

    In a command x may be a place or a change per step, so only a name of the vector that tells counts.
    """
    known = SENSORS.get(tuple(names)) or _vector(feature, width)
    if known is not None:
        return Parts(known)
    runs = _runs(names) if len(names) == width else []
    columns = [run.column for run in runs]
    poses = [run for run in runs if run.kind not in NO_POSE]
    of_one = len({run.prefix for run in poses}) == 1 and len(set(columns)) == len(columns)
    alone = len(poses) == 1 and not poses[0].prefix  # x, y, z without anything else may be anything
    if feature.startswith("action") or not of_one or alone or "" in columns:
        return Parts()
    return Parts({run.column: (run.start, run.stop, 1.0) for run in runs})


def numbers_of_poses(feature: str, names: Sequence[str], width: int) -> dict[int, str]:
    """Return place -> name of the numbers that are called as those of a pose are."""
    if names and len(names) == width:
        least = {"position": 2}  # of a table seen from above
        runs = [r for r in _runs(names) if r.kind not in NO_POSE and r.stop - r.start >= least.get(r.kind, 3)]
        return {i: names[i] for r in runs for i in range(r.start, r.stop)}
    known = _vector(feature, width) or {}
    return {i: f"{c} of {feature}" for c, (a, b, _) in known.items() if c not in NO_POSE for i in range(a, b)}


def _vector(feature: str, width: int) -> dict[str, Part] | None:
    """The parts of a vector that is called as published data sets call theirs."""
    last = re.split(r"[./]", feature)[-1]
    for pattern, spans in VECTORS:
        if re.fullmatch(pattern, last) and width == max(stop for _, stop in spans.values()):
            return {column: (start, stop, 1.0) for column, (start, stop) in spans.items()}
    return next(({c: (0, width, 1.0)} for c, pattern in GRIPPERS if pattern.fullmatch(last)), None)


def _runs(names: Sequence[str]) -> list[Run]:
    """The names as runs of one kind."""
    out: list[Run] = []
    for i, name in enumerate(names):
        new = _run(name, i)
        last = out[-1] if out else new
        same = (last.kind, last.prefix, last.change) == (new.kind, new.prefix, new.change)
        if out and same and new.kind and (not new.letters or new.letters not in last.letters):
            last.stop, last.letters = i + 1, last.letters + new.letters
        else:
            out.append(new)
    return out


def _run(name: str, place: int) -> Run:
    """The run of one number; without a kind where its name says nothing of a pose."""
    text = name.strip().lower()
    for pattern, kind in ((PAD, OTHER_PART), (GRIPPER, "gripper")):
        if pattern.fullmatch(text):
            return Run(kind, place, place + 1)
    known = NUMBER.fullmatch(text)
    match = known or ELSEWHERE.fullmatch(text)
    if match is None:
        return Run("", place, place + 1)
    kind, letter = next((k, v) for k, v in match.groupdict().items() if v and k not in ("prefix", "change"))
    if kind == "spin":  # of a hand a rotation vector (LeRobot); alone a velocity
        kind = "axis_angle" if match["prefix"] else ""
    return Run(kind, place, place + 1, letter[-1:] if kind == "quaternion" else letter[0], match["prefix"],
               bool(match["change"]), known is None)  # fmt: skip
