"""Mirrors of robots that names alone do not tell: rounded figures, declared partners, mimic joints, world roots."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from calib import CalibrationError, Rig, rig_from_dict, rig_to_dict
from calib.rounding import decimals, exact_angle, unrounded_pose
from calib.symmetry import check_mirror, find_mirror, mirror_of_robot
from calib.urdf import robot_from_urdf

JOINT = (
    '<joint name="{name}_joint" type="revolute"><parent link="{parent}"/><child link="{name}"/><origin xyz="{xyz}" '
    'rpy="{rpy}"/><axis xyz="{axis}"/><limit lower="-3" upper="3" effort="1" velocity="1"/>{mimic}</joint>'
)
Row = tuple[str, str, str, str, str]  # name, parent, xyz, rpy, axis


def robot(rows: Sequence[Row], mimics: dict[str, tuple[str, float]] = {}) -> str:  # noqa: B006
    links = "".join(f'<link name="{n}"/>' for n in ("base", *(r[0] for r in rows)))
    joints = "".join(
        JOINT.format(
            name=n, parent=p, xyz=xyz, rpy=rpy, axis=axis,
            mimic='<mimic joint="{}_joint" multiplier="{}"/>'.format(*mimics[n]) if n in mimics else "",
        )
        for n, p, xyz, rpy, axis in rows
    )  # fmt: skip
    return f'<robot name="made">{links}{joints}</robot>'


def arms(left: str, right: str, first: str = "0 0 0", second: str = "0 0 0", shift: float = 0.0) -> list[Row]:
    return [
        (f"{left}upper", "base", "0.1 0.2 0.4", first, "0 0 1"),
        (f"{left}fore", f"{left}upper", "0.3 0 0", "0 0 0", "0 1 0"),
        (f"{right}upper", "base", "0.1 -0.2 0.4", second, "0 0 1"),
        (f"{right}fore", f"{right}upper", f"{0.3 + shift} 0 0", "0 0 0", "0 1 0"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("-1.5708 0 0", "1.570796 0 0"), ("-1.57 0 0", "1.5707963267948966 0 0"), ("-1.5707 0 0", "1.5708 0 0"),
        ("0 0 3.1416", "0 0 3.14159"), ("0 1.5708 0", "0 1.570796 0"), ("-0.7854 0 0", "0.785398 0 0"),
        ("-0.3491 0 0", "0.349066 0 0"), ("1.5708 -1.5708 0.2", "-1.570796 -1.570796 -0.2"),
    ],
)  # fmt: skip
def test_rounded_angles_are_what_they_stand_for(first: str, second: str) -> None:
    mirror = find_mirror(robot_from_urdf(robot(arms("l_", "r_", first, second))))
    assert mirror.links["l_upper"][0] == "r_upper" and mirror.links["r_fore"][0] == "l_fore"


@pytest.mark.parametrize(
    ("first", "second", "shift", "told"),
    [
        ("-1.5708 0 0", "1.5718 0 0", 0.0, "l_upper"), ("0 0 0", "0 0 0", 0.001, "l_fore"),
        ("-0.34 0 0", "0.341 0 0", 0.0, "l_upper"), ("0 0.1 0.1", "0 0.11 -0.1", 0.0, "l_upper"),
    ],
)  # fmt: skip
def test_what_is_off_by_more_is_refused(first: str, second: str, shift: float, told: str) -> None:
    with pytest.raises(CalibrationError, match=told):
        find_mirror(robot_from_urdf(robot(arms("l_", "r_", first, second, shift))))


def test_rounding_of_figures_against_scipy() -> None:
    assert [decimals(x) for x in (0.0, 1.5, 1.5708, 1.570796, math.pi)] == [0, 1, 4, 6, 10]
    assert exact_angle(1.5708) == math.pi / 2 and exact_angle(-3.14) == -math.pi and exact_angle(0.34) == 0.34
    rng = np.random.default_rng(0)
    for written in [*np.round(rng.uniform(-3, 3, (50, 3)), 4), [0.3, 1.5708, -0.4], [0.3, -1.571, 0.0]]:
        T = np.eye(4)
        T[:3, :3] = Rotation.from_euler("xyz", written).as_matrix()
        exact = [exact_angle(float(a)) for a in written]
        found, rounding = unrounded_pose(T)
        assert np.abs(found[:3, :3] - Rotation.from_euler("xyz", exact).as_matrix()).max() < 1e-9
        assert rounding.angle <= 0.5e-4


def test_partners_that_names_do_not_tell_are_found_by_geometry_or_declared() -> None:
    made = robot_from_urdf(robot(arms("arm1_", "arm2_")))
    assert find_mirror(made).links["arm1_fore"][0] == "arm2_fore"
    twins = [("a", "base", "0 0.2 0", "0 0 0", "0 0 1"), ("b", "base", "0 0.2 0", "0 0 0", "0 0 1"),
             ("c", "base", "0 -0.2 0", "0 0 0", "0 0 1"), ("d", "base", "0 -0.2 0", "0 0 0", "0 0 1")]  # fmt: skip
    made = robot_from_urdf(robot(twins))
    assert find_mirror(made).links["a"][0] == "c"
    mirror = find_mirror(made, {"a": "d"})
    assert {n: p for n, (p, _) in mirror.links.items() if n != "base"} == {"a": "d", "d": "a", "b": "c", "c": "b"}
    with pytest.raises(CalibrationError, match="mirror: there is no link 'e'"):
        find_mirror(made, {"a": "e"})
    with pytest.raises(CalibrationError, match="link 'a'"):
        find_mirror(made, {"a": "b"})


def test_declared_partners_live_in_the_rig() -> None:
    made = robot_from_urdf(robot(arms("p", "q")))
    times = torch.tensor([0, 10])
    frames = made.to_frames(None, None, {j: (times, torch.zeros(2).double()) for j in made.joints})
    from calib.replacing import replace_unchecked

    frames = {
        n: replace_unchecked(f, mirror_of={"pupper": "qupper", "qupper": "pupper"}.get(n)) for n, f in frames.items()
    }
    rig = rig_from_dict(rig_to_dict(Rig(frames), exact=True))
    assert rig.frames["pupper"].mirror_of == "qupper"
    swapped = rig.renamed({"pupper": "qupper", "qupper": "pupper"})
    assert swapped.frames["pupper"].mirror_of == "qupper"
    mirror = mirror_of_robot(rig)
    assert not isinstance(mirror, str) and mirror is not None and mirror.links["pfore"][0] == "qfore"
    text = rig_to_dict(rig)
    text["frames"]["pupper"]["mirror_of"] = "nobody"
    with pytest.raises(CalibrationError, match=r"frames.pupper.mirror_of: there is no frame 'nobody'"):
        rig_from_dict(text)


@pytest.mark.parametrize("multiplier", [1.0, -1.0, 0.5])
def test_mimics_of_both_hands(multiplier: float) -> None:
    """Fingers that follow one reading must agree on what a mirror makes of it."""
    rows = arms("l_", "r_")
    for side, sign in (("l_", 1), ("r_", -1)):
        rows += [(f"{side}f{k}", f"{side}fore", f"0.1 {0.02 * k * sign} 0", "0 0 0", "0 0 1") for k in range(3)]
    followers = {f"{s}f{k}": (f"{s}f0", multiplier if s == "r_" else 1.0) for s in ("l_", "r_") for k in (1, 2)}
    made = robot_from_urdf(robot(rows, followers))
    if multiplier == 1.0:
        mirror = find_mirror(made)
        assert check_mirror(made, mirror) < 1e-12
        assert mirror.joints["l_f0_joint"][0] == "r_f0_joint" and mirror.joints["l_f2_joint"][0] == "r_f2_joint"
    else:
        with pytest.raises(CalibrationError, match=r"_f[0-9]"):
            find_mirror(made)


def test_wrists_whose_axes_meet_end_soon() -> None:
    """Twelve joints about one point, each of which may begin at four angles: 4^12 ways, if each were tried."""
    rows: list[Row] = []
    for side, sign in (("l", 1), ("r", -1)):
        parent = "base"
        for k in range(12):
            place = f"0 {0.2 * sign} 0" if k == 0 else "0 0 0"
            rows.append((f"{side}{k}", parent, place, "0 0 0", "0 1 0" if k % 2 else "0 0 1"))
            parent = f"{side}{k}"
        rows.append((f"{side}_tip", parent, f"{0.1 if sign > 0 else 0.13} 0.02 0.03", "0 0 0", "1 0 0"))
    with pytest.raises(CalibrationError, match="l_tip"):
        find_mirror(robot_from_urdf(robot(rows)))
