"""What a magnitude means for every number of every transform, and that the suite means the same."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any

import pytest
from cases import CASES
from generic import assert_same_streams
from places import REPOSITORY
from samples import make_sample

import fusion_aug as fa
from calib.yaml_text import load_yaml
from fusion_aug.core.fields import kinds
from fusion_aug.core.registry import own_transforms
from fusion_aug.core.strength import Strength, checked_magnitude
from fusion_aug.core.transform import COMMON_FIELDS

SUITE = sorted((REPOSITORY / "configs" / "pipeline" / "suite").glob("*.yaml"))


def strengths(kind: Any) -> dict[str, Strength]:
    return {n: s for n, s in kind.strengths.items() if isinstance(s, Strength)}


def neutral(name: str, **more: Any) -> fa.Transform:
    """A transform with every number neutral but those that are given."""
    kind = own_transforms()[name]
    needed = {f.name for f in dataclasses.fields(kind) if f.default is f.default_factory is dataclasses.MISSING}
    shared = {k: v for k, v in CASES[name][0].items() if k in {"cameras", "sensors", "mode", *needed}}
    return kind(**{**shared, **{n: s.neutral for n, s in strengths(kind).items()}, **more})


@pytest.mark.quick
def test_every_range_has_a_strength_or_a_reason() -> None:
    for name, kind in own_transforms().items():
        ranges = {n for n, k in kinds(kind).items() if k.name == "range" and n not in COMMON_FIELDS}
        assert {*kind.strengths} == ranges, name
        assert all(isinstance(s, Strength) or len(s) > 8 for s in kind.strengths.values()), name


def suite_fields() -> list[tuple[str, str, str, Any]]:
    """Preset, transform, field and value at severity 5, of all that a preset of the suite takes by severity."""
    found = []
    for path in SUITE:
        config = load_yaml(path.read_text())
        for step in config["transforms"].values():
            for field, text in step.items():
                if levels := re.search(r"at:\$\{\.\.\.(\w+)\}", str(text)):
                    kind = step["_target_"].removeprefix("fusion_aug.")
                    found.append((path.stem, kind, field, config[levels[1]][5]))
    return found


@pytest.mark.quick
def test_magnitude_1_is_severity_5_of_the_suite() -> None:
    named, fields = set(), suite_fields()
    assert len(fields) >= 30
    for preset, kind, field, value in fields:
        strength = own_transforms()[kind].strengths.get(field)
        if (kind, field) == ("RingResample", "beams"):
            assert strength is None  # a whole number, which is not drawn
            continue
        assert isinstance(strength, Strength) and strength.basis.startswith("suite/"), (kind, field)
        assert list(strength.sides) == (value if isinstance(value, list) else [value]), (preset, field)
        named.add(preset)
    stated = {s.basis for k in own_transforms().values() for s in strengths(k).values()}
    assert {b.removeprefix("suite/") for b in stated if b.startswith("suite/")} <= named


@pytest.mark.parametrize("magnitude", [1e-9, 0.01, 0.37, 1.0])
def test_every_magnitude_is_a_legal_value(magnitude: float) -> None:
    for name, kind in own_transforms().items():
        for field, strength in strengths(kind).items():
            neutral(name, **{field: strength.value(magnitude, kind.limits.get(field, (-math.inf, math.inf)))})


@pytest.mark.quick
def test_values_go_evenly_from_neutral_to_full() -> None:
    for name, kind in own_transforms().items():
        for field, strength in strengths(kind).items():
            start = strength.neutral if strength.near is None else strength.near
            assert strength.value(0) == strength.neutral
            values = [v["values"] if isinstance(v := strength.value(m), dict) else [v] for m in (0.25, 0.5, 0.75, 1.0)]
            assert tuple(values[-1]) == strength.sides
            scale = {"linear": float, "log": math.log, "inverse": lambda x: 1 / x}[strength.scale]
            for side in zip(*values, strict=True):
                steps = [scale(b) - scale(a) for a, b in zip((start, *side), side, strict=False)]
                assert max(steps) - min(steps) <= 1e-9 * max(map(abs, steps)), (name, field)
                assert steps[0] != 0


EXACT = [n for n, k in own_transforms().items() if strengths(k) and all(s.exact for s in strengths(k).values())]


def test_neutral_numbers_change_no_byte() -> None:
    """Of all transforms but those that say that no value of a number leaves the data alone."""
    before = make_sample(size=(24, 32), points=60)
    assert len(EXACT) >= 65
    for name in EXACT:
        after = neutral(name)(before, seed=1)
        assert len(after.history) == 1 and after.history[0].applied, name
        assert_same_streams(before, after)


@pytest.mark.quick
def test_wrong_strengths_are_refused() -> None:
    with pytest.raises(fa.ConfigError, match=r"Strength.scale: 'cubic' is not one of linear, log, inverse"):
        Strength(0.0, 1.0, "cubic", "probe")
    with pytest.raises(fa.ConfigError, match="log needs numbers above 0"):
        Strength(0.0, 1.0, "log", "probe")
    with pytest.raises(fa.ConfigError, match="linear needs a number to start from"):
        Strength(None, 1.0, "linear", "probe")
    with pytest.raises(fa.ConfigError, match=r"Strength.basis: .* got 'guess'"):
        Strength(0.0, 1.0, "linear", "guess")
    for wrong in (-0.1, 1.01, math.nan, True, "0.3", None):
        with pytest.raises(fa.ConfigError, match="m: expected a magnitude from 0 to 1"):
            checked_magnitude(wrong, "m")


@pytest.mark.quick
def test_a_field_is_moved_where_it_can_differ_from_neutral() -> None:
    fog, gain = fa.Fog.strengths["mor"], fa.Brightness.strengths["factor"]
    assert isinstance(fog, Strength) and isinstance(gain, Strength)
    assert fog.moves(200.0) and fog.moves((50, 200)) and not fog.moves(None)
    assert gain.moves(0.5) and gain.moves((1, 2)) and not gain.moves(1.0) and not gain.moves((1, 1))
