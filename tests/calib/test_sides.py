"""Left and right in names."""

from __future__ import annotations

import pytest

from calib.sides import other_side, side_of, swapped_sides

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("left_arm", "right_arm"), ("arm-right", "arm-left"), ("LeftHand", "RightHand"), ("handLeft", "handRight"),
        ("l_knee", "r_knee"), ("wrist_r", "wrist_l"), ("LWrist", "RWrist"), ("RIGHT_EYE", "LEFT_EYE"),
        ("/left/joint_states", "/right/joint_states"), ("upright_post", "upright_post"), ("L5", "L5"),
        ("bright_spot", "bright_spot"), ("wheel", "wheel"), ("link_3", "link_3"),
    ],
)  # fmt: skip
def test_parts_of_names_swap(name: str, other: str) -> None:
    assert swapped_sides(name) == other and swapped_sides(other) == name


def test_inside_a_word_only_where_there_is_a_partner() -> None:
    assert other_side("panda_leftfinger", ["panda_rightfinger"]) == "panda_rightfinger"
    assert other_side("upright", ["torso", "upright"]) == "upright"
    assert other_side("l_hand", ["torso"]) == "l_hand"
    assert (side_of("l_hand"), side_of("right_eef"), side_of("hand"), side_of("left_to_right")) == (
        "left", "right", "", "",
    )  # fmt: skip
