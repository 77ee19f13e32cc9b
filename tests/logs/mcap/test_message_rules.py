"""The table of message types against ROS's own definitions, and against messages that transforms changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ros_messages import BASE, MOUNTED, STORE, after, filled, sample_of, series

import fusion_aug as fa
from calib import LidarSensor
from fusion_aug.errors import Obstacle
from fusion_aug.logs.mcap.messages import READERS
from fusion_aug.logs.mcap.rules import MIRROR, MOUNT, NO_MOTION, SCALE, SHIFT, TURN, WARP, restamped
from fusion_aug.logs.mcap.table import fate_of, leaves, message_table
from fusion_aug.logs.mcap.typed import TYPES

# word of the table -> what brings it about, and frames that messages are given in, with those of their children
FIXED, MOVED = [(MOUNTED, "tool")], [(BASE, "tool"), ("world", BASE)]
WORDS = {
    MIRROR: (fa.MirrorScene(axis="y"), FIXED),
    TURN: (fa.RotateScene(yaw_deg=25), MOVED),
    SHIFT: (fa.TranslateScene(x=0.3, y=-0.2), MOVED),
    SCALE: (fa.ScaleScene(scale=1.3), FIXED),
    WARP: (fa.SpeedWarp(speed=1.37), FIXED),
    MOUNT: (fa.Viewpoint(sensors=["t"], z_deg=20), FIXED),
}
SENSORS = {"t": LidarSensor(frame=MOUNTED)}


def leaf_values(message: Any, leaf: str) -> list[Any]:
    """All values of a field, by its path."""
    found = [message]
    for name in leaf.split("."):
        found = [getattr(m, name.removesuffix("[]")) for m in found]
        found = [e for m in found for e in m] if name.endswith("[]") else found
    return [v.tolist() if isinstance(v, np.ndarray) else v for v in found]


def variants(kind: str) -> list[dict[str, Any]]:
    """Fields that decide what a mirror does to others: rays of one time, and rays one after another."""
    return [{"time_increment": 0.0}, {"time_increment": 1e-4}] if kind.endswith("/LaserScan") else [{}]


def test_every_field_of_every_type_that_is_read_is_in_the_table() -> None:
    table = message_table()
    assert {k for k in READERS if k in STORE.fielddefs} <= set(table)
    for kind, fates in table.items():
        fields = list(leaves(kind, STORE.fielddefs))
        assert fields and [f for f in fields if fate_of(f, fates) is None] == [], kind
        used = {p for p in fates if any(fate_of(f, {p: fates[p]}) for f in fields)}
        assert used == set(fates), kind  # no path of the table is one that the type does not have


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("kind", TYPES)
def test_what_the_table_keeps_is_kept_and_what_it_changes_changes(kind: str, word: str) -> None:
    transform, frames = WORDS[word]
    fates = {p: f for p, f in message_table()[kind].items() if not p.startswith("header.")}
    refusing = {p for p, f in fates.items() if word in f.refused_by}
    declared = {p for p, f in fates.items() if word in f.changed_by}
    changed, refusals = set(), 0
    for frame, child, own in [(f, c, own) for f, c in frames for own in variants(kind)]:
        messages = [replace(m, **own) for m in series(kind, frame, child=child)]
        try:
            pairs = after(messages, transform, frame, SENSORS)
        except Obstacle as error:
            assert refusing and error.transform == type(transform).__name__ and error.remedy
            refusals += 1
            continue
        for before, now in pairs:
            for leaf in leaves(kind, STORE.fielddefs):
                if not leaf.startswith("header.") and leaf_values(before, leaf) != leaf_values(now, leaf):
                    changed.add(next(p for p, f in fates.items() if f is fate_of(leaf, fates)))
    assert changed <= declared
    assert changed == declared or refusals
    assert not refusing or refusals or word == MOUNT  # a planar scan may be turned about its own axis


def test_types_that_hold_no_motion_are_types_of_ros_and_get_new_stamps() -> None:
    assert all(kind in STORE.fielddefs for kind in NO_MOTION) and not NO_MOTION & set(READERS)
    for kind in NO_MOTION:
        before = filled(kind, np.random.default_rng(0))
        now = restamped(before, lambda t: t + 2_500_000_000)
        for leaf in leaves(kind, STORE.fielddefs):
            old, new = leaf_values(before, leaf), leaf_values(now, leaf)
            times = [getattr(v, "__msgtype__", "") == "builtin_interfaces/msg/Time" for v in old]
            if not all(times):
                assert repr(new) == repr(old), leaf
            else:
                assert [v.sec + v.nanosec * 1e-9 for v in new] != [v.sec + v.nanosec * 1e-9 for v in old], leaf


def test_a_stamp_that_was_never_set_stays_unset() -> None:
    message = filled("diagnostic_msgs/msg/DiagnosticArray", np.random.default_rng(0), 0)
    assert restamped(message, lambda t: t + 1) is message


@pytest.mark.parametrize("kind", TYPES)
def test_a_motion_of_the_scene_can_be_undone(kind: str) -> None:
    both = fa.Compose([fa.RotateScene(yaw_deg=25), fa.ScaleScene(scale=1.3), fa.MirrorScene(axis="y")])
    both = fa.Compose([fa.RotateScene(yaw_deg=25)]) if kind.endswith("/NavSatFix") else both
    sample = sample_of(series(kind, MOUNTED), MOUNTED)
    out = both(sample, seed=0)
    if kind.endswith("/Imu"):  # whose readings need the attitude, which an inversion of a stream alone has not
        out = fa.Compose([fa.MirrorScene(axis="y")])(sample, seed=0)
    back = fa.invert(out["t"], out.history)
    for column, value in sample["t"].values.items():
        assert np.allclose(back[column].numpy(), value.numpy(), rtol=1e-9, atol=1e-9, equal_nan=True), column
